"""Messages are put together whole, in order and in time, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sensors.can_frame import Frame
from agent.sensors.obd2.isotp import TIMEOUT, IsoTp

VIN = b"\x49\x02\x011D4GP00R55B123456"
"""The example of ISO 15765-4: a vehicle's number in three frames."""
THREE = ("1014490201314434", "2147503030523535", "2242313233343536")


def frame(data: str, can_id: int = 0x7E8) -> Frame:
    return Frame(can_id, bytes.fromhex(data), extended=False)


def feed(*frames: Frame, step: float = 0.01) -> list[bytes]:
    one = IsoTp()
    return [payload for n, each in enumerate(frames) if (payload := one.feed(n * step, each)) is not None]


def test_a_single_frame_is_its_payload_without_the_padding() -> None:
    assert feed(frame("04410C1AF8AAAAAA")) == [bytes.fromhex("410C1AF8")]


def test_three_frames_make_one_message() -> None:
    assert feed(*map(frame, THREE)) == [VIN]


def test_two_units_may_speak_at_once() -> None:
    mixed = [each for data in THREE for each in (frame(data), frame(data, 0x7E9))]
    assert feed(*mixed) == [VIN, VIN]


def test_the_number_goes_round_after_fifteen() -> None:
    first, *rest = [bytes([0x10, 120]) + bytes(6), *(bytes([0x20 | n & 0xF]) + bytes([n] * 7) for n in range(1, 18))]
    (payload,) = feed(*(Frame(0x7E8, data, extended=False) for data in (first, *rest)))
    assert len(payload) == 120


@pytest.mark.parametrize(
    "frames",
    [
        (THREE[0], THREE[2], THREE[1]),
        (THREE[0], THREE[1], THREE[1], THREE[2]),
        (THREE[0], THREE[2]),
        (THREE[1], THREE[2]),
        (THREE[0], "2147", THREE[2]),
    ],
    ids=["swapped", "repeated", "lost", "without its first", "cut off"],
)
def test_what_is_not_whole_is_nothing(frames: tuple[str, ...]) -> None:
    assert feed(*map(frame, frames)) == []


def test_a_pause_ends_a_message() -> None:
    assert feed(*map(frame, THREE), step=TIMEOUT + 0.01) == []


def test_a_new_first_frame_begins_anew() -> None:
    assert feed(frame(THREE[0]), *map(frame, THREE)) == [VIN]


@pytest.mark.parametrize("data", ["", "00", "0841", "0341", "1005AABBCCDDEEFF", "30000A", "F0"])
def test_malformed_frames_are_nothing(data: str) -> None:
    assert feed(frame(data)) == []


@pytest.mark.parametrize("can_id", [0x7DF, 0x7E0, 0x7E7, 0x7F0, 0x000])
def test_only_the_eight_answering_identifiers_are_heard(can_id: int) -> None:
    assert feed(frame("03410D40", can_id)) == []


def test_a_29_bit_identifier_of_the_same_number_is_another() -> None:
    assert feed(Frame(0x7E8, bytes.fromhex("03410D40"))) == []


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(0x7E6, 0x7F1), st.binary(max_size=8)), max_size=60))
def test_whatever_is_heard_it_never_raises_and_holds_little(frames: list[tuple[float, int, bytes]]) -> None:
    one, now = IsoTp(), 0.0
    for step, can_id, data in frames:
        now += step
        payload = one.feed(now, Frame(can_id, data, extended=False))
        assert payload is None or 1 <= len(payload) <= 4095
    assert len(one._open) <= 8
