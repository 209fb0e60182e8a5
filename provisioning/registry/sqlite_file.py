"""The local registry's file: one connection, transactions that bump the revision, remembered settings, the log."""

import logging
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from contract.timestamps import from_datetime
from provisioning.command_key import CommandKey
from provisioning.registry import audit_log
from provisioning.registry.audit_log import Author, LogLine
from provisioning.registry.sqlite_schema import connect

log = logging.getLogger(__name__)

FOLDER = "provisioning"


class RegistryFile:
    """`provisioning/registry.db` of one data directory. Safe for threads.

    author: whom the log names for what is done by this object.
    """

    def __init__(self, data_dir: Path, author: Author | None = None) -> None:
        self.folder = data_dir / FOLDER
        self.command_key = CommandKey(self.folder)
        self.author = author or Author.here()
        self._database: sqlite3.Connection | None = None
        self._guard = threading.RLock()

    @property
    def exists(self) -> bool:
        """Whether `init` has made it."""
        return (self.folder / "registry.db").exists()

    @property
    def revision(self) -> int:
        """Grows with every change."""
        return int(self.meta("revision") or 0)

    def meta(self, key: str) -> str | None:
        """One remembered setting of this registry."""
        with self._guard:
            row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row["value"] if row else None

    def remember(self, values: Mapping[str, str]) -> None:
        """Keep settings with the registry."""
        with self._change() as database:
            for key, value in values.items():
                _put(database, key, value)

    def log(
        self, *, truck_id: str | None = None, action: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[LogLine]:
        """The newest lines of the log, newest first; arguments as provisioning.registry.audit_log.read."""
        with self._guard:
            return audit_log.read(self._db, truck_id=truck_id, action=action, before=before, limit=limit)

    def note(self, action: str, truck_id: str | None = None, detail: str = "", *, who: str = "") -> None:
        """Append a line to the log. who: other than the author of this object."""
        with self._change() as database:
            audit_log.write(database, Author(who) if who else self.author, action, truck_id, detail)

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction; what it did becomes visible and durable together with the new revision."""
        with self._guard:
            database = self._db
            if database.in_transaction:
                yield database
                return
            database.execute("BEGIN IMMEDIATE")
            before = database.total_changes
            try:
                yield database
                if database.total_changes == before:
                    database.execute("ROLLBACK")
                    return
                database.execute("UPDATE meta SET value = value + 1 WHERE key = 'revision'")
                database.execute("COMMIT")
            except BaseException:
                database.execute("ROLLBACK")
                raise

    transaction = _change

    @property
    def _db(self) -> sqlite3.Connection:
        with self._guard:
            if self._database is None:
                self._database = connect(self.folder / "registry.db")
            return self._database

    def close(self) -> None:
        """Close the file."""
        with self._guard:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _made(self) -> None:
        """Make the file where there is none."""
        with self._guard:
            self._database = self._database or connect(self.folder / "registry.db", create=True)


def _put(database: sqlite3.Connection, key: str, value: str) -> None:
    database.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
    )


def now_text() -> str:
    return from_datetime(datetime.now(UTC))


def revoke(database: sqlite3.Connection, ids: list[str]) -> None:
    database.executemany(
        "UPDATE certificates SET state = 'revoked', revoked_at = ? WHERE id = ? AND state = 'active'",
        [(now_text(), one) for one in ids],
    )
