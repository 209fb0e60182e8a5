"""Losses before a number: added up per process, kept over restarts, in a file that a full disk cannot stop."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent.buffer.never_stored import SIZE, SLOT, NeverStoredCounts, holding
from collector.completeness.ledger import StreamLedger
from contract.control_messages import Report

EARLY, LATE = "2026-11-28T10:00:00.000Z", "2026-11-28T10:05:00.000Z"


def test_counts_of_each_process_survive_it_and_never_fall(tmp_path: Path) -> None:
    path = tmp_path / "b.db.lost"
    first = NeverStoredCounts(path)
    assert path.stat().st_size == SIZE
    first.add(3, EARLY, EARLY)
    first.add(2, LATE, LATE)
    second = NeverStoredCounts(path)
    second.add(1, LATE, LATE)
    runs = NeverStoredCounts(path).runs
    assert [(run["count"], run["from"], run["to"]) for run in runs] == [(5, EARLY, LATE), (1, LATE, LATE)]
    assert path.stat().st_size == SIZE
    told = Report.model_validate({"stream_id": "s", "highest_seq": 1, "never_stored": runs})
    assert sum(run.count for run in told.never_stored) == 6


def test_a_receiver_that_keeps_the_highest_count_of_each_run_counts_every_loss_once(tmp_path: Path) -> None:
    """Sixty lives of the agent, a report after each: what the ledger makes of them is what was lost."""
    path, ledger, lost = tmp_path / "b.db.lost", StreamLedger(), 0
    for life in range(1, 61):
        losses = NeverStoredCounts(path)
        losses.add(life, EARLY, LATE)
        lost += life
        said = {"stream_id": "s", "highest_seq": 0, "never_stored": losses.runs}
        ledger = ledger.report(Report.model_validate(said), 0)
        assert sum(count for _, count in ledger.never_stored) == lost
    assert path.stat().st_size == SIZE


@pytest.mark.parametrize("torn_at", [0, 100, SLOT - 20, SLOT, SLOT + 100])
def test_a_torn_write_costs_at_most_the_last_count(tmp_path: Path, torn_at: int) -> None:
    path = tmp_path / "b.db.lost"
    losses = NeverStoredCounts(path)
    for _ in range(3):
        losses.add(10, EARLY, LATE)
    content = bytearray(path.read_bytes())
    content[torn_at : torn_at + 20] = b"\0" * 20
    path.write_bytes(content)
    assert NeverStoredCounts(path).runs[0]["count"] in (20, 30)


def test_a_disk_that_takes_nothing_leaves_the_count_in_memory(tmp_path: Path) -> None:
    losses = NeverStoredCounts(tmp_path / "no folder" / "b.db.lost")
    losses.add(4, EARLY, LATE)
    assert losses.runs[0]["count"] == 4


HOLDS = """
import os, sys
from pathlib import Path
from agent.buffer.never_stored import NeverStoredCounts
losses = NeverStoredCounts(Path(sys.argv[1]))
for count in range(1, 7):
    losses.hold(count, sys.argv[2], "disk full")
if sys.argv[3] == "released":
    losses.release()
os._exit(1)
"""


@pytest.mark.parametrize(("how", "lost"), [("killed", 4), ("released", 0)])
def test_what_a_killed_process_held_counts_as_lost_as_far_as_it_is_known(tmp_path: Path, how: str, lost: int) -> None:
    """It is written at each doubling, so at least half; and once only, however often the agent starts again."""
    path = tmp_path / "b.db.lost"
    subprocess.run([sys.executable, "-c", HOLDS, str(path), EARLY, how], check=False)
    assert holding(path) is None, "that process has ended"
    for _ in range(3):
        assert sum(run["count"] for run in NeverStoredCounts(path).runs) == lost


def test_what_is_held_and_what_of_it_is_lost_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "b.db.lost"
    losses = NeverStoredCounts(path)
    losses.hold(8, EARLY, "disk full")
    losses.add(3, EARLY, LATE, held=5)
    held = holding(path)
    assert held
    assert (held.count, held.since, held.reason) == (5, EARLY, "disk full")
    losses.add(5, EARLY, LATE)
    assert holding(path) is None
    assert losses.runs[0]["count"] == 8
