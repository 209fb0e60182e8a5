"""The data budget of a day."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.json_state_file import JsonStateFile
from agent.publishing.data_budget import DataBudget

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Day:
    """A budget of so many MB, its file, and a clock to turn."""

    def __init__(self, folder: Path, daily: float | None) -> None:
        self.now, self.daily, self.file = NOON, daily, JsonStateFile(folder / "budget")
        self.budget = self.start()

    def start(self) -> DataBudget:
        """As after a restart."""
        return DataBudget(self.daily, 60, self.file, lambda: self.now)


def test_the_backlog_leaves_what_the_live_samples_of_the_day_will_need(tmp_path: Path) -> None:
    """At noon 720 samples of 700 B are to come: half a megabyte. Then live samples alone, until all is spent."""
    day = Day(tmp_path, 2.0)
    assert day.budget.open() == "all"
    sent = 0
    while day.budget.open() == "all":
        day.budget.spend("fleet/T1/telemetry/batch", 100_000)
        sent += 1
    assert sent == 15
    assert day.budget.open() == "live"
    while day.budget.open() == "live":
        day.budget.spend("fleet/T1/telemetry", 700, live=1)
    assert day.budget.open() == "none"
    assert 2_000_000 <= day.budget.spent < 2_001_000


def test_live_samples_that_go_together_are_reckoned_one_by_one(tmp_path: Path) -> None:
    """Five of 700 B in a message: at noon half a megabyte is kept for the 720 to come, not five times that."""
    day = Day(tmp_path, 2.0)
    day.budget.open()
    for _ in range(100):
        day.budget.spend("fleet/T1/telemetry/batch", 3_500, live=5)
    assert day.budget.open() == "all"


def test_the_next_day_has_a_new_one(tmp_path: Path) -> None:
    day = Day(tmp_path, 2.0)
    day.budget.open()
    day.budget.spend("t", 2_000_000)
    assert day.budget.open() == "none"
    day.now += timedelta(hours=13)
    assert day.budget.open() == "all"
    assert day.budget.spent == 0


def test_a_restart_gives_no_second_budget_whether_clean_or_not(tmp_path: Path) -> None:
    """A kill may cost a step of 64 KiB, never gain one."""
    day = Day(tmp_path, 10.0)
    day.budget.open()
    for _ in range(20):
        day.budget.spend("t", 100_000)
    spent = day.budget.spent
    killed = day.start()
    killed.open()
    assert spent <= killed.spent <= spent + 64 * 1024
    day.budget.close()
    clean = day.start()
    clean.open()
    assert clean.spent == spent


def test_a_clock_that_starts_in_the_past_gives_no_second_budget(tmp_path: Path) -> None:
    """Each boot begins in another day until the time is known; then what was spent today is spent still."""
    day = Day(tmp_path, 2.0)
    day.budget.open()
    day.budget.spend("t", 1_500_000)
    day.budget.close()
    for wrong in (datetime(1970, 1, 1, tzinfo=UTC), NOON - timedelta(days=1), NOON + timedelta(days=400)):
        day.now = wrong
        booted = day.start()
        booted.open()
        booted.spend("t", 100)
        day.now = NOON
        booted.open()
        assert booted.spent >= 1_500_000
        booted.close()
    day.now += timedelta(days=1)
    assert booted.open() == "all"
    assert booted.spent == 0


def test_without_a_bound_nothing_is_counted_or_written(tmp_path: Path) -> None:
    day = Day(tmp_path, None)
    day.budget.spend("t", 10**9)
    day.budget.close()
    assert day.budget.open() == "all"
    assert not (tmp_path / "budget").exists()


def test_a_file_that_makes_no_sense_is_as_none(tmp_path: Path) -> None:
    for garbage in ("", "[1]", '{"day": 5, "spent": "x"}', "{"):
        (tmp_path / "budget").write_text(garbage)
        assert Day(tmp_path, 2.0).budget.open() == "all"
