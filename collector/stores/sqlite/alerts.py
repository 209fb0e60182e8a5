"""Alerts and their outbox in the SQLite store."""

import json
import sqlite3
from collections.abc import Mapping, Sequence

from collector.rows import AlertChange, AlertRow, OutboxMessage
from collector.stores import Conflict
from collector.stores.alert_store import REVISION


class SqliteAlertReader:
    """The `AlertReader` on a connection."""

    _db: sqlite3.Connection

    def alert_rows(self, subject: str | None = None) -> list[AlertRow]:
        rows = self._db.execute(
            "SELECT subject, key, text FROM alerts WHERE key <> ? AND (? IS NULL OR subject = ?) ORDER BY subject, key",
            [REVISION, subject, subject],
        )
        return [AlertRow(*row) for row in rows]

    def alert_revision(self, subject: str) -> int:
        row = self._db.execute("SELECT text FROM alerts WHERE subject = ? AND key = ?", [subject, REVISION]).fetchone()
        return int(row[0]) if row else 0

    def outbox(self, receiver: str, until_ms: int, most: int) -> list[OutboxMessage]:
        rows = self._db.execute(
            "SELECT id, receiver, due_ms, attempts, text FROM alert_outbox"
            " WHERE receiver = ? AND due_ms <= ? ORDER BY due_ms, id LIMIT ?",
            [receiver, until_ms, most],
        )
        return [OutboxMessage(*row) for row in rows]

    def outbox_size(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM alert_outbox").fetchone()[0])


class SqliteAlerts(SqliteAlertReader):
    """The `AlertStore` on a connection; each call within the store's `unit()`."""

    def change_alerts(self, change: AlertChange) -> None:
        if self.alert_revision(change.subject) != change.revision:
            raise Conflict(f"the alerts of {change.subject} were changed by another writer: read them again")
        self._db.executemany(
            "DELETE FROM alerts WHERE subject = ? AND key = ?", [(change.subject, key) for key in change.remove]
        )
        rows = {**change.put, REVISION: str(change.revision + 1)}
        self._db.executemany(
            "INSERT OR REPLACE INTO alerts VALUES (?, ?, ?)", [(change.subject, *each) for each in rows.items()]
        )
        self._db.executemany("INSERT OR IGNORE INTO alert_outbox VALUES (?, ?, ?, ?, ?)", change.messages)

    def settle_outbox(self, told: Sequence[str], postponed: Mapping[str, int]) -> None:
        self._db.execute("DELETE FROM alert_outbox WHERE id IN (SELECT value FROM json_each(?))", [json.dumps([*told])])
        self._db.executemany(
            "UPDATE alert_outbox SET due_ms = ?, attempts = attempts + 1 WHERE id = ?",
            [(due_ms, id) for id, due_ms in postponed.items()],
        )
