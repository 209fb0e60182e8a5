"""`SqliteBuffer`: the Buffer promises kept by one SQLite file in WAL mode, and a mark beside it.

A sample is durable by the mark, which keeps it with one sync until the file has it (high_water_mark.py), and so is its
acknowledgement. In the file both are held (connection.py), and written by the dozen in one transaction
(`synchronous=FULL`): a commit for each would write blocks of the disk that are half full, again and again. A start
reads from the mark what the file does not have.
"""

import fcntl
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from functools import partial
from logging import getLogger
from pathlib import Path

from agent.buffer import RETAIN_SECONDS, Boot, BufferRow, Counts, Dated, Draft, Dropped, Predecessor
from agent.buffer.connection import BufferFile, disk_refuses
from agent.buffer.eviction import FileBound
from agent.buffer.high_water_mark import MOST_KEPT, Mark, MarkFile
from agent.buffer.old_positions import forget_positions, remove_old_copies
from agent.buffer.recovery import OpenedBuffer, begin_stream, open_buffer_file, replace_damaged, stream_of
from agent.buffer.sample_rows import NOTE, SampleRow, highest_held, put_sample, put_sent
from agent.buffer.schema import EVENT, PENDING, TRUSTED, checksum
from agent.buffer.settling import last_age, settle, told_gone
from agent.buffer.undated_samples import Waiting
from agent.errors import BufferDamaged
from agent.timing.clock import Moment
from agent.timing.trusted_time import Anchor
from contract import timestamps
from contract.codec import Json, dump
from contract.errors import Misconfigured, Retryable
from contract.ranges import Ranges

log = getLogger(__name__)

SCHEMA_VERSION = 1
"""Of the sample on the wire, not of the file."""

LIMIT_BYTES = 64 * 1024 * 1024
_MAX_PREDECESSORS = 20
_PRUNE_CHUNK = 1000
_LOOK_EVERY = 50

_MOST_RUNS = 8
"""Of acknowledged numbers, that the mark has place for."""


