"""What goes when the buffer is full: the rule alone, then the file, then what the collector makes of it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.buffer.downsampling import LIVE, STEPS, Candidate, thin
from agent.buffer.sqlite import SqliteBuffer
from agent.publishing import status_reports
from agent.timing.clock import Moment
from collector.completeness.ledger import StreamLedger
from contract.control_messages import Report
from contract.ranges import Ranges

MB = 1024 * 1024
AT = "2026-01-31T12:00:01.000Z"
CANDIDATES = st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=400).map(
    lambda rows: [Candidate(n + 1, event, boot) for n, (event, boot) in enumerate(rows)]
)


@given(CANDIDATES, st.integers(0, 300))
def test_the_rule_keeps_events_edges_the_newest_and_every_nth(candidates: list[Candidate], want: int) -> None:
    dropped, step = thin(candidates, want)
    by_seq = {each.seq: each for each in candidates}
    assert step in STEPS
    assert len(dropped) <= want
    assert dropped == sorted(set(dropped))
    assert not set(dropped) & {each.seq for each in candidates[-LIVE:]}
    common = [seq for seq in dropped if seq % step and not by_seq[seq].event]
    if common == dropped:
        for seq in dropped:
            neighbours = [by_seq[n].boot for n in (seq - 1, seq + 1) if n in by_seq]
            assert neighbours == [by_seq[seq].boot] * 2
    else:  # nothing else was left to take
        rest = [each for each in candidates[:-LIVE] if each.seq % STEPS[-1] and not each.event]
        assert len(rest) < want or len(dropped) == want


def test_the_oldest_lose_detail_first() -> None:
    candidates = [Candidate(n, False, 1) for n in range(1, 1001)]
    assert thin(candidates, 6) == ([2, 3, 5, 6, 7, 9], 4)
    left = [each for each in candidates if each.seq == 1 or not each.seq % 4]
    assert thin(left, 3) == ([4, 8, 12], 16)


def _fill(buffer: SqliteBuffer, count: int) -> None:
    for n in range(count):
        moment = Moment(datetime(2026, 1, 31, tzinfo=UTC), f"boot-{n // 100}", float(n))
        document = {"sampled_at": "2026-01-31T12:00:00.000Z", "time_quality": "ntp", "x": "x" * 4000}
        buffer.append(document, moment, event=n % 20 == 10)


def test_what_was_sent_goes_first_and_nothing_else_while_that_is_enough(ram: Path) -> None:
    with SqliteBuffer(ram / "b.db", "T1", limit=MB) as buffer:
        _fill(buffer, 150)
        buffer.mark_sent(range(1, 141), at=AT)
        _fill(buffer, 130)
        assert buffer.dropped(limit=10) == []
        assert Ranges.of([(141, 280)]) - buffer.pending_ranges() == Ranges()
        assert (buffer.oldest_retained or 0) > 10
        assert buffer.resend(Ranges.of([(1, 10)])) == (Ranges(), Ranges.of([(1, 10)]))


def test_months_without_a_network_stay_within_the_limit_and_keep_every_event(ram: Path) -> None:
    """And a restart, and a waiting boot in between, change nothing about it."""
    path = ram / "b.db"
    for _ in range(2):
        with SqliteBuffer(path, "T1", limit=MB) as buffer:
            _fill(buffer, 700)
    with SqliteBuffer(path, "T1", limit=MB) as buffer:
        held = buffer.pending_ranges()
        assert sum(part.stat().st_size for part in ram.glob("b.db*")) < 2.2 * MB
        assert all(n in held for n in range(1, 1401) if (n - 1) % 700 % 20 == 10)
        assert all(n in held for n in (1, 100, 101, 200, 700, 701, 1400))
        dropped = buffer.dropped(limit=10**6)
        assert held | Ranges.of((run.first, run.last) for run in dropped) == Ranges.of([(1, 1400)])
        assert sum(run.last - run.first + 1 for run in dropped) + held.count == 1400


def test_the_collector_tells_thinned_from_lost_and_still_asks_for_what_was_kept(ram: Path) -> None:
    """A kept sample that the broker forgot is not in any thinned run: it is asked for, and comes."""
    with SqliteBuffer(ram / "b.db", "T1", limit=MB) as buffer:
        _fill(buffer, 500)
        kept = buffer.pending_ranges()
        numbers = [n for first, last in kept for n in range(first, last + 1)]
        buffer.mark_sent(numbers, at=AT)
        forgotten = Ranges.of_numbers(numbers[5:8])
        ledger = _repaired(buffer, StreamLedger().receive(kept - forgotten, 0))
        assert (ledger.received, ledger.gone) == (kept, Ranges())
        assert ledger.thinned == Ranges.of([(1, 500)]) - kept


def _repaired(buffer: SqliteBuffer, ledger: StreamLedger) -> StreamLedger:
    """The ledger after a report and as many asks and answers as it takes."""
    ledger = ledger.report(Report.model_validate_json(status_reports.report(buffer)), 1)
    now = 60_000
    for _ in range(400):
        now += 1_000
        ask, ledger = ledger.ask(now, 10_000)
        if not ledger.missing():
            break
        again, gone = buffer.resend(ask)
        if gone:
            ledger = ledger.report(Report.model_validate_json(status_reports.report(buffer, gone)), now)
        ledger = ledger.receive(again, now)
    assert not ledger.missing()
    return ledger


def test_what_was_thinned_is_never_told_as_gone_however_many_runs_there_are(
    ram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker forgot all of it, so that one long range is asked for, and a report holds a few runs of it."""
    monkeypatch.setattr(status_reports, "MAX_THINNED", 20)
    with SqliteBuffer(ram / "b.db", "T1", limit=MB) as buffer:
        _fill(buffer, 500)
        kept = buffer.pending_ranges()
        buffer.mark_sent([n for first, last in kept for n in range(first, last + 1)], at=AT)
        ledger = _repaired(buffer, StreamLedger())
        assert (ledger.received, ledger.gone) == (kept, Ranges())
        assert ledger.thinned == Ranges.of([(1, 500)]) - kept


def test_a_report_stays_small_however_much_was_thinned(ram: Path) -> None:
    with SqliteBuffer(ram / "b.db", "T1", limit=MB) as buffer:
        _fill(buffer, 800)
        message = status_reports.report(buffer, never_stored=[{"run": "r", "count": 3, "from": None, "to": None}])
        assert len(message) < 128 * 1024
        assert len(json.loads(message)["thinned"]) <= status_reports.MAX_THINNED
        assert json.loads(message)["never_stored"][0]["count"] == 3
