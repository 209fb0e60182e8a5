"""Losses before a number: added up per process, kept over restarts, in a file that a full disk cannot stop."""

from pathlib import Path

import pytest

from agent.buffer.never_stored import SIZE, SLOT, NeverStored
from collector.completeness.ledger import StreamLedger
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


def test_a_receiver_that_keeps_the_highest_count_of_each_run_counts_every_loss_once(tmp_path: Path) -> None:
    """Sixty lives of the agent, a report after each: what the ledger makes of them is what was lost."""
    path, ledger, lost = tmp_path / "b.db.lost", StreamLedger(), 0
    for life in range(1, 61):
        losses = NeverStored(path)
        losses.add(life, EARLY, LATE)
        lost += life
        said = {"stream_id": "s", "highest_seq": 0, "never_stored": losses.runs}
        ledger = ledger.report(Report.model_validate(said), 0)
        assert sum(count for _, count in ledger.never_stored) == lost
    assert path.stat().st_size == SIZE


@pytest.mark.parametrize("torn_at", [0, 100, SLOT - 20, SLOT, SLOT + 100])
def test_a_torn_write_costs_at_most_the_last_count(tmp_path: Path, torn_at: int) -> None:
    path = tmp_path / "b.db.lost"
    losses = NeverStored(path)
    for _ in range(3):
        losses.add(10, EARLY, LATE)
    content = bytearray(path.read_bytes())
    content[torn_at : torn_at + 20] = b"\0" * 20
    path.write_bytes(content)
    assert NeverStored(path).runs[0]["count"] in (20, 30)


def test_a_disk_that_takes_nothing_leaves_the_count_in_memory(tmp_path: Path) -> None:
    losses = NeverStored(tmp_path / "no folder" / "b.db.lost")
    losses.add(4, EARLY, LATE)
    assert losses.runs[0]["count"] == 4
