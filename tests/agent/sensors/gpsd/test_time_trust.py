"""When a receiver's date is believed, and when it is not."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sensors.gpsd.time_trust import FRESH, ROLLOVER, STEADY_ALONE, TimeTrust
from agent.timing.trusted_time import EARLIEST

TRUTH = datetime(2026, 11, 21, 10, tzinfo=UTC)
UNSET = datetime(1970, 1, 1, 0, 2, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def told(start: datetime, seconds: float, *, since: float = 0.0, trust: TimeTrust | None = None) -> TimeTrust:
    """A receiver that gives its time once a second, from `since` seconds after boot on."""
    one = trust or TimeTrust()
    for second in range(int(seconds) + 1):
        one.add_fix_time(since + second, start + timedelta(seconds=second))
    return one


def believed(one: TimeTrust, at: float, clock: datetime, *, synchronised: bool = False) -> datetime | None:
    return one.time(at, clock, synchronised=synchronised)


def test_without_a_fix_there_is_no_time() -> None:
    assert believed(TimeTrust(), 0, TRUTH) is None


def test_a_date_that_the_clock_backs_is_believed_after_three_reports() -> None:
    assert believed(told(TRUTH, 1), 1, TRUTH) is None
    assert believed(told(TRUTH, 2), 2, TRUTH) == TRUTH + timedelta(seconds=2)


def test_the_time_goes_on_between_reports() -> None:
    assert believed(told(TRUTH, 5), 5.4, TRUTH) == TRUTH + timedelta(seconds=5.4)


def test_without_a_dated_fix_for_long_the_time_is_not_known() -> None:
    one = told(TRUTH, 5)
    assert believed(one, 5 + FRESH, TRUTH) is not None
    assert believed(one, 5.1 + FRESH, TRUTH) is None


@pytest.mark.parametrize("behind", [HOUR, DAY, 60 * DAY])
def test_a_clock_that_stood_still_is_overruled_after_two_minutes(behind: timedelta) -> None:
    assert believed(told(TRUTH, STEADY_ALONE - 1), STEADY_ALONE - 1, TRUTH - behind) is None
    assert believed(told(TRUTH, STEADY_ALONE), STEADY_ALONE, TRUTH - behind) is not None


def test_a_clock_that_was_never_set_is_overruled_after_two_minutes() -> None:
    assert believed(told(TRUTH, 60), 60, UNSET) is None
    assert believed(told(TRUTH, STEADY_ALONE), STEADY_ALONE, UNSET) == TRUTH + timedelta(seconds=STEADY_ALONE)


@pytest.mark.parametrize("clock", [TRUTH, UNSET])
@pytest.mark.parametrize(
    "date",
    [
        TRUTH - ROLLOVER,
        TRUTH + ROLLOVER,
        TRUTH - 2 * ROLLOVER,
        EARLIEST - timedelta(seconds=1000),
        EARLIEST + ROLLOVER,
        datetime(1980, 1, 6, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 40, tzinfo=UTC),
    ],
    ids=str,
)
def test_a_date_outside_the_window_is_never_believed(date: datetime, clock: datetime) -> None:
    """1,024 weeks early or late among them, however long the receiver insists."""
    assert believed(told(date, 900), 900, clock) is None


@pytest.mark.parametrize("off", [-3 * DAY, -2 * HOUR, HOUR, DAY, 900 * DAY])
def test_a_synchronised_clock_is_never_overruled(off: timedelta) -> None:
    assert believed(told(TRUTH + off, 900), 900, TRUTH + timedelta(seconds=900), synchronised=True) is None


def test_a_synchronised_clock_backs_the_date() -> None:
    assert believed(told(TRUTH, 2), 2, TRUTH, synchronised=True) is not None


@pytest.mark.parametrize("off", [-3 * DAY, 500 * DAY])
def test_where_clock_and_receiver_lie_that_far_apart_neither_is_believed(off: timedelta) -> None:
    assert believed(told(TRUTH + off, 900), 900, TRUTH) is None


def test_a_leap_begins_anew() -> None:
    one = told(TRUTH, 10)
    assert believed(one, 10, TRUTH) is not None
    told(TRUTH + timedelta(seconds=40), 1, since=11, trust=one)
    assert (believed(one, 12, TRUTH), one.leaps) == (None, 1)


@pytest.mark.parametrize("leap", [-30, 30])
def test_after_a_leap_from_a_believed_date_two_minutes_must_pass(leap: int) -> None:
    one = told(TRUTH, 10)
    assert believed(one, 10, TRUTH) is not None
    new = TRUTH + timedelta(seconds=20 + leap)
    told(new, 100, since=20, trust=one)
    assert believed(one, 120, TRUTH + timedelta(seconds=120)) is None
    told(new + timedelta(seconds=101), 30, since=121, trust=one)
    assert believed(one, 151, TRUTH + timedelta(seconds=151)) is not None


def test_time_that_runs_too_fast_or_too_slow_is_not_believed() -> None:
    """A recording played at another pace."""
    for pace in (0.5, 0.95, 1.05, 20):
        one, known = TimeTrust(), []
        for second in range(400):
            one.add_fix_time(second, TRUTH + timedelta(seconds=second * pace))
            known.append(believed(one, second, UNSET))
        assert not any(known), pace


def test_uneven_reports_and_the_clocks_drift_do_not_disturb() -> None:
    one, known = TimeTrust(), []
    for second in range(2000):
        one.add_fix_time(second * 1.0003 + (second % 3) * 0.3, TRUTH + timedelta(seconds=second))
        known.append(believed(one, second * 1.0003 + 0.9, TRUTH + timedelta(seconds=second)))
    assert all(known[10:])


def test_many_reports_of_one_fix_are_one() -> None:
    one = TimeTrust()
    for tenth in range(30):
        one.add_fix_time(tenth / 10, TRUTH)
    assert believed(one, 3, TRUTH) is None


def test_a_receiver_that_is_stuck_is_not_believed() -> None:
    one = told(TRUTH, 10)
    for second in range(11, 30):
        one.add_fix_time(second, TRUTH + timedelta(seconds=10))
    assert believed(one, 30, TRUTH) is None


DATES = st.datetimes(datetime(1980, 1, 6), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(st.lists(st.tuples(st.floats(0.0, 100.0), DATES), max_size=30), DATES, st.booleans())
def test_whatever_a_receiver_says_no_time_outside_the_window_comes_of_it(
    said: list[tuple[float, datetime]], clock: datetime, synchronised: bool
) -> None:
    one, now = TimeTrust(), 0.0
    for step, date in said:
        now += step
        one.add_fix_time(now, date)
        time = believed(one, now, clock, synchronised=synchronised)
        assert time is None or EARLIEST <= time < EARLIEST + ROLLOVER