class SqliteBuffer:
    """One truck's buffer file.

    path: the file; `NAME.stream` (the mark) and `NAME.lock` lie beside it, and a damaged file is set aside as
    `NAME.damaged-TIME-N`. retain: running seconds for which a sent sample stays. limit: bytes that the file may grow
    to. monotonic: seconds of running time, for retention.
    Raises Misconfigured where the file is another truck's, another program's, of a newer version, already in use, or
    in a place that this process may not write to; Retryable where the disk is full or broken, and then nothing changed.
    """

    def __init__(
        self,
        path: Path,
        truck_id: str,
        *,
        retain: float = RETAIN_SECONDS,
        limit: int = LIMIT_BYTES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._truck_id, self._retain = path, truck_id, retain
        self._monotonic = monotonic
        with ExitStack() as undo:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                lock = _take_lock(path.with_name(path.name + ".lock"), path)
                undo.callback(os.close, lock)
                self._mark = MarkFile(path.with_name(path.name + ".stream"), truck_id)
                undo.callback(self._mark.close)
                opened = open_buffer_file(path, truck_id, self._mark.mark, keeps=bool(self._mark.found.newest))
                self._file = BufferFile(path, opened.connection)
                undo.callback(self._file.close)
                self._room, self._waiting = FileBound(self._file, limit), Waiting(self._file)
                self._told = self._mark.mark or Mark("", 0)
                self._begin(opened)
                undo.callback(self._settle_down)
            except (OSError, sqlite3.OperationalError) as error:
                if disk_refuses(error, path):
                    raise Retryable(f"cannot use the buffer {path}: {error}; free some disk space") from None
                hint = "give [agent] buffer a writable path"
                raise Misconfigured(f"cannot use the buffer {path}: {error}; {hint}") from None
            self._release = undo.pop_all()

    def _begin(self, opened: OpenedBuffer, reached: int | None = None) -> None:
        """Learn what a file just opened holds, and settle it with the mark."""
        self._predecessors: list[Predecessor] | None = None
        self._counts: tuple[int, Counts] | None = None
        self._stream_id = self._stream()
        self._highest = settle(self._file, self._mark, self._stream_id, opened, reached)
        base, began = last_age(self._file), self._monotonic()
        self._age: Callable[[], int] = lambda: int(base + self._monotonic() - began)
        self._oldest = self._first_held()
        self._until_look = 0

    @property
    def stream_id(self) -> str:
        """The stream's name, made with the file."""
        return self._stream_id

    @property
    def highest_seq(self) -> int:
        """The last number given out, 0 before the first."""
        return self._highest

    @property
    def oldest_retained(self) -> int | None:
        """The first number still held."""
        query = "SELECT min(oldest) FROM (SELECT min(seq) AS oldest FROM samples UNION ALL SELECT min(seq) FROM drafts)"
        oldest: int | None = self._file.one(query)  # each min is the first leaf of a tree
        return oldest

    @property
    def predecessors(self) -> Sequence[Predecessor]:
        """Streams of lost files, newest first, until they have been reported for the retention time."""
        if self._predecessors is None:
            with self._file.faults() as db:
                query = "SELECT stream_id, highest_seq FROM predecessors WHERE age >= ? ORDER BY age DESC LIMIT ?"
                rows = db.execute(query, (self._age() - self._retain, _MAX_PREDECESSORS))
                self._predecessors = [Predecessor(*row) for row in rows]
        return self._predecessors

    def append(
        self, document: Mapping[str, Json], moment: Moment | None = None, *, event: bool = False, waits: bool = False
    ) -> BufferRow:
        """Store one sample and give it its number; Retryable if the disk refuses, and then nothing is stored."""
        self._look_for_room()
        seq = self._highest + 1
        head = {"schema_version": SCHEMA_VERSION, "truck_id": self._truck_id, "stream_id": self._stream_id, "seq": seq}
        row = BufferRow(seq, dump({**head, **document}).encode())
        flags = EVENT * event | TRUSTED * (not waits and document.get("time_quality") in ("gps", "ntp"))
        boot, uptime = (moment.boot, round(moment.uptime * 1000)) if moment else (None, None)
        wall = timestamps.from_datetime(moment.wall) if moment else timestamps.EARLIEST
        self._store(SampleRow(*row, boot, uptime, flags, wall if waits else None))
        self._highest = seq
        return row

    def _store(self, sample: SampleRow) -> None:
        act = partial(put_sample, row=sample)
        self._make_room_to_hold(sample)
        mark = self._newest_mark()._replace(highest_seq=sample.seq)
        with self._mark_faults():
            if self._mark.takes(sample):
                with self._file.holding(act):
                    self._mark.write(mark, sample)
                self._told = mark
            else:
                self._file.commit()  # first: the mark is about to say that the file has all before this one
                with self._file.transaction() as db:
                    act(db)
                    self._mark.write(mark._replace(stored=sample.seq))

    @contextmanager
    def _mark_faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Retryable(f"cannot write the mark beside {self._path}: {error}; free some disk space") from error

    def _make_room_to_hold(self, sample: SampleRow | None = None) -> None:
        """What the mark keeps is written over from its beginning on only when the file has it."""
        if self._file.holds >= MOST_KEPT or not self._mark.has_room(sample):
            self._file.commit()

    def _newest_mark(self) -> Mark:
        """What the mark has to say now."""
        if self._file.holds:
            return self._told._replace(oldest=self._oldest)
        return Mark(self._stream_id, self._highest, self._oldest, stored=self._highest)

    def waiting(self) -> list[Draft]:
        """The samples that wait for a time."""
        return self._waiting.drafts()

    def release(self, dated: Sequence[Dated]) -> Ranges:
        """Date waiting samples, for good; which numbers may be sent now."""
        return self._waiting.release(dated)

    def trusted_around(self, first: int, last: int) -> tuple[datetime | None, datetime | None]:
        """The last known time before `first`, the first trusted one after `last`."""
        return self._waiting.trusted_around(first, last)

    def boots(self) -> list[Boot]:
        """The boots that are remembered, in order."""
        return self._waiting.boots()

    def remember(self, boot: str, anchor: Anchor) -> None:
        """Keep an instant on a boot's time line."""
        self._waiting.remember(boot, anchor)

    def pending(self, *, after: int, through: int, limit: int) -> list[BufferRow]:
        """Up to `limit` pending samples with after < seq ≤ through, ascending."""
        query = f"SELECT seq, body, crc FROM samples WHERE seq > ? AND seq <= ? AND {PENDING} ORDER BY seq LIMIT ?"
        with self._file.faults() as db:
            found = db.execute(query, (after, through, limit)).fetchall()
        for seq, body, crc in found:
            if not isinstance(body, bytes) or crc != checksum(seq, body):
                raise BufferDamaged(f"sample {seq} in {self._path} is not what was stored: the file is set aside")
        return [BufferRow(seq, body) for seq, body, _ in found]

    def pending_ranges(self) -> Ranges:
        """Which numbers are pending."""
        counts = self.counts()
        if not counts.pending:
            return Ranges()
        with self._file.faults() as db:
            oldest, newest = self._first_held(), highest_held(db)
            if counts.pending + counts.sent == newest - oldest + 1:
                held = Ranges.of([(oldest, newest)])  # without reading all of it
            else:
                held = _islands(db, "SELECT seq FROM samples UNION ALL SELECT seq FROM drafts")
            return held - _islands(db, "SELECT seq FROM sent")

    def mark_sent(self, seqs: Collection[int], *, at: str) -> None:
        """These were acknowledged at the instant `at`."""
        numbers = Ranges.of_numbers(seqs) & Ranges.of([(1, self._highest)])
        act = partial(put_sent, numbers=numbers, age=self._age(), at=at)
        self._make_room_to_hold()
        mark = self._newest_mark()
        mark = mark._replace(sent=mark.sent | numbers, sent_at=at)
        if len(mark.sent.pairs) > _MOST_RUNS:
            with self._file.transaction() as db:
                act(db)
            return
        with self._mark_faults(), self._file.holding(act):
            self._mark.write(mark, sync=False)
        self._told = mark

    def resend(self, asked: Ranges) -> tuple[Ranges, Ranges]:
        """(again, gone) of what was asked: see Buffer. What waits for a time is in neither."""
        known = asked & Ranges.of([(1, self._highest)])
        held: list[int] = []
        waits: list[int] = []
        with self._file.transaction() as db:
            for pair in known:
                held.extend(n for (n,) in db.execute("SELECT seq FROM samples WHERE seq BETWEEN ? AND ?", pair))
                waits.extend(n for (n,) in db.execute("SELECT seq FROM drafts WHERE seq BETWEEN ? AND ?", pair))
                db.execute("DELETE FROM sent WHERE seq BETWEEN ? AND ?", pair)
        if self._mark.mark and self._mark.mark.sent:
            with self._mark_faults():
                self._mark.write(self._newest_mark(), sync=False)
        again = Ranges.of_numbers(held)
        return again, known - again - Ranges.of_numbers(waits)

    def gone(self) -> Ranges:
        """Numbers given out and lost, with a damaged file or because the file went back to an earlier state."""
        return told_gone(self._file)

    def dropped(self, within: Ranges | None = None, *, limit: int) -> list[Dropped]:
        """What was thinned."""
        return self._room.dropped(within, limit)

    def prune(self) -> int:
        """Drop what was sent longer ago than it is retained, the highest number excepted; how many."""
        before = self._age() - self._retain
        chosen = f"SELECT seq FROM sent WHERE age < ? AND seq < {self._highest:d} ORDER BY age LIMIT {_PRUNE_CHUNK}"
        total = 0
        while True:
            with self._file.transaction() as db:
                db.execute(f"DELETE FROM samples WHERE seq IN ({chosen})", (before,))
                count = db.execute(f"DELETE FROM sent WHERE seq IN ({chosen})", (before,)).rowcount
            total += count
            if count < _PRUNE_CHUNK:
                break
        self._predecessors = None
        self._oldest = self._first_held()
        return total

    def forget_positions(self, before: datetime) -> int:
        """Take the positions out of samples older than an instant, and remove old copies of the file; how many."""
        remove_old_copies(self._path, before)
        count = forget_positions(self._file, before)
        with self._mark_faults():
            self._mark.write(self._newest_mark(), sync=False)
            self._mark.wipe(timestamps.from_datetime(before))
        return count

    def counts(self) -> Counts:
        """How many samples are pending (and of these wait for a time), and sent but retained."""
        if self._counts is None or self._counts[0] != self._file.changes:
            # SQLite counts a table's pages, not its rows
            counted = (int(self._file.one(f"SELECT count(*) FROM {table}")) for table in ("samples", "sent", "drafts"))
            samples, sent, waiting = counted
            self._counts = self._file.changes, Counts(pending=samples - sent + waiting, sent=sent, waiting=waiting)
        return self._counts[1]

    def note(self, notes: Mapping[str, str]) -> None:
        """Keep short texts for `milepost agent status`."""
        with self._file.transaction() as db:
            db.executemany(NOTE, list(notes.items()))

    def notes(self) -> dict[str, str]:
        """What was kept."""
        with self._file.faults() as db:
            return dict(db.execute("SELECT key, value FROM notes"))

    def repair(self) -> None:
        """Set the damaged file aside, salvage it, go on with a new one. Retryable where the disk refuses."""
        try:
            opened = replace_damaged(
                self._path, self._truck_id, self._mark.mark, keeps=self._file.holds > 0, old=self._file.db
            )
        except (OSError, sqlite3.Error) as error:
            raise Retryable(f"cannot begin a new buffer at {self._path}: {error}; free some disk space") from error
        stream = stream_of(opened.connection)
        self._file.swap(opened.connection, keep=bool(stream and stream[1] == self._stream_id))
        with self._mark_faults():
            self._begin(opened, reached=self._highest)

    def close(self) -> None:
        """Release the file, the mark and the lock; may be called twice."""
        self._release.close()

    def _settle_down(self) -> None:
        """Then the file has all; where the disk does not take it, the mark still has it at the next start."""
        with suppress(Retryable, BufferDamaged):
            self._file.commit()
            if self._mark.mark != self._newest_mark():
                with self._mark_faults():
                    self._mark.write(self._newest_mark())

    def __enter__(self) -> "SqliteBuffer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _look_for_room(self) -> None:
        """Now and then; a disk that refuses here will refuse the sample too, and say so there."""
        self._until_look -= 1
        if self._until_look > 0:
            return
        self._until_look = _LOOK_EVERY
        if self._room.make(self._highest):
            self._oldest = self._first_held()

    def _first_held(self) -> int:
        return self.oldest_retained or self._highest + 1

    def _stream(self) -> str:
        """The file's stream; a new file begins one, and in the same transaction remembers the one before it."""
        row = stream_of(self._file.db)
        if row and row[0] != self._truck_id:
            raise Misconfigured(
                f"{self._path} belongs to truck {row[0]}, not {self._truck_id}: give [agent] buffer another path"
            )
        stream_id = row[1] if row else secrets.token_hex(8)
        mark = self._mark.mark
        with self._file.transaction() as db:
            if not row:
                begin_stream(db, self._truck_id, stream_id)
            if mark and mark.stream_id != stream_id and mark.highest_seq:
                log.warning("stream_closed stream_id=%s highest_seq=%d", mark.stream_id, mark.highest_seq)
                query = (
                    "INSERT OR IGNORE INTO predecessors SELECT ?, ?,"
                    " max(ifnull(max(age), 0), ifnull((SELECT max(age) FROM sent), 0)) FROM predecessors"
                )
                db.execute(query, (mark.stream_id, mark.highest_seq))
        return stream_id


def _islands(db: sqlite3.Connection, numbers: str) -> Ranges:
    """The ranges of what a query finds."""
    query = f"SELECT seq, seq - row_number() OVER (ORDER BY seq) AS island FROM ({numbers})"
    found = db.execute(f"SELECT min(seq), max(seq) FROM ({query}) GROUP BY island ORDER BY 1")
    return Ranges(tuple(found))


def _take_lock(lock: Path, path: Path) -> int:
    """An exclusive lock that ends with the process, because two agents on one file would fight over the broker."""
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise Misconfigured(
            f"{path} is in use by another agent process: stop that one, or give [agent] buffer another path"
        ) from None
    return handle
