"""The buffer's promises, on files."""

import json
import os
import resource
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from agent.buffer import BufferRow, Predecessor
from agent.buffer.inspection import Glance, glance
from agent.buffer.sqlite import SqliteBuffer
from contract import topics
from contract.errors import Misconfigured, Retryable
from contract.ranges import Ranges

DOCUMENT = {"sampled_at": "2026-01-31T12:00:00.000Z", "time_quality": "ntp", "vehicle_speed": 80.5, "note": "Zürich"}
AT = "2026-01-31T12:00:01.000Z"


def _fill(buffer: SqliteBuffer, count: int) -> list[BufferRow]:
    return [buffer.append(DOCUMENT) for _ in range(count)]


def test_a_sample_gets_its_number_and_its_final_bytes(tmp_path: Path) -> None:
    with SqliteBuffer(tmp_path / "b.db", "T1") as buffer:
        row = _fill(buffer, 2)[1]
        assert topics.ID.fullmatch(buffer.stream_id)
        assert json.loads(row.body) == {
            "schema_version": 1,
            "truck_id": "T1",
            "stream_id": buffer.stream_id,
            "seq": 2,
            **DOCUMENT,
        }
        assert buffer.pending(after=0, through=9, limit=9)[1] == row


def test_numbers_continue_after_a_restart_also_when_all_was_sent_and_pruned(tmp_path: Path) -> None:
    now = [0.0]
    with SqliteBuffer(tmp_path / "b.db", "T1", retain=100, monotonic=lambda: now[0]) as buffer:
        stream = buffer.stream_id
        _fill(buffer, 3)
        buffer.mark_sent([1, 2, 3], at=AT)
        now[0] = 1000.0
        assert buffer.prune() == 2
    with SqliteBuffer(tmp_path / "b.db", "T1") as buffer:
        assert (buffer.stream_id, buffer.highest_seq, buffer.oldest_retained) == (stream, 3, 3)
        assert buffer.append(DOCUMENT).seq == 4


def test_retention_counts_running_time_only_and_never_touches_what_is_pending(tmp_path: Path) -> None:
    """An agent that was off for a month still holds what it sent a minute before."""
    now = [0.0]
    with SqliteBuffer(tmp_path / "b.db", "T1", retain=100, monotonic=lambda: now[0]) as buffer:
        _fill(buffer, 4)
        buffer.mark_sent([1], at=AT)
        now[0] = 60.0
        buffer.mark_sent([2], at=AT)
    now[0] = 10_000_000.0
    with SqliteBuffer(tmp_path / "b.db", "T1", retain=100, monotonic=lambda: now[0]) as buffer:
        assert buffer.prune() == 0
        now[0] += 41
        assert buffer.prune() == 1
        assert buffer.oldest_retained == 2
        now[0] += 1000
        buffer.prune()
        assert buffer.pending_ranges().as_lists() == [[3, 4]]


def test_resend_makes_what_is_held_pending_and_names_what_is_gone(tmp_path: Path) -> None:
    now = [0.0]
    with SqliteBuffer(tmp_path / "b.db", "T1", retain=10, monotonic=lambda: now[0]) as buffer:
        _fill(buffer, 10)
        buffer.mark_sent([1, 2, 3], at=AT)
        now[0] = 100.0
        buffer.mark_sent([4, 5, 6, 7], at=AT)
        buffer.prune()
        again, gone = buffer.resend(Ranges.of([(2, 5), (7, 8), (9, 2**62)]))
        assert again.as_lists() == [[4, 5], [7, 10]]
        assert gone.as_lists() == [[2, 3]]
        assert buffer.pending_ranges().as_lists() == [[4, 5], [7, 10]]
        assert buffer.resend(Ranges.of([(4, 5)])) == (Ranges.of([(4, 5)]), Ranges())


