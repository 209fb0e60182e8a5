"""The shoppers' outbox: every event is on disk before it is posted, and is closed only by the receipt for it.

So a killed simulator knows what it may have sent, sends again what has no receipt, under the same event_id, and the
sums of a run can be balanced to the last event. One process writes; reading beside it is always possible.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from contract.codec import dump
from contract.errors import Misconfigured
from simulator.shopper import Event

VERSION = 1
_TABLES = (
    "CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY, event_id TEXT NOT NULL, state TEXT NOT NULL,"
    " body TEXT, reason TEXT)",
    "CREATE UNIQUE INDEX IF NOT EXISTS idx_events_event_id ON events (event_id)",
    "CREATE INDEX IF NOT EXISTS idx_events_state_number ON events (state, number)",
)
CLOSED = ("accepted", "duplicate", "rejected")


class Open(NamedTuple):
    """An event without a receipt; body is the JSON text that is sent, the same every time."""

    number: int
    event_id: str
    body: str


class Closing(NamedTuple):
    """The receipt for an event: `accepted`, `duplicate` or `rejected`, and why."""

    event_id: str
    status: str
    reason: str | None = None


class Outbox:
    """The open file; its methods may be called from any thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("PRAGMA busy_timeout=10000")
        _bring_up_to_date(self._connection, path)

    def add(self, events: Iterable[Event]) -> None:
        """Keep events before they are sent; when this returns they survive a kill and a power cut."""
        rows = [(str(event["event_id"]), dump(event)) for event in events]
        with self._lock, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT INTO events (event_id, body, state) VALUES (?, ?, 'open')", rows)

    def open_events(self, limit: int) -> list[Open]:
        """The oldest events without a receipt."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT number, event_id, body FROM events WHERE state = 'open' ORDER BY number LIMIT ?", (limit,)
            ).fetchall()
        return [Open(*row) for row in rows]

    def count_open(self) -> int:
        """How many events have no receipt."""
        with self._lock:
            return int(self._connection.execute("SELECT count(*) FROM events WHERE state = 'open'").fetchone()[0])

    def close_events(self, closings: Sequence[Closing]) -> None:
        """Note receipts. The first one for an event counts; the body of what was taken is not kept any longer."""
        rows = [
            (closing.status, closing.reason, closing.status == "rejected", closing.event_id)
            for closing in closings
            if closing.status in CLOSED
        ]
        with self._lock, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                "UPDATE events SET state = ?, reason = ?, body = iif(?, body, NULL) "
                "WHERE event_id = ? AND state = 'open'",
                rows,
            )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def _bring_up_to_date(connection: sqlite3.Connection, path: Path) -> None:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise Misconfigured(f"{path} has version {version}, this simulator knows {VERSION}: install the newer Milepost")
    if version == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")
