"""The shoppers' outbox: every event is on disk before it is posted, and is closed only by the receipt for it.

So a killed simulator knows what it may have sent, sends again what has no receipt, under the same event_id, and the
sums of a run can be balanced to the last event. What the shop posts of a purchase, the order and its events, is kept in
the same transaction as the purchase itself, and posted when it is due. One process writes; reading beside it is always
possible.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from contract.codec import dump
from contract.errors import Misconfigured
from simulator.orders import Request
from simulator.shopper import Event

VERSION = 2
_TABLES = (
    "CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY, event_id TEXT NOT NULL, state TEXT NOT NULL,"
    " body TEXT, reason TEXT)",
    "CREATE UNIQUE INDEX IF NOT EXISTS idx_events_event_id ON events (event_id)",
    "CREATE INDEX IF NOT EXISTS idx_events_state_number ON events (state, number)",
    "CREATE TABLE IF NOT EXISTS requests (number INTEGER PRIMARY KEY, subject TEXT NOT NULL, kind TEXT NOT NULL,"
    " method TEXT NOT NULL, path TEXT NOT NULL, body TEXT, due_ms INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT,"
    " customer_id TEXT)",
    "CREATE INDEX IF NOT EXISTS idx_requests_state_due ON requests (state, due_ms, number)",
    "CREATE INDEX IF NOT EXISTS idx_requests_kind_subject ON requests (kind, subject)",
)
CLOSED = ("accepted", "duplicate", "rejected")


class Open(NamedTuple):
    """An event without a receipt; body is the JSON text that is sent, the same every time."""

    number: int
    event_id: str
    body: str


class Due(NamedTuple):
    """A request without an answer whose time has come; body is the JSON text that is sent, the same every time."""

    number: int
    subject: str
    method: str
    path: str
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

    def add(self, events: Iterable[Event], requests: Iterable[Request] = ()) -> None:
        """Keep events and requests before they are sent; when this returns they survive a kill and a power cut."""
        rows = [(str(event["event_id"]), dump(event)) for event in events]
        posts = [(*each[:4], dump(each.body), each.due_ms, each.customer_id) for each in requests]
        with self._lock, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT INTO events (event_id, body, state) VALUES (?, ?, 'open')", rows)
            self._connection.executemany(
                "INSERT INTO requests (subject, kind, method, path, body, due_ms, customer_id, state)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, 'open')",
                posts,
            )

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

    def due_requests(self, now_ms: int, limit: int) -> list[Due]:
        """The requests without an answer that are due at a moment (Unix ms), in the order of their times."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT number, subject, method, path, body FROM requests WHERE state = 'open' AND due_ms <= ?"
                " ORDER BY due_ms, number LIMIT ?",
                (now_ms, limit),
            ).fetchall()
        return [Due(*row) for row in rows]

    def close_request(self, number: int, status: str, reason: str | None = None) -> None:
        """Note the answer to a request; what was taken is not kept any longer."""
        with self._lock, self._connection:
            self._connection.execute(
                "UPDATE requests SET state = ?, reason = ?, body = iif(? = 'rejected', body, NULL) WHERE number = ?",
                (status, reason, status, number),
            )

    def requested(self, kind: str) -> set[str]:
        """The subjects of all requests of a kind, answered or not."""
        with self._lock:
            rows = self._connection.execute("SELECT DISTINCT subject FROM requests WHERE kind = ?", (kind,))
            return {subject for (subject,) in rows}

    def ordered_by(self) -> dict[str, int]:
        """customer_id → how many orders it has placed."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT customer_id, count(*) FROM requests WHERE kind = 'placed' AND customer_id IS NOT NULL"
                " GROUP BY customer_id"
            )
            return {str(customer_id): int(count) for customer_id, count in rows}

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
