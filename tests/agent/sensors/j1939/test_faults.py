"""DM1: lamps, trouble codes, and what means that there is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sensors.j1939.faults import Fault, decode_dm1


def test_lamps_and_codes_of_a_real_engine() -> None:
    dm1 = decode_dm1(bytes.fromhex("43FF D403097E 900C1402".replace(" ", "")))
    assert dm1 is not None
    assert (dm1.malfunction, dm1.red_stop, dm1.amber_warning, dm1.protect) == (1, 0, 0, 3)
    assert dm1.faults == (Fault(980, 9, 126), Fault(3216, 20, 2))


@pytest.mark.parametrize("data", ["FFFF00000000FFFF", "00FF00000000", "FFFFFFFFFFFFFFFF"])
def test_no_code_is_an_empty_list(data: str) -> None:
    dm1 = decode_dm1(bytes.fromhex(data))
    assert dm1 is not None
    assert dm1.faults == ()


def test_the_highest_spn_uses_all_19_bits() -> None:
    dm1 = decode_dm1(bytes.fromhex("00FFFFFFFF01"))
    assert dm1 is not None
    assert dm1.faults == (Fault(0x7FFFF, 31, 1),)


def test_an_unknown_count_is_none() -> None:
    dm1 = decode_dm1(bytes.fromhex("00FFD403097F"))
    assert dm1 is not None
    assert dm1.faults[0].occurrences is None


def test_repeated_codes_are_kept_as_sent() -> None:
    dm1 = decode_dm1(bytes.fromhex("00FF" + "D403097E" * 3))
    assert dm1 is not None
    assert len(dm1.faults) == 3


def test_too_short_for_one_code_is_no_dm1() -> None:
    assert decode_dm1(bytes(5)) is None


@given(st.binary(max_size=1785))
def test_any_bytes_give_codes_that_the_wire_accepts(data: bytes) -> None:
    dm1 = decode_dm1(data)
    for fault in dm1.faults if dm1 else ():
        assert 0 <= fault.spn <= 524_287
        assert 0 <= fault.fmi <= 31
        assert fault.occurrences is None or 0 <= fault.occurrences <= 126
