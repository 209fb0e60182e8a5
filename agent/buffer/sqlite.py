"""`SqliteBuffer`: the Buffer promises kept by one SQLite file in WAL mode, and a mark beside it.

Order of writes for one sample: the mark (synced), then the row (`synchronous=FULL`), then `append` returns and the
sample may be sent. Marking as sent runs at `synchronous=NORMAL`: it reaches the disk with the next sample, which halves
the syncs, and a power cut in between only means that a sample is sent twice.
"""

import fcntl
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from logging import getLogger
from pathlib import Path

from agent.buffer import RETAIN_SECONDS, Counts, Predecessor, Row
from agent.buffer.mark import Mark, MarkFile
from agent.buffer.schema import bring_up_to_date
from agent.errors import Damaged
from contract.codec import Json, dump
from contract.errors import Misconfigured, Retryable
from contract.ranges import Ranges

log = getLogger(__name__)

SCHEMA_VERSION = 1
"""Of the sample on the wire, not of the file."""

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_MAX_PREDECESSORS = 20
_PRUNE_CHUNK = 1000


class SqliteBuffer:
    """One truck's buffer file.

    path: the file; `NAME.stream` (the mark) and `NAME.lock` lie beside it, and a damaged file is set aside as
    `NAME.damaged-TIME`. monotonic: seconds of running time, for retention.
    Raises Misconfigured where the file is another truck's, another program's, of a newer version, already in use, or
    in a place that cannot be written.
    """

    def __init__(
        self,
        path: Path,
        truck_id: str,
        *,
        retain: float = RETAIN_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._truck_id, self._retain = path, truck_id, retain
        self._predecessors: list[Predecessor] | None = None
        with ExitStack() as undo:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                lock = _take_lock(path.with_name(path.name + ".lock"), path)
                undo.callback(os.close, lock)
                self._mark = MarkFile(path.with_name(path.name + ".stream"))
                undo.callback(self._mark.close)
                self._db = _open_or_set_aside(path)
                undo.callback(self._db.close)
            except (OSError, sqlite3.OperationalError) as error:
                hint = "give [agent] buffer a writable path"
                raise Misconfigured(f"cannot use the buffer {path}: {error}; {hint}") from None
            self._stream_id = self._stream()
            self._highest = self._settle_with_mark()
            base = self._one(
                "SELECT max(ifnull((SELECT max(age) FROM sent), 0), ifnull(max(age), 0)) FROM predecessors"
            )
            opened = monotonic()
            self._age: Callable[[], int] = lambda: int(base + monotonic() - opened)
            self._release = undo.pop_all()

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
        with self._faults():
            oldest: int | None = self._db.execute("SELECT min(seq) FROM samples").fetchone()[0]
            return oldest

    @property
    def predecessors(self) -> Sequence[Predecessor]:
        """Streams of lost files, newest first, until they have been reported for the retention time."""
        if self._predecessors is None:
            with self._faults():
                query = "SELECT stream_id, highest_seq FROM predecessors WHERE age >= ? ORDER BY age DESC LIMIT ?"
                rows = self._db.execute(query, (self._age() - self._retain, _MAX_PREDECESSORS))
                self._predecessors = [Predecessor(*row) for row in rows]
        return self._predecessors

    def append(self, document: Mapping[str, Json]) -> Row:
        """Store one sample and give it its number; Retryable if the disk refuses, and then nothing is stored."""
        seq = self._highest + 1
        head = {"schema_version": SCHEMA_VERSION, "truck_id": self._truck_id, "stream_id": self._stream_id, "seq": seq}
        row = Row(seq, dump({**head, **document}).encode())
        try:
            self._mark.write(Mark(self._stream_id, seq))
        except OSError as error:
            raise Retryable(f"cannot write the mark beside {self._path}: {error}; free some disk space") from error
        with self._transaction():
            self._db.execute("INSERT INTO samples (seq, body) VALUES (?, ?)", row)
            self._db.execute("INSERT INTO pending (seq) VALUES (?)", (seq,))
        self._highest = seq
        return row

    def pending(self, *, after: int, through: int, limit: int) -> list[Row]:
        """Up to `limit` pending samples with after < seq ≤ through, ascending."""
        query = (
            "SELECT samples.seq, body FROM pending JOIN samples ON samples.seq = pending.seq"
            " WHERE pending.seq > ? AND pending.seq <= ? ORDER BY pending.seq LIMIT ?"
        )
        with self._faults():
            return [Row(*row) for row in self._db.execute(query, (after, through, limit))]

    def pending_ranges(self) -> Ranges:
        """Which numbers are pending."""
        query = (
            "SELECT min(seq), max(seq) FROM (SELECT seq, seq - row_number() OVER (ORDER BY seq) AS island FROM pending)"
            " GROUP BY island ORDER BY 1"
        )
        with self._faults():
            return Ranges(tuple(self._db.execute(query)))

    def mark_sent(self, seqs: Collection[int], *, at: str) -> None:
        """These were acknowledged at the instant `at`."""
        age = self._age()
        pairs = Ranges.of_numbers(seqs).pairs
        with self._transaction(lazy=True):
            self._db.executemany(
                f"INSERT INTO sent (seq, age) SELECT seq, {age:d} FROM pending WHERE seq BETWEEN ? AND ?", pairs
            )
            self._db.executemany("DELETE FROM pending WHERE seq BETWEEN ? AND ?", pairs)
            self._db.execute("INSERT OR REPLACE INTO notes VALUES ('last_sent_at', ?)", (at,))

    def resend(self, asked: Ranges) -> tuple[Ranges, Ranges]:
        """(again, gone) of what was asked: see Buffer."""
        known = asked & Ranges.of([(1, self._highest)])
        held: list[int] = []
        with self._transaction(lazy=True):
            for pair in known:
                held.extend(n for (n,) in self._db.execute("SELECT seq FROM samples WHERE seq BETWEEN ? AND ?", pair))
                self._db.execute("INSERT INTO pending SELECT seq FROM sent WHERE seq BETWEEN ? AND ?", pair)
                self._db.execute("DELETE FROM sent WHERE seq BETWEEN ? AND ?", pair)
        again = Ranges.of_numbers(held)
        return again, known - again

    def gone(self) -> Ranges:
        """Numbers given out and lost when the file went back to an earlier state."""
        with self._faults():
            return Ranges.of(self._db.execute("SELECT first, last FROM gone").fetchall())

    def prune(self) -> int:
        """Drop what was sent longer ago than it is retained, the highest number excepted; how many."""
        before = self._age() - self._retain
        chosen = f"SELECT seq FROM sent WHERE age < ? AND seq < {self._highest:d} ORDER BY age LIMIT {_PRUNE_CHUNK}"
        dropped = 0
        while True:
            with self._transaction(lazy=True):
                self._db.execute(f"DELETE FROM samples WHERE seq IN ({chosen})", (before,))
                count = self._db.execute(f"DELETE FROM sent WHERE seq IN ({chosen})", (before,)).rowcount
            dropped += count
            if count < _PRUNE_CHUNK:
                break
        self._predecessors = None
        return dropped

    def counts(self) -> Counts:
        """How many samples are pending, and sent but retained."""
        with self._faults():
            return Counts(
                pending=self._db.execute("SELECT count(*) FROM pending").fetchone()[0],
                sent=self._db.execute("SELECT count(*) FROM sent").fetchone()[0],
            )

    def note(self, notes: Mapping[str, str]) -> None:
        """Keep short texts for `milepost agent status`."""
        with self._transaction(lazy=True):
            self._db.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?)", list(notes.items()))

    def close(self) -> None:
        """Release the file, the mark and the lock; may be called twice."""
        self._release.close()

    def __enter__(self) -> "SqliteBuffer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _one(self, query: str) -> int:
        with self._faults():
            return int(self._db.execute(query).fetchone()[0])

    def _stream(self) -> str:
        """The file's stream; a new file begins one, and in the same transaction remembers the one before it."""
        row = self._db.execute("SELECT truck_id, stream_id FROM stream").fetchone()
        if row and row[0] != self._truck_id:
            raise Misconfigured(
                f"{self._path} belongs to truck {row[0]}, not {self._truck_id}: give [agent] buffer another path"
            )
        stream_id = str(row[1]) if row else secrets.token_hex(8)
        mark = self._mark.mark
        with self._transaction():
            if not row:
                self._db.execute("INSERT INTO stream (truck_id, stream_id) VALUES (?, ?)", (self._truck_id, stream_id))
            if mark and mark.stream_id != stream_id and mark.highest_seq:
                log.warning("stream_closed stream_id=%s highest_seq=%d", mark.stream_id, mark.highest_seq)
                query = (
                    "INSERT OR IGNORE INTO predecessors SELECT ?, ?,"
                    " max(ifnull(max(age), 0), ifnull((SELECT max(age) FROM sent), 0)) FROM predecessors"
                )
                self._db.execute(query, (mark.stream_id, mark.highest_seq))
        return stream_id

    def _settle_with_mark(self) -> int:
        """The highest number given out. A mark that is further than the file and its one sample in the making means
        that the file went back in time (a restored copy): the numbers between are gone, never used twice."""
        highest = self._one(
            "SELECT max(ifnull(max(seq), 0), ifnull((SELECT max(last) FROM gone), 0)) FROM samples",
        )
        mark = self._mark.mark
        if mark and mark.stream_id == self._stream_id:
            if mark.highest_seq > highest + 1:
                log.warning("numbers_gone first=%d last=%d reason=older_file", highest + 1, mark.highest_seq)
                with self._transaction():
                    self._db.execute("INSERT INTO gone (first, last) VALUES (?, ?)", (highest + 1, mark.highest_seq))
                return mark.highest_seq
            if mark.highest_seq >= highest:
                return highest
        self._mark.write(Mark(self._stream_id, highest))
        return highest

    @contextmanager
    def _transaction(self, *, lazy: bool = False) -> Iterator[None]:
        """All or nothing; durable when it ends, or with the next durable one if `lazy`."""
        with self._faults():
            if lazy:
                self._db.execute("PRAGMA synchronous = NORMAL")
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            finally:
                if lazy:
                    self._db.execute("PRAGMA synchronous = FULL")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if _is_damage(error):
                raise Damaged(f"{self._path} is damaged ({error}): start again, it will be set aside") from error
            raise Retryable(f"the buffer {self._path} cannot be used: {error}; is the disk full?") from error


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


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


def _open_or_set_aside(path: Path) -> sqlite3.Connection:
    """The file, whole and up to date; a damaged one is renamed with what belongs to it, and a new one begun."""
    try:
        return _open(path)
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
        aside = f".damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(path.with_name(path.name + aside + suffix))
        log.error("buffer_damaged set_aside=%s reason=%r", path.name + aside, str(error))
        return _open(path)


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            damage = sqlite3.DatabaseError(verdict)
            damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damage
        bring_up_to_date(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection
