"""What the mark keeps until the buffer file has it: nothing is forgotten, whoever ends or refuses what and when."""

import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.buffer import Draft
from agent.buffer.inspection import copy_of, glance
from agent.buffer.sqlite import SqliteBuffer
from agent.timing.clock import Moment
from contract.errors import Retryable
from contract.ranges import Ranges

DOCUMENT = {"sampled_at": "2026-01-31T12:00:00.000Z", "time_quality": "ntp", "vehicle_speed": 80.5}
AT = "2026-01-31T12:00:01.000Z"
MOMENT = Moment(datetime(2026, 1, 31, 12, tzinfo=UTC), "boot-1", 7.5)


def _killed(buffer: SqliteBuffer, path: Path) -> Path:
    """The buffer as a kill would leave it now."""
    left = path.parent.with_name("left")
    shutil.rmtree(left, ignore_errors=True)
    shutil.copytree(path.parent, left)
    return left / path.name


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a buffer in a folder of its own."""
    return tmp_path / "truck" / "b.db"


def test_a_sample_that_waits_for_its_time_has_all_that_it_is_dated_by_after_a_kill(path: Path) -> None:
    with SqliteBuffer(path, "T1") as buffer:
        buffer.append(DOCUMENT, MOMENT, waits=True)
        with SqliteBuffer(_killed(buffer, path), "T1") as left:
            (boot,) = left.boots()
            assert left.waiting() == buffer.waiting() == [Draft(1, boot.number, 7.5, MOMENT.wall)]
            assert boot.name == "boot-1"
            assert (left.counts().waiting, left.highest_seq) == (1, 1)


def test_each_kill_after_each_step_leaves_what_was_promised(path: Path) -> None:
    """Samples of all sizes, some that the mark has no place for; and every acknowledgement."""
    with SqliteBuffer(path, "T1") as buffer:
        for number in range(1, 36):
            document = {**DOCUMENT, "text": "x" * (20_000 if number % 17 == 0 else number % 7 * 900)}
            row = buffer.append(document, MOMENT)
            if number % 3:
                buffer.mark_sent([number], at=AT)
            with SqliteBuffer(_killed(buffer, path), "T1") as left:
                assert left.highest_seq == number
                assert left.pending_ranges() == buffer.pending_ranges()
                assert left.resend(Ranges.of([(number, number)])) == (Ranges.of([(number, number)]), Ranges())
                assert left.pending(after=number - 1, through=number, limit=1) == [row]


def test_a_copy_has_what_the_mark_keeps(path: Path) -> None:
    """Backups and the simulator's ledger read copies."""
    with SqliteBuffer(path, "T1") as buffer:
        for _ in range(30):
            buffer.append(DOCUMENT, MOMENT)
        buffer.append(DOCUMENT, MOMENT, waits=True)
        buffer.mark_sent([1, 30], at=AT)
        with copy_of(path) as copy:
            assert copy.execute("SELECT count(*), max(seq) FROM samples").fetchone() == (30, 30)
            assert copy.execute("SELECT seq FROM drafts").fetchall() == [(31,)]
            assert copy.execute("SELECT seq FROM sent").fetchall() == [(1,), (30,)]


def test_what_was_asked_for_again_is_not_called_sent_by_an_older_word_of_the_mark(path: Path) -> None:
    with SqliteBuffer(path, "T1") as buffer:
        buffer.append(DOCUMENT)
        buffer.mark_sent([1], at=AT)
        buffer.resend(Ranges.of([(1, 1)]))
        with SqliteBuffer(_killed(buffer, path), "T1") as left:
            assert left.counts().pending == 1


def test_acknowledgements_in_more_runs_than_the_mark_has_place_for(path: Path) -> None:
    with SqliteBuffer(path, "T1") as buffer:
        for _ in range(60):
            buffer.append(DOCUMENT)
        for seq in range(1, 60, 2):
            buffer.mark_sent([seq], at=AT)
        assert glance(path).pending == 30
        with SqliteBuffer(_killed(buffer, path), "T1") as left:
            assert left.pending_ranges() == Ranges.of((seq, seq) for seq in range(2, 61, 2))


