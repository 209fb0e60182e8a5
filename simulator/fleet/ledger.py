"""The fleet's one file: every sample of every truck, and whether the broker has acknowledged it.

Promise: what `append` was given is on disk when it returns (synchronous=FULL), and nothing is sent before. Samples stay
for resends until the file is deleted. A fleet that was killed goes on with the numbers and streams that it had.
"""

import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path

from contract import codec
from contract.ranges import Ranges
from simulator import sent_ledger

FILE = sent_ledger.FLEET
_SCHEMA = """
CREATE TABLE IF NOT EXISTS trucks (number INTEGER PRIMARY KEY, truck_id TEXT UNIQUE NOT NULL, stream_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS samples (
    number INTEGER NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL, acked INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (number, seq)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pending ON samples (number, seq) WHERE acked = 0;
"""


class FleetLedger:
    """Belongs to one thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)

    def enter(self, truck_ids: Sequence[str]) -> list[tuple[int, str, int, str | None]]:
        """Number, stream_id, highest seq and time of the last sample of each truck; new ones get a stream."""
        with self._connection:
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "INSERT OR IGNORE INTO trucks (truck_id, stream_id) VALUES (?, ?)",
                [(truck_id, uuid.uuid4().hex[:16]) for truck_id in truck_ids],
            )
        known = {row[0]: row[1:] for row in self._connection.execute("SELECT truck_id, number, stream_id FROM trucks")}
        return [(*known[truck_id], *self._last(known[truck_id][0])) for truck_id in truck_ids]

    def _last(self, number: int) -> tuple[int, str | None]:
        row = self._connection.execute(
            "SELECT seq, body FROM samples WHERE number = ? ORDER BY seq DESC LIMIT 1", (number,)
        ).fetchone()
        return (row[0], codec.parse(row[1])["sampled_at"]) if row else (0, None)

    def append(self, rows: Iterable[tuple[int, int, bytes]], acked: Iterable[tuple[int, int]]) -> None:
        """Store (truck number, seq, body) and mark (truck number, seq) as acknowledged, in one transaction, durably."""
        with self._connection:
            self._connection.execute("BEGIN")
            self._connection.executemany("INSERT INTO samples (number, seq, body) VALUES (?, ?, ?)", rows)
            self._connection.executemany("UPDATE samples SET acked = 1 WHERE number = ? AND seq = ?", acked)

    def pending(self, number: int, after: int, limit: int) -> list[tuple[int, bytes]]:
        """A truck's unacknowledged samples beyond a seq, lowest first."""
        return self._connection.execute(
            "SELECT seq, body FROM samples WHERE number = ? AND acked = 0 AND seq > ? ORDER BY seq LIMIT ?",
            (number, after, limit),
        ).fetchall()

    def pending_ranges(self, number: int) -> Ranges:
        """The numbers of a truck's unacknowledged samples."""
        rows = self._connection.execute("SELECT seq FROM samples WHERE number = ? AND acked = 0", (number,))
        return Ranges.of_numbers(seq for (seq,) in rows)

    def send_again(self, number: int, ranges: Iterable[tuple[int, int]]) -> None:
        """Make samples unacknowledged again, so that they are sent once more."""
        with self._connection:
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "UPDATE samples SET acked = 0 WHERE number = ? AND seq BETWEEN ? AND ?",
                [(number, first, last) for first, last in ranges],
            )

    def counts(self) -> tuple[int, int]:
        """How many samples there are, and how many of them are unacknowledged."""
        total = self._connection.execute("SELECT count(*) FROM samples").fetchone()[0]
        return total, self._connection.execute("SELECT count(*) FROM samples WHERE acked = 0").fetchone()[0]

    def close(self) -> None:
        """Release the file."""
        self._connection.close()
