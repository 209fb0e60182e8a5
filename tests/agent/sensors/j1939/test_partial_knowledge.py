"""What is known in part only is not said as if it were whole: a pair of coordinates, and the list of faults."""

from collections.abc import Callable

import pytest

from agent.sensors.can_frame import Frame
from agent.sensors.candump import parse_line
from agent.sensors.fields import ACTIVE_FAULTS
from agent.sensors.j1939.decoder import Decoder
from agent.sensors.j1939.signals import CORNERS
from agent.sensors.plausibility import LATITUDE, LONGITUDE

ZERO = "(0.0) can0 18FEF31C#00752B7D00752B7D"
HALF = "(0.0) can0 18FEF30B#40EFD699FFFFFFFF"
WHOLE = "(0.0) can0 18FEF31C#4052769C80222885"
NO_FAULT = "18FECA{:02X}#00FF00000000FFFF"
ONE_FAULT = "18FECA{:02X}#04FFD4030901FFFF"
ANNOUNCED = "18ECFF00#200A0002FFCAFE00"  # a DM1 of ten bytes in two packets, broadcast by the engine
FIRST, SECOND = "18EBFF00#0104FFD4030901D4", "18EBFF00#02040901FFFFFFFF"


def frames(*texts: str) -> list[Frame]:
    found = [parse_line(text if text.startswith("(") else f"(0.0) can0 {text}") for text in texts]
    return [each[1] for each in found if each]


@pytest.fixture
def heard() -> Callable[..., Decoder]:
    def make(*texts: str) -> Decoder:
        one = Decoder()
        for each in frames(*texts):
            one.feed(0.0, each)
        return one

    return make


def test_nowhere_is_no_place(heard: Callable[..., Decoder]) -> None:
    values, quality = heard(ZERO).snapshot(0.0)
    assert LATITUDE not in values
    assert (quality[LATITUDE], quality[LONGITUDE]) == ("implausible", "implausible")


def test_half_a_position_is_none(heard: Callable[..., Decoder]) -> None:
    values, quality = heard(HALF).snapshot(0.0)
    assert not {LATITUDE, LONGITUDE} & values.keys()
    assert quality[LATITUDE] == quality[LONGITUDE] == "not_available"


def test_both_coordinates_come_from_one_source(heard: Callable[..., Decoder]) -> None:
    alone, together = heard(WHOLE).snapshot(0.0)[0], heard(HALF, WHOLE).snapshot(0.0)[0]
    assert (together[LATITUDE], together[LONGITUDE]) == (alone[LATITUDE], alone[LONGITUDE])


def test_a_place_that_cannot_be_reached_is_implausible(heard: Callable[..., Decoder]) -> None:
    one = heard(WHOLE)
    one.snapshot(0.0)
    one.feed(60.0, Frame(0x18FEF31C, bytes.fromhex("80B26E6900000000")))
    assert one.snapshot(60.0)[1][LATITUDE] == "implausible"


def test_a_lost_packet_of_a_fault_report_does_not_say_that_there_is_none(heard: Callable[..., Decoder]) -> None:
    one = heard(NO_FAULT.format(11), ANNOUNCED, FIRST)
    assert one.snapshot(0.5)[0][ACTIVE_FAULTS] == []  # the report is still on its way
    values, quality = one.snapshot(3.0)
    assert ACTIVE_FAULTS not in values
    assert quality[ACTIVE_FAULTS] == "error"


def test_the_same_report_heard_whole_is_said(heard: Callable[..., Decoder]) -> None:
    values, _ = heard(NO_FAULT.format(11), ANNOUNCED, FIRST, SECOND).snapshot(3.0)
    assert isinstance(values[ACTIVE_FAULTS], list)
    assert {fault["source"] for fault in values[ACTIVE_FAULTS]} == {0}


def test_a_unit_that_falls_silent_with_a_fault_is_waited_for(heard: Callable[..., Decoder]) -> None:
    one = heard(ONE_FAULT.format(0))
    for now in (40.0, 100_000.0):
        one.feed(now, *frames(NO_FAULT.format(11)))
        values, quality = one.snapshot(now)
        assert ACTIVE_FAULTS not in values
        assert quality[ACTIVE_FAULTS] == "stale"


def test_a_unit_without_a_fault_that_is_gone_for_an_hour_is_forgotten(heard: Callable[..., Decoder]) -> None:
    one = heard(NO_FAULT.format(0x40))
    one.feed(3000.0, *frames(NO_FAULT.format(0)))
    assert one.snapshot(3000.0)[1][ACTIVE_FAULTS] == "stale"
    one.feed(3700.0, *frames(NO_FAULT.format(0)))
    assert one.snapshot(3700.0)[0][ACTIVE_FAULTS] == []


def test_on_a_bus_come_upon_nothing_is_said_of_faults_before_every_unit_had_its_turn() -> None:
    one = Decoder(live=True)
    brakes, engine = frames(NO_FAULT.format(0x0B), ONE_FAULT.format(0))
    one.feed(0.0, brakes)
    assert one.snapshot(0.5)[1][ACTIVE_FAULTS] == "stale"
    one.feed(0.9, engine)
    one.feed(1.0, brakes)
    assert [each["spn"] for each in one.snapshot(2.0)[0][ACTIVE_FAULTS]] == [980]  # type: ignore[attr-defined]


def test_a_report_whose_beginning_nobody_heard_is_waited_for() -> None:
    one = Decoder(live=True)
    announced, first, second, brakes = frames(ANNOUNCED, FIRST, SECOND, NO_FAULT.format(0x0B))
    one.feed(0.0, brakes)
    one.feed(0.1, second)
    assert one.snapshot(3.0)[1][ACTIVE_FAULTS] == "error"
    for at, frame in ((3.1, announced), (3.15, first), (3.2, second), (3.3, brakes)):
        one.feed(at, frame)
    assert len(one.snapshot(3.4)[0][ACTIVE_FAULTS]) == 2  # type: ignore[arg-type]


def test_an_inner_tyre_is_not_told_as_the_other_side_before_all_had_their_turn() -> None:
    one = Decoder(live=True)
    tyres = frames(*(f"18FEF433#{place:02X}C8FFFFFFFFFFFF" for place in (0x00, 0x01, 0x02, 0x03)))
    for at, frame in zip((0.0, 1.0, 8.0, 9.0), tyres, strict=True):
        one.feed(at, frame)
    assert not set(CORNERS) & one.snapshot(2.0)[0].keys()
    assert set(CORNERS[:2]) <= one.snapshot(10.0)[0].keys()