def test_a_lost_file_is_reported_as_its_successors_predecessor(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    with SqliteBuffer(path, "T1") as buffer:
        first = buffer.stream_id
        _fill(buffer, 7)
    path.unlink()
    with SqliteBuffer(path, "T1") as buffer:
        assert buffer.stream_id != first
        assert list(buffer.predecessors) == [Predecessor(first, 7)]
        assert buffer.append(DOCUMENT).seq == 1
    with SqliteBuffer(path, "T1") as buffer:
        assert list(buffer.predecessors) == [Predecessor(first, 7)]


def test_a_file_that_went_back_in_time_never_uses_a_number_twice(tmp_path: Path) -> None:
    """A restored copy continues behind the mark; the numbers between are gone, and said to be."""
    path = tmp_path / "b.db"
    with SqliteBuffer(path, "T1") as buffer:
        _fill(buffer, 3)
    shutil.copy(path, tmp_path / "copy")
    with SqliteBuffer(path, "T1") as buffer:
        _fill(buffer, 5)
    shutil.copy(tmp_path / "copy", path)
    with SqliteBuffer(path, "T1") as buffer:
        assert buffer.gone().as_lists() == [[4, 8]]
        assert buffer.append(DOCUMENT).seq == 9
        assert buffer.resend(Ranges.of([(3, 9)]))[1].as_lists() == [[4, 8]]
    with SqliteBuffer(path, "T1") as buffer:
        assert buffer.append(DOCUMENT).seq == 10


def test_a_file_in_use_of_another_truck_of_another_program_or_too_new_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    with SqliteBuffer(path, "T1"), pytest.raises(Misconfigured, match="in use"):
        SqliteBuffer(path, "T1")
    with pytest.raises(Misconfigured, match="belongs to truck T1"):
        SqliteBuffer(path, "T2")
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(Misconfigured, match="version 999"):
        SqliteBuffer(path, "T1")
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(Misconfigured, match="not a Milepost buffer"):
        SqliteBuffer(tmp_path / "other.db", "T1")
    with pytest.raises(Misconfigured, match="writable"):
        SqliteBuffer(Path("/proc/nowhere/b.db"), "T1")


def test_a_refused_file_is_not_left_locked(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    SqliteBuffer(path, "T1").close()
    for _ in range(2):
        with pytest.raises(Misconfigured, match="belongs to"):
            SqliteBuffer(path, "T2")
    SqliteBuffer(path, "T1").close()


def test_the_file_can_be_read_while_it_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    with SqliteBuffer(path, "T1") as buffer:
        _fill(buffer, 3)
        buffer.mark_sent([1], at=AT)
        buffer.note({"connection": "connected"})
        seen = glance(path)
        assert (seen.truck_id, seen.stream_id, seen.highest_seq) == ("T1", buffer.stream_id, 3)
        assert (seen.pending, seen.sent, seen.last_sample["seq"]) == (2, 1, 3)
        assert seen.notes == {"connection": "connected", "last_sent_at": AT}
    assert glance(path).highest_seq == 3
    with pytest.raises(Misconfigured, match="no buffer"):
        glance(tmp_path / "none.db")


def test_the_file_is_read_whole_while_its_log_is_folded_into_it(tmp_path: Path) -> None:
    """A copy of the file from before and of the log from after would miss what lies between."""
    path, done = tmp_path / "b.db", threading.Event()
    with SqliteBuffer(path, "T1") as buffer:
        _fill(buffer, 1)

        def look() -> list[Glance]:
            seen = [glance(path)]
            while not done.is_set():
                seen.append(glance(path))
            return seen

        with ThreadPoolExecutor(1) as pool:
            looking = pool.submit(look)
            try:
                for _ in range(300):
                    buffer.mark_sent([buffer.append(DOCUMENT).seq], at=AT)
                    buffer._file.commit()
                    buffer._file.db.execute("PRAGMA wal_checkpoint").fetchone()
            finally:
                done.set()
            assert {each.highest_seq - each.pending - each.sent for each in looking.result()} == {0}


def test_no_index_of_the_log_is_written_to_the_disk(tmp_path: Path) -> None:
    with SqliteBuffer(tmp_path / "b.db", "T1") as buffer:
        _fill(buffer, 3)
        assert (tmp_path / "b.db-wal").exists()
        assert not (tmp_path / "b.db-shm").exists()


def test_somebody_who_looks_into_the_file_does_not_keep_the_agent_from_it(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    with SqliteBuffer(path, "T1") as buffer:
        _fill(buffer, 1)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN")
        assert other.execute("SELECT count(*) FROM samples").fetchone() == (1,)
        with SqliteBuffer(path, "T1") as buffer:
            assert buffer.append(DOCUMENT).seq == 2


def test_a_text_file_that_is_named_as_the_buffer_is_left_as_it_is(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("what the driver said\n")
    with pytest.raises(Misconfigured, match="not a Milepost buffer"):
        SqliteBuffer(notes, "T1")
    assert notes.read_text() == "what the driver said\n"
    assert not list(tmp_path.glob("*.damaged-*"))


def test_a_process_without_descriptors_is_told_so_and_not_that_the_disk_is_full(tmp_path: Path) -> None:
    with SqliteBuffer(tmp_path / "b.db", "T1") as buffer:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
        taken: list[int] = []
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (used + 2, limits[1]))
            with suppress(OSError):
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
            with pytest.raises(Retryable, match="too many files are open"), buffer._file.faults():
                sqlite3.connect(tmp_path / "another.db").execute("CREATE TABLE t (x)")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            for each in taken:
                os.close(each)
