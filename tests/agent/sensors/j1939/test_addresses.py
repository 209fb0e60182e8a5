"""A control unit is its NAME: where it claims another address it is the same unit, with its faults and its rank."""

import pytest

from agent.sensors.can_frame import Frame
from agent.sensors.fields import ACTIVE_FAULTS
from agent.sensors.j1939.addresses import NO_ADDRESS
from agent.sensors.j1939.decoder import Decoder

ENGINE = "0D03A90100000010"  # of a real engine: tests/recordings, css_24v_keyon
OTHER = "0100A00100820020"
NO_FAULT, ONE_FAULT = "00FF00000000FFFF", "04FFD4030901FFFF"
HOURS = "custom.engine_hours"
ODOMETER = "odometer_reading"


def claim(source: int, name: str = ENGINE) -> Frame:
    return Frame(0x18EEFF00 | source, bytes.fromhex(name))


def faults(source: int, said: str = NO_FAULT) -> Frame:
    return Frame(0x18FECA00 | source, bytes.fromhex(said))


def hours(source: int, steps: int) -> Frame:
    return Frame(0x18FEE500 | source, steps.to_bytes(4, "little") + b"\xff" * 4)


def odometer(source: int, km: int) -> Frame:
    return Frame(0x18FEC100 | source, (km * 200).to_bytes(4, "little") + b"\xff" * 4)


@pytest.fixture
def decoder() -> Decoder:
    """Of a bus on which the engine, at 0, and the brakes, at 11, report no fault."""
    one = Decoder()
    for frame in (claim(0), faults(0), faults(11)):
        one.feed(0.0, frame)
    return one


def _sources(decoder: Decoder, at: float) -> list[int] | str:
    values, quality = decoder.snapshot(at)
    if ACTIVE_FAULTS not in values:
        return quality[ACTIVE_FAULTS]
    return [fault["source"] for fault in values[ACTIVE_FAULTS]]  # type: ignore[attr-defined]


def test_a_unit_that_claims_another_address_is_not_awaited_at_its_old_one(decoder: Decoder) -> None:
    decoder.feed(5.0, claim(128))
    for at in (40.0, 3000.0):
        decoder.feed(at, faults(128, ONE_FAULT))
        decoder.feed(at, faults(11))
        assert _sources(decoder, at) == [128]


def test_its_last_word_stands_until_it_speaks_from_there_and_that_is_awaited(decoder: Decoder) -> None:
    decoder.feed(4.0, faults(0, ONE_FAULT))
    decoder.feed(5.0, claim(128))
    assert _sources(decoder, 6.0) == [128]
    decoder.feed(40.0, faults(11))
    assert _sources(decoder, 40.0) == "stale"
    decoder.feed(41.0, faults(128))
    assert _sources(decoder, 41.0) == []


def test_what_stood_at_an_address_before_another_unit_claimed_it_is_not_that_unit_s(decoder: Decoder) -> None:
    decoder.feed(4.0, faults(0, ONE_FAULT))
    decoder.feed(5.0, claim(0, OTHER))
    decoder.feed(5.5, faults(0))
    decoder.feed(5.5, faults(11))
    assert _sources(decoder, 6.0) == "stale"  # the first one has to claim another address now
    decoder.feed(6.5, claim(128))
    assert _sources(decoder, 7.0) == [128]


def test_a_unit_that_was_replaced_is_not_awaited(decoder: Decoder) -> None:
    decoder.feed(5.0, claim(0, OTHER))
    for at in (30.0, 60.0):
        decoder.feed(at, faults(0))
        decoder.feed(at, faults(11))
    assert _sources(decoder, 34.0) == "stale"
    assert _sources(decoder, 60.0) == []


def test_of_a_unit_that_could_claim_no_address_nothing_is_known(decoder: Decoder) -> None:
    decoder.feed(5.0, claim(0, OTHER))
    decoder.feed(5.1, claim(NO_ADDRESS))
    decoder.feed(100.0, faults(0))
    decoder.feed(100.0, faults(11))
    assert _sources(decoder, 100.0) == "stale"


def test_a_claim_repeated_changes_nothing(decoder: Decoder) -> None:
    decoder.feed(1.0, claim(0))
    decoder.feed(1.0, Frame(0x18EEFF00, b"\x01"))
    assert _sources(decoder, 2.0) == []


def test_a_unit_keeps_its_rank_at_another_address(decoder: Decoder) -> None:
    """Else a lesser unit's hours and kilometres would follow those of the engine."""
    for at in (1.0, 2.0):
        decoder.feed(at, hours(0, 100_000))
        decoder.feed(at, odometer(0, 400_000))
        decoder.snapshot(at)
    decoder.feed(3.0, claim(128))
    for at in (3.5, 20.0, 21.0):
        for frame in (hours(128, 100_000), hours(39, 4000), odometer(128, 400_000), odometer(39, 77_000)):
            decoder.feed(at, frame)
        values, _ = decoder.snapshot(at)
        assert (values[HOURS], values[ODOMETER]) == (5000.0, 400_000.0)


def test_who_claims_the_first_unit_s_address_has_its_rank(decoder: Decoder) -> None:
    decoder.feed(1.0, claim(128))
    decoder.feed(2.0, claim(0, OTHER))
    for source, steps in ((0, 100_000), (128, 4000)):
        decoder.feed(3.0, hours(source, steps))
    assert decoder.snapshot(4.0)[0][HOURS] == 5000.0
