"""Where undatable boots are put."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agent.timing.estimation import BootStretch, place

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
TIMES = st.integers(0, 100_000).map(lambda s: NOON + timedelta(seconds=s - 50_000))


def test_a_clock_that_was_right_is_left_alone() -> None:
    (placed,) = place([BootStretch(10, 70, NOON)], NOON - timedelta(hours=1), NOON + timedelta(hours=1))
    assert [placed.at(10), placed.at(70)] == [NOON, NOON + timedelta(minutes=1)]


def test_1970_is_moved_to_where_it_can_have_been() -> None:
    lower = NOON - timedelta(hours=1)
    (placed,) = place([BootStretch(10, 70, datetime(1970, 1, 1, tzinfo=UTC))], lower, None)
    assert placed.at(10) == lower


def test_two_boots_that_restart_at_the_same_saved_time_do_not_overlap() -> None:
    """fake-hwclock: both say noon; the second began after the first had ended."""
    first, second = place([BootStretch(0, 600, NOON), BootStretch(0, 600, NOON)], NOON, NOON + timedelta(hours=1))
    assert second.at(0) >= first.at(600)


@given(
    st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e4), TIMES), min_size=1, max_size=6), TIMES, st.none() | TIMES
)
def test_order_and_bounds_hold_whatever_the_clocks_said(
    given_: list[tuple[float, float, datetime]], lower: datetime, upper: datetime | None
) -> None:
    stretches = [BootStretch(min(a, b), max(a, b), wall) for a, b, wall in given_]
    times = [
        moment
        for stretch, placed in zip(stretches, place(stretches, lower, upper), strict=True)
        for moment in (placed.at(stretch.first), placed.at(stretch.last))
    ]
    jitter = timedelta(milliseconds=1)
    assert all(a <= b + jitter for a, b in pairwise(times))
    assert times[0] >= lower - jitter
    if upper is not None:
        assert times[-1] <= max(upper, lower) + jitter
