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
PROGRESS = sent_ledger.PROGRESS
_SCHEMA = """
CREATE TABLE IF NOT EXISTS trucks (number INTEGER PRIMARY KEY, truck_id TEXT UNIQUE NOT NULL, stream_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS samples (
    number INTEGER NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (number, seq));
CREATE TABLE IF NOT EXISTS unacknowledged (
    number INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (number, seq)) WITHOUT ROWID;
"""
"""What is unacknowledged is a table of its own: a mark on the sample itself would write its page anew for each PUBACK,
which in a storm is most of the work."""

_FROM_BEFORE = """
INSERT OR IGNORE INTO unacknowledged SELECT number, seq FROM samples WHERE acked = 0;
DROP INDEX pending;
"""
"""For a file of the release before, which marked samples. Its index of marked ones is gone once that is done."""


class FleetLedger:
    """Belongs to one thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)
        if self._connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'pending'").fetchone():
            self._connection.executescript(f"BEGIN;{_FROM_BEFORE}COMMIT;")

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
        """A time that was estimated may be hours off, so the last one that was not is where the truck goes on."""
        highest, at = 0, None
        for seq, body in self._connection.execute(
            "SELECT seq, body FROM samples WHERE number = ? ORDER BY seq DESC", (number,)
        ):
            highest = highest or seq
            document = codec.parse(body)
            if document["time_quality"] != "estimated":
                at = document["sampled_at"]
                break
        return highest, at

    def append(self, rows: Iterable[tuple[int, int, bytes]], acked: Iterable[tuple[int, int]]) -> None:
        """Store (truck number, seq, body) and mark (truck number, seq) as acknowledged, in one transaction, durably."""
        with self._connection:
            self._connection.execute("BEGIN")
            taken = list(rows)
            self._connection.executemany("INSERT INTO samples (number, seq, body) VALUES (?, ?, ?)", taken)
            self._connection.executemany("INSERT INTO unacknowledged VALUES (?, ?)", [row[:2] for row in taken])
            self._connection.executemany("DELETE FROM unacknowledged WHERE number = ? AND seq = ?", acked)

    def pending(self, number: int, after: int, limit: int) -> list[tuple[int, bytes]]:
        """A truck's unacknowledged samples beyond a seq, lowest first."""
        return self._connection.execute(
            "SELECT seq, body FROM unacknowledged CROSS JOIN samples USING (number, seq)"
            " WHERE number = ? AND seq > ? ORDER BY seq LIMIT ?",
            (number, after, limit),
        ).fetchall()

    def pending_ranges(self, number: int) -> Ranges:
        """The numbers of a truck's unacknowledged samples."""
        rows = self._connection.execute("SELECT seq FROM unacknowledged WHERE number = ?", (number,))
        return Ranges.of_numbers(seq for (seq,) in rows)

    def send_again(self, number: int, ranges: Iterable[tuple[int, int]]) -> None:
        """Make samples unacknowledged again, so that they are sent once more."""
        with self._connection:
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "INSERT OR IGNORE INTO unacknowledged"
                " SELECT number, seq FROM samples WHERE number = ? AND seq BETWEEN ? AND ?",
                [(number, first, last) for first, last in ranges],
            )

    def waiting(self) -> int:
        """How many samples are unacknowledged."""
        return int(self._connection.execute("SELECT count(*) FROM unacknowledged").fetchone()[0])

    def close(self) -> None:
        """Release the file."""
        self._connection.close()
