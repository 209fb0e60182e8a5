"""What J1939 says beyond the wire's own fields: total fuel, engine hours, the second tank, the warning lamps."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.sensors.can_frame import Frame
from agent.sensors.candump import Candump
from agent.sensors.fields import ACTIVE_FAULTS, LAMPS
from agent.sensors.j1939.decoder import Decoder

FUEL, HOURS, TANK = "custom.total_fuel_used", "custom.engine_hours", "custom.fuel_level_2"
PROTECT, AMBER, RED, MALFUNCTION = LAMPS


def _values(*frames: tuple[int, str], at: float = 1.0) -> dict[str, object]:
    decoder = Decoder()
    for can_id, data in frames:
        decoder.feed(0.0, Frame(can_id, bytes.fromhex(data)))
    return decoder.snapshot(at)[0]


@pytest.mark.parametrize(
    ("can_id", "data", "leaf", "value"),
    [
        (0x18FEE900, "0000000040E20100", FUEL, 61_728.0),  # 123,456 × 0.5 L
        (0x18FEE900, "00000000FFFFFFFA", FUEL, 2_105_540_607.5),
        (0x18FEE500, "A0860100FFFFFFFF", HOURS, 5000.0),  # 100,000 × 0.05 h
        (0x18FEFC00, "FF7DFFFFFFFFC8FF", TANK, 80.0),
        (0x18FEFC00, "FFFFFFFFFFFF00FF", TANK, 0.0),
    ],
)
def test_a_total_is_read_by_the_standard(can_id: int, data: str, leaf: str, value: float) -> None:
    assert _values((can_id, data))[leaf] == value


@pytest.mark.parametrize(
    ("can_id", "data"),
    [
        (0x18FEE900, "00000000FFFFFFFF"),
        (0x18FEE500, "FFFFFFFEFFFFFFFF"),
        (0x18FEFC00, "FFFFFFFFFFFFFBFF"),
        (0x18FEE900, "00"),
    ],
)
def test_what_a_unit_does_not_have_is_left_out(can_id: int, data: str) -> None:
    assert not {FUEL, HOURS, TANK} & _values((can_id, data)).keys()


def test_the_engine_s_word_goes_before_another_s_and_what_is_old_is_left_out() -> None:
    frames = ((0x18FEE517, "40420F00FFFFFFFF"), (0x18FEE500, "A0860100FFFFFFFF"))
    assert _values(*frames)[HOURS] == 5000.0
    assert HOURS not in _values(*frames, at=51.0)


def test_the_lamps_that_any_unit_asks_for_are_on() -> None:
    """Each two bits of the first byte: malfunction, red stop, amber warning, protect."""
    off = _values((0x18FECA00, "00FF00000000FFFF"))
    assert {leaf: off[leaf] for leaf in LAMPS} == dict.fromkeys(LAMPS, False)
    two = _values((0x18FECA00, "04FF9B02090100FF"), (0x18FECA03, "43FF00000000FFFF"))
    assert {leaf: two.get(leaf) for leaf in LAMPS} == {PROTECT: False, AMBER: True, RED: False, MALFUNCTION: True}


def test_a_lamp_of_which_no_unit_says_anything_is_left_out() -> None:
    values = _values((0x18FECA00, "C3FF00000000FFFF"))
    assert MALFUNCTION not in values
    assert PROTECT not in values
    assert values[RED] is False


def test_lamps_are_known_only_where_all_faults_are(recording: Callable[[str], Path]) -> None:
    """On a real bus: beside a list of faults the lamps, without one none of them."""
    decoder, seen = Decoder(), set()
    with recording("j1939/css_truck_idle_11111111.log").open() as file:
        for number, (at, frame) in enumerate(Candump(file)):
            decoder.feed(at, frame)
            if number % 200 == 0:
                values, _ = decoder.snapshot(at)
                assert (ACTIVE_FAULTS in values) == bool(values.keys() & set(LAMPS))
                if ACTIVE_FAULTS in values:
                    seen.add(tuple(values.get(leaf) for leaf in LAMPS))
    assert seen == {(None, False, False, True)}, "lamps 43 FF: malfunction on, protect not available"


def test_a_real_unit_without_a_total_gives_none(recording: Callable[[str], Path]) -> None:
    """200 LFC frames whose total is FFFFFFFF."""
    import gzip

    decoder = Decoder()
    with gzip.open(recording("j1939/css_dm1_lfc_00000048.log.gz"), "rt") as file:
        for at, frame in Candump(file):
            decoder.feed(at, frame)
            assert FUEL not in decoder.snapshot(at)[0]


def test_extremes_of_tyres_stand_at_their_corners() -> None:
    """Which location is which corner is known at the end of the interval."""
    decoder = Decoder()
    for number, kpa in enumerate((800, 700, 760)):
        for location, more in ((0x00, 0), (0x01, 20), (0x10, 40), (0x13, 60)):
            data = bytes((location, (kpa + more) // 4)) + b"\xff" * 6
            decoder.feed(10.0 * number, Frame(0x18FEF433, data))
    interval = decoder.end_interval(25.0)
    assert interval
    found = {leaf.rpartition(".")[2]: (spread.low, spread.high) for leaf, spread in interval.spreads.items()}
    assert found == {
        "front_left": (101.53, 116.03),
        "front_right": (104.43, 118.93),
        "rear_left": (107.33, 121.83),
        "rear_right": (110.23, 124.73),
    }


def test_a_total_is_no_other_unit_s_while_the_engine_is_silent() -> None:
    decoder = Decoder()
    engine, reefer = (
        Frame(0x18FEE500, bytes.fromhex("A0860100FFFFFFFF")),
        Frame(0x18FEE521, bytes.fromhex("40420F00FFFFFFFF")),
    )
    decoder.feed(0.0, reefer)
    assert decoder.snapshot(1.0)[0][HOURS] == 50_000.0
    decoder.feed(2.0, engine)
    decoder.snapshot(3.0)
    decoder.feed(100.0, reefer)
    assert HOURS not in decoder.snapshot(101.0)[0]
    decoder.feed(102.0, engine)
    assert decoder.snapshot(103.0)[0][HOURS] == 5000.0
