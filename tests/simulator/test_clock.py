"""Simulated time runs fast, never ahead of ours, and goes on where it was."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.timing.clock import SystemClock
from simulator.clock import SimulatedClock, planned_start

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Wall(SystemClock):
    """A wall clock that the test moves."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return 1000 + self.passed


@given(st.floats(0.1, 1e4), st.floats(-90_000, 60), st.lists(st.floats(0, 4000), max_size=20))
def test_never_later_than_now_and_never_back(speedup: float, start: float, steps: list[float]) -> None:
    """Whatever the speed and the start, a start in the future included."""
    wall = Wall()
    clock = SimulatedClock(NOW + timedelta(seconds=start), speedup, wall=wall)
    before = clock.now()
    for step in steps:
        wall.passed += step
        assert before <= clock.now() <= wall.now()
        before = clock.now()


@given(st.floats(0.1, 1000), st.floats(-90_000, 0), st.floats(0, 100_000))
def test_seconds_until_is_when_the_moment_has_come(speedup: float, start: float, ahead: float) -> None:
    """Waiting so long, in wall seconds, is exactly long enough."""
    wall = Wall()
    clock = SimulatedClock(NOW + timedelta(seconds=start), speedup, wall=wall)
    moment = clock.now() + timedelta(seconds=ahead)
    wall.passed += clock.seconds_until(moment)
    assert abs((clock.now() - moment).total_seconds()) < 0.01 * max(1, speedup)


@pytest.mark.parametrize("speedup", [1, 60, 600])
def test_a_planned_run_ends_at_now(speedup: float) -> None:
    """M minutes at a speed start so far back that simulated time and ours meet at the end."""
    wall = Wall()
    start = planned_start(NOW, speedup=speedup, minutes=2)
    clock = SimulatedClock(start, speedup, end=NOW + timedelta(minutes=2), wall=wall)
    assert clock.now() == NOW - timedelta(minutes=2 * (speedup - 1))
    wall.passed = 120
    assert clock.now() == wall.now()
    wall.passed = 150
    assert clock.now() == NOW + timedelta(minutes=2)
    assert clock.seconds_until(NOW + timedelta(minutes=3)) > 60


def test_without_an_end_it_catches_up_and_is_then_the_wall_clock() -> None:
    """It starts a day back, or at now where it is no faster."""
    wall = Wall()
    assert planned_start(NOW, speedup=1, minutes=None) == NOW
    clock = SimulatedClock(planned_start(NOW, speedup=61, minutes=None), 61, wall=wall)
    assert clock.now() == NOW - timedelta(days=1)
    wall.passed = 86_400 / 60 + 1
    assert clock.now() == wall.now()
    wall.passed += 5
    assert clock.now() == wall.now()
    assert clock.seconds_until(wall.now() + timedelta(seconds=7)) == 7


def test_slower_than_the_wall_clock_stays_slower() -> None:
    """It starts at now and falls behind; it is not taken for having caught up."""
    wall = Wall()
    clock = SimulatedClock(planned_start(NOW, speedup=0.5, minutes=2), 0.5, wall=wall)
    wall.passed = 60
    assert clock.now() == NOW + timedelta(seconds=30)
