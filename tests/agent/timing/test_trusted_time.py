"""Whom the agent believes."""

from datetime import UTC, datetime, timedelta

from agent.timing.trusted_time import CONFIRMATIONS, EARLIEST, HOLDOVER, LATEST, Anchor, Timekeeper

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_the_first_witness_dates_the_whole_boot() -> None:
    keeper = Timekeeper()
    assert keeper.witness(NOON, 100.0, "gps")
    assert keeper.anchor == Anchor(100.0, NOON, "gps")
    assert keeper.anchor.at(0.0) == NOON - 100 * SECOND
    assert keeper.anchor.covers(0.0)
    assert keeper.anchor.covers(100 + HOLDOVER)
    assert not keeper.anchor.covers(101 + HOLDOVER)


def test_a_rolled_over_week_and_a_doubly_corrected_one_are_never_believed() -> None:
    """1,024 weeks either way, however often they are said."""
    keeper = Timekeeper()
    for wrong in (NOON - timedelta(weeks=1024), NOON + timedelta(weeks=1024), EARLIEST - 60 * SECOND, LATEST):
        assert not any(keeper.witness(wrong + n * SECOND, float(n), "gps") for n in range(20))
    assert keeper.anchor is None
    assert keeper.witness(NOON, 30.0, "gps")


def test_a_slip_is_not_believed_and_what_is_said_steadily_is() -> None:
    for leap in (timedelta(hours=-3), timedelta(days=400), timedelta(seconds=30)):
        keeper = Timekeeper()
        keeper.witness(NOON, 0.0, "gps")
        assert not keeper.witness(NOON + leap, 60.0, "gps")
        assert keeper.witness(NOON + 120 * SECOND, 120.0, "gps")
        said = [keeper.witness(NOON + leap + n * 60 * SECOND, 60.0 * n, "gps") for n in range(3, 4 + CONFIRMATIONS)]
        assert said == [False] * (CONFIRMATIONS - 1) + [True, True]


def test_a_receiver_that_says_something_else_each_time_is_never_believed() -> None:
    keeper = Timekeeper()
    keeper.witness(NOON, 0.0, "gps")
    for n in range(1, 50):
        assert not keeper.witness(NOON + timedelta(hours=n * n), 60.0 * n, "gps")


def test_the_kernel_does_not_overrule_a_recent_fix() -> None:
    keeper = Timekeeper()
    keeper.witness(NOON, 0.0, "gps")
    assert not any(keeper.witness(NOON + timedelta(hours=1, minutes=n), 60.0 * n, "ntp") for n in range(1, 60))
    later = HOLDOVER + 60
    said = [keeper.witness(NOON + timedelta(hours=9, minutes=n), later + 60.0 * n, "ntp") for n in range(CONFIRMATIONS)]
    assert said[-1]


def test_time_does_not_run_backwards_across_boots_unless_it_was_wrong_before() -> None:
    keeper = Timekeeper(last=NOON)
    said = [keeper.witness(NOON - timedelta(hours=5) + n * 60 * SECOND, 60.0 * n, "gps") for n in range(CONFIRMATIONS)]
    assert said == [False] * (CONFIRMATIONS - 1) + [True]


def test_drift_within_reason_is_followed() -> None:
    keeper = Timekeeper()
    for n in range(100):
        assert keeper.witness(NOON + timedelta(seconds=n * 3600 * 1.0001), n * 3600.0, "ntp")


def test_a_time_line_that_runs_wrongly_by_a_twentieth_follows_its_witnesses() -> None:
    for pace in (1.05, 0.95):
        keeper = Timekeeper()
        for n in range(600):
            keeper.witness(NOON + 60 * n * SECOND, 60.0 * n * pace, "gps")
            assert keeper.anchor
            assert abs(keeper.anchor.at(60.0 * n * pace) - NOON - 60 * n * SECOND) < 20 * SECOND


def test_what_an_earlier_process_of_this_boot_knew_counts_unless_it_was_estimated() -> None:
    assert Timekeeper(Anchor(5.0, NOON, "ntp")).anchor == Anchor(5.0, NOON, "ntp")
    assert Timekeeper(Anchor(5.0, NOON, "estimated")).anchor is None
