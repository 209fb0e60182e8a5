"""Losses before a number: added up per process, kept over restarts, in a file that a full disk cannot stop."""

from pathlib import Path

from agent.buffer.never_stored import SIZE, NeverStored
from contract.control_messages import Report

EARLY, LATE = "2026-11-28T10:00:00.000Z", "2026-11-28T10:05:00.000Z"


def test_counts_of_each_process_survive_it_and_never_fall(tmp_path: Path) -> None:
    path = tmp_path / "b.db.lost"
    first = NeverStored(path)
    assert path.stat().st_size == SIZE
    first.add(3, EARLY, EARLY)
    first.add(2, LATE, LATE)
    second = NeverStored(path)
    second.add(1, LATE, LATE)
    runs = NeverStored(path).runs
    assert [(run["count"], run["from"], run["to"]) for run in runs] == [(5, EARLY, LATE), (1, LATE, LATE)]
    assert path.stat().st_size == SIZE
    told = Report.model_validate({"stream_id": "s", "highest_seq": 1, "never_stored": runs})
    assert sum(run.count for run in told.never_stored) == 6


def test_many_processes_are_added_up_and_none_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "b.db.lost"
    for _ in range(60):
        NeverStored(path).add(1_000_000, EARLY, LATE)
    assert sum(run["count"] for run in NeverStored(path).runs) == 60_000_000
    assert path.stat().st_size == SIZE


def test_a_disk_that_takes_nothing_leaves_the_count_in_memory(tmp_path: Path) -> None:
    losses = NeverStored(tmp_path / "no folder" / "b.db.lost")
    losses.add(4, EARLY, LATE)
    assert losses.runs[0]["count"] == 4
