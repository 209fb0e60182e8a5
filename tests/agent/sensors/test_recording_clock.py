"""A recording's time line: it starts at 0, never goes back, and knows where a part ends."""

from hypothesis import given
from hypothesis import strategies as st

from agent.sensors.recording_clock import MAX_PAUSE, Tape


def tape(*stamps: float) -> Tape[int]:
    return Tape(iter([(stamp, at) for at, stamp in enumerate(stamps)]))


def times(one: Tape[int], until: float = 1e9) -> list[float]:
    return [round(now, 6) for now, _ in one.until(until)]


def test_it_starts_at_zero() -> None:
    assert times(tape(1635188455.5, 1635188456.0)) == [0, 0.5]


def test_a_piece_ends_at_its_target_and_the_next_goes_on() -> None:
    one = tape(0, 1, 2, 3)
    assert [times(one, 1), times(one, 2.5), times(one, 9)] == [[0, 1], [2], [3]]


def test_small_disorder_adds_no_time() -> None:
    assert times(tape(15.2, 14.94, 15.2, 14.99, 15.3)) == [0, 0, 0, 0, 0.1]


def test_a_clock_set_back_does_not_stop_the_time() -> None:
    assert times(tape(1000, 1001, 500, 501)) == [0, 1, 1, 2]


def test_a_long_pause_ends_the_part() -> None:
    one = tape(0, 1, 2 + MAX_PAUSE, 3 + MAX_PAUSE)
    assert times(one) == [0, 1]
    assert one.ended
    assert not one.finished


def test_the_next_part_starts_at_zero_again() -> None:
    one = tape(0, 1, 2 + MAX_PAUSE, 3 + MAX_PAUSE)
    times(one)
    one.turn()
    assert times(one) == [0, 1]
    assert one.finished


def test_an_empty_recording_is_finished_at_once() -> None:
    assert tape().finished
    assert tape().ended


@given(st.lists(st.floats(0, 1e10), max_size=40))
def test_time_never_goes_back_and_every_item_is_played_once(stamps: list[float]) -> None:
    one, played = tape(*stamps), []
    while not one.finished:
        part = list(one.until(float("inf")))
        assert [now for now, _ in part] == sorted(now for now, _ in part)
        played += [item for _, item in part]
        one.turn()
    assert played == list(range(len(stamps)))
