"""Answers of control units become leaves: the newest, fresh ones, by preference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sensors import Reading
from agent.sensors.can_frame import Frame
from agent.sensors.obd2.decoder import Obd2Decoder
from agent.sensors.obd2.pids import PIDS, answers, supported

ENGINE = "engine_diagnostics"
RPM = f"{ENGINE}.engine_rpm"
LEAVES = {pid.leaf for pid in PIDS.values() if pid.leaf}


def frame(data: str, can_id: int = 0x7E8) -> Frame:
    return Frame(can_id, bytes.fromhex(data), extended=False)


def decoder(*frames: Frame, step: float = 0.0) -> Obd2Decoder:
    one = Obd2Decoder()
    for number, each in enumerate(frames):
        one.feed(number * step, each)
    return one


@pytest.mark.parametrize(
    ("data", "leaf", "value"),
    [
        ("0341057B", f"{ENGINE}.engine_temperature", 83.0),
        ("04410C1AF8", RPM, 1726.0),
        ("03410D32", "vehicle_speed", 50.0),
        ("03412F80", f"{ENGINE}.fuel_level", 50.2),
        ("03413365", "environmental_conditions.atmospheric_pressure", 1010.0),
        ("0441422F6C", f"{ENGINE}.battery_voltage", 12.14),
        ("03414632", "environmental_conditions.temperature", 10.0),
        ("04415E00C8", "fuel_consumption", 10.0),
        ("0641A600012345", "odometer_reading", 7456.5),
    ],
)
def test_each_parameter_reaches_its_leaf_in_the_wires_unit(data: str, leaf: str, value: float) -> None:
    assert decoder(frame(data)).snapshot(0.0)[0] == {leaf: value}


def test_before_any_answer_everything_is_not_available() -> None:
    values, quality = Obd2Decoder().snapshot(0.0)
    assert (values, quality) == ({}, dict.fromkeys(LEAVES, "not_available"))


@pytest.mark.parametrize("data", ["037F0112", "0541000102AA", "03430102", "024105", "0241", "03490201"])
def test_what_is_no_answer_of_ours_says_nothing(data: str) -> None:
    assert decoder(frame(data)).snapshot(0.0)[0] == {}


def test_several_parameters_in_one_message_are_all_read() -> None:
    payload = bytes.fromhex("41 0C1AF8 0D32 057B 2F80")
    assert [pid for pid, _ in answers(payload)] == [0x0C, 0x0D, 0x05, 0x2F]


def test_behind_an_unknown_parameter_nothing_is_read() -> None:
    assert [pid for pid, _ in answers(bytes.fromhex("41 0D32 FE00 057B"))] == [0x0D]


def test_a_multi_frame_answer_reaches_its_leaves() -> None:
    one = decoder(frame("100A410C1AF80D32"), frame("21057B2F80AAAAAA"))
    assert len(one.snapshot(0.0)[0]) == 4


def test_a_fast_parameter_is_stale_after_five_seconds() -> None:
    one = decoder(frame("04410C1AF8"))
    assert one.snapshot(5.0)[0] == {RPM: 1726.0}
    assert one.snapshot(5.1)[1][RPM] == "stale"


def test_a_slow_parameter_may_be_silent_for_five_periods() -> None:
    one = decoder(frame("03412F80"))
    assert f"{ENGINE}.fuel_level" in one.snapshot(50.0)[0]
    assert one.snapshot(50.1)[1][f"{ENGINE}.fuel_level"] == "stale"


def test_the_engines_unit_is_preferred_and_a_contradiction_counted() -> None:
    one = decoder(frame("04410C1AF8", 0x7EA), frame("04410C0BB8"))
    assert one.snapshot(0.0)[0][RPM] == 750.0
    assert [(each.preferred, each.other) for each in one.disagreements] == [(0x7E8, 0x7EA)]


def test_an_odometer_that_leaps_is_implausible() -> None:
    one = decoder(frame("0641A600012345"))
    one.snapshot(0.0)
    one.feed(10.0, frame("0641A60F012345"))
    assert one.snapshot(10.0)[1]["odometer_reading"] == "implausible"


def test_the_bitmaps_say_what_units_have() -> None:
    assert sorted(supported(0x00, bytes.fromhex("BE1FA813")))[:6] == [1, 3, 4, 5, 6, 7]
    assert decoder(frame("064120A0000001")).known == {0x20: {0x21, 0x23, 0x40}}


@given(st.lists(st.tuples(st.floats(0, 60), st.integers(0x7E8, 0x7EF), st.binary(max_size=8)), max_size=40))
def test_whatever_is_heard_each_leaf_has_a_value_or_a_reason(heard: list[tuple[float, int, bytes]]) -> None:
    one = Obd2Decoder()
    for now, can_id, data in heard:
        one.feed(now, Frame(can_id, data, extended=False))
    values, quality = one.snapshot(60.0)
    Reading(values, quality)
    assert set(values) | set(quality) == LEAVES
    assert not set(values) & set(quality)


@given(st.binary(max_size=100))
def test_any_payload_is_read_without_raising(payload: bytes) -> None:
    for pid, data in answers(payload):
        assert 0 <= pid <= 255
        assert data


def test_a_value_that_is_asked_for_each_seven_seconds_is_not_stale_between_two_answers() -> None:
    one = Obd2Decoder()
    for second in (0.0, 7.0, 14.0):
        one.feed(second, Frame(0x7E8, bytes.fromhex("03410D3200000000"), extended=False))
    assert one.snapshot(20.9)[0]["vehicle_speed"] == 50
    assert one.snapshot(14 + 21.1)[1]["vehicle_speed"] == "stale"


def test_one_answer_after_a_pause_is_no_rare_value() -> None:
    one = Obd2Decoder()
    for second in (0.0, 1.0, 2.0, 3600.0):
        one.feed(second, Frame(0x7E8, bytes.fromhex("03410D3200000000"), extended=False))
    assert one.snapshot(3604.9)[0]["vehicle_speed"] == 50
    assert one.snapshot(3605.1)[1]["vehicle_speed"] == "stale"
