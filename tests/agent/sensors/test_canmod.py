"""A CANmod.gps receiver's frames are believed only where nothing else is on the bus."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sensors import Reading
from agent.sensors.can_frame import Frame
from agent.sensors.candump import Candump
from agent.sensors.canmod import LIMIT, MAX_INTERFACES, Canmod
from agent.sensors.replay import open_recording

LATITUDE = "gps_location.latitude"
TRUCK = "j1939/css_truck_idle_11111111.log"


def frame(can_id: int, data: str, interface: str = "can1") -> Frame:
    return Frame(can_id, bytes.fromhex(data), extended=False, interface=interface)


@pytest.fixture
def second(recording: Callable[[str], Path]) -> list[Frame]:
    """The frames of the truck's receiver in its first three seconds."""
    with open_recording(recording(TRUCK)) as lines:
        heard = [(now, each) for now, each in Candump(lines) if each.interface == "can1"]
    return [each for now, each in heard if now < heard[0][0] + 3]


def heard(frames: list[Frame], now: float = 0.0) -> Canmod:
    one = Canmod()
    for each in frames:
        one.feed(now, each)
    return one


def test_a_receiver_says_where_it_is(second: list[Frame]) -> None:
    values, quality = heard(second).snapshot(0)
    assert values[LATITUDE] == pytest.approx(41.41295, abs=1e-4)
    assert (len(values), quality) == (4, {})


def test_one_foreign_frame_and_nothing_is_believed(second: list[Frame]) -> None:
    for foreign in (frame(0x7E8, "03410D32"), frame(0x003, "00"), Frame(0x0CF00400, bytes(8), True, "can1")):
        assert heard([*second, foreign]).snapshot(0) == ({}, {})
        assert heard([foreign, *second]).snapshot(0) == ({}, {})


def test_a_foreign_frame_on_another_interface_does_no_harm(second: list[Frame]) -> None:
    assert heard([frame(0x7E8, "03410D32", "can0"), *second]).snapshot(0)[0]


def test_without_a_fix_there_is_no_position(second: list[Frame]) -> None:
    values, quality = heard([*second, frame(1, "00")]).snapshot(0)
    assert (values, set(quality.values())) == ({}, {"not_available"})


def test_a_receiver_that_falls_silent_is_stale(second: list[Frame]) -> None:
    assert set(heard(second).snapshot(LIMIT + 0.1)[1].values()) == {"stale"}


FRAMES = st.builds(
    Frame, st.integers(0, 12), st.binary(max_size=8), st.booleans(), st.sampled_from(["", "can0", "can1"])
)


@given(st.lists(FRAMES, max_size=60))
def test_whatever_is_heard_no_leaf_has_both_value_and_reason(frames: list[Frame]) -> None:
    values, quality = heard(frames).snapshot(0)
    Reading(values, quality)
    assert not set(values) & set(quality)


def test_many_interfaces_cost_little_memory() -> None:
    one = heard([frame(1, "03", f"can{number}") for number in range(1000)])
    assert len(one._heard) <= MAX_INTERFACES
