"""How a CAN bus is written in the settings."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sensors.can_address import CanAddress, parse_address
from contract.errors import Misconfigured

pytest.importorskip("can", reason="python-can is not installed: pip install 'milepost[agent-can]'")


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("can0", CanAddress("socketcan", "can0")),
        ("can0?", CanAddress("socketcan", "can0")),
        ("socketcan:can1", CanAddress("socketcan", "can1")),
        ("slcan:/dev/ttyACM0?bitrate=500000", CanAddress("slcan", "/dev/ttyACM0", {"bitrate": 500_000})),
        (
            "udp_multicast:ff15::6d?hop_limit=1&fd=no",
            CanAddress("udp_multicast", "ff15::6d", {"hop_limit": 1, "fd": False}),
        ),
        ("capture:../a.log.gz?speed=2.5", CanAddress("capture", "../a.log.gz", {}, {"speed": 2.5})),
        ("can0?ask=no", CanAddress("socketcan", "can0", {}, {"ask": False})),
    ],
)
def test_a_path_is_interface_channel_and_options(path: str, address: CanAddress) -> None:
    assert parse_address("j1939", path) == address


@pytest.mark.parametrize("path", ["can0?channel=can1", "can0?interface=virtual", ":can0", "?", "can0?speed=0"])
def test_what_contradicts_itself_is_refused(path: str) -> None:
    with pytest.raises(Misconfigured, match="j1939"):
        parse_address("j1939", path)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(path: str) -> None:
    with suppress(Misconfigured):
        assert parse_address("j1939", path).channel