@contextmanager
def _no_larger(path: Path) -> Iterator[None]:
    """As a full disk: no file may grow beyond that one's size."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_does_not_take_a_transaction_takes_nothing_away(path: Path) -> None:
    with SqliteBuffer(path, "T1") as buffer:
        rows = [buffer.append({**DOCUMENT, "text": "x" * 900}, MOMENT) for _ in range(101)]
        buffer.mark_sent(range(1, 51), at=AT)
        with _no_larger(path.with_name("b.db-wal")):
            with suppress(Retryable):
                while len(rows) < 999:
                    rows.append(buffer.append(DOCUMENT, MOMENT))
            assert 101 < len(rows) < 999
            for act in (lambda: buffer.append(DOCUMENT), lambda: buffer.note({"a": "b"}), lambda: buffer.prune()):
                with pytest.raises(Retryable):
                    act()
                assert buffer.pending(after=0, through=999, limit=999) == rows[50:]
                assert (buffer.counts().pending, buffer.counts().sent) == (len(rows) - 50, 50)
            left = _killed(buffer, path)
        assert glance(path).pending == len(rows) - 50
        with SqliteBuffer(left, "T1") as other:
            assert other.pending(after=0, through=999, limit=999) == rows[50:]
        rows.append(buffer.append(DOCUMENT, MOMENT))
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    with SqliteBuffer(path, "T1") as buffer:
        assert buffer.pending(after=0, through=999, limit=999) == rows[50:]


def test_a_sample_that_the_mark_does_not_take_was_not_stored(path: Path) -> None:
    with SqliteBuffer(path, "T1") as buffer:
        buffer.append(DOCUMENT)
        kept = os.dup(buffer._mark._file)
        full = os.open("/dev/full", os.O_RDWR)
        os.dup2(full, buffer._mark._file)
        try:
            for refused in (
                lambda: buffer.append(DOCUMENT),
                lambda: buffer.append({**DOCUMENT, "text": "x" * 20_000}),
                lambda: buffer.mark_sent([1], at=AT),
            ):
                with pytest.raises(Retryable, match="free some disk space"):
                    refused()
                assert (buffer.highest_seq, buffer.counts().pending, buffer.counts().sent) == (1, 1, 0)
        finally:
            os.dup2(kept, buffer._mark._file)
            os.close(kept)
            os.close(full)
        assert buffer.append(DOCUMENT).seq == 2
        buffer.mark_sent([1], at=AT)
    with SqliteBuffer(path, "T1") as buffer:
        assert buffer.pending_ranges() == Ranges.of([(2, 2)])


def test_damage_found_while_running_costs_nothing_of_what_is_held(path: Path) -> None:
    with SqliteBuffer(path, "T1") as buffer:
        rows = [buffer.append(DOCUMENT, MOMENT) for _ in range(30)]
        buffer.mark_sent([30], at=AT)
        buffer.repair()
        assert buffer.pending(after=0, through=99, limit=99) == rows[:29]
        assert buffer.gone() == Ranges()
        assert buffer.append(DOCUMENT).seq == 31
        with SqliteBuffer(_killed(buffer, path), "T1") as left:
            assert left.pending_ranges() == Ranges.of([(1, 29), (31, 31)])


def _lose(path: Path) -> None:
    for each in (path, path.with_name("b.db-wal")):
        each.write_bytes(b"\0" * 10_000)


def _delete(path: Path) -> None:
    for each in (path, path.with_name("b.db-wal")):
        each.unlink()


@pytest.mark.parametrize("damage", [_lose, _delete])
def test_what_the_mark_keeps_outlives_the_file_and_its_stream_goes_on(
    path: Path, damage: Callable[[Path], None]
) -> None:
    with SqliteBuffer(path, "T1") as buffer:
        rows = [buffer.append(DOCUMENT) for _ in range(30)]
        buffer.mark_sent([30], at=AT)
        left = _killed(buffer, path)
        damage(left)
        with SqliteBuffer(left, "T1") as again:
            assert (again.stream_id, again.highest_seq, list(again.predecessors)) == (buffer.stream_id, 30, [])
            kept = again.pending(after=0, through=30, limit=30)
            assert kept == rows[30 - 1 - len(kept) : 29]
            assert len(kept) >= 9  # the file had 20 of them
            assert again.gone() == Ranges.of([(1, 29 - len(kept))])
            assert again.append(DOCUMENT).seq == 31


def test_a_file_that_is_lost_while_running_loses_nothing_that_the_mark_has(path: Path) -> None:
    with SqliteBuffer(path, "T1") as buffer:
        rows = [buffer.append(DOCUMENT) for _ in range(5)]
        buffer.mark_sent([2], at=AT)
        stream = buffer.stream_id
        buffer._file.db.execute("ROLLBACK")
        _lose(path)
        buffer.repair()
        assert (buffer.stream_id, buffer.highest_seq, buffer.gone()) == (stream, 5, Ranges())
        assert buffer.pending(after=0, through=9, limit=9) == [rows[0], *rows[2:]]
        assert buffer.append(DOCUMENT).seq == 6


def test_a_large_sample_that_the_disk_does_not_take_takes_nothing_with_it(path: Path) -> None:
    """Too large for the mark, it goes into the file at once: the mark must not say before that that has the others."""
    with SqliteBuffer(path, "T1") as buffer:
        rows = [buffer.append(DOCUMENT) for _ in range(5)]
        with _no_larger(path.with_name("b.db-wal")), pytest.raises(Retryable):
            buffer.append({**DOCUMENT, "text": "x" * 20_000})
        with SqliteBuffer(_killed(buffer, path), "T1") as left:
            assert left.pending(after=0, through=9, limit=9) == rows
            assert (left.highest_seq, left.gone()) == (5, Ranges())
