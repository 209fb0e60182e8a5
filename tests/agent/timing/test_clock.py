"""The machine's clock."""

from datetime import UTC, datetime, timedelta

from agent.timing.clock import SystemClock, kernel_synchronised


def test_now_is_aware_utc_and_waits_are_wall_seconds() -> None:
    clock = SystemClock()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1)
    assert 59 < clock.seconds_until(clock.now() + timedelta(minutes=1)) <= 60
    assert clock.seconds_until(clock.now() - timedelta(minutes=1)) < 0


def test_quality_is_what_the_kernel_says() -> None:
    assert SystemClock().quality() == ("ntp" if kernel_synchronised() else "estimated")
