"""The local registry's tables, and its file: SQLite, durable at every commit, closed to others."""

import os
import sqlite3
from pathlib import Path

from contract.errors import Misconfigured

VERSION = 2
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE trucks (
    truck_id TEXT PRIMARY KEY, state TEXT NOT NULL DEFAULT 'active', added_at TEXT NOT NULL,
    attributes TEXT NOT NULL DEFAULT '{}', last_seen TEXT) WITHOUT ROWID;
CREATE TABLE certificates (
    id TEXT PRIMARY KEY, truck_id TEXT NOT NULL REFERENCES trucks, key_hash TEXT NOT NULL, pem TEXT NOT NULL,
    issued_at TEXT NOT NULL, not_after TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'active', revoked_at TEXT);
CREATE INDEX certificates_of ON certificates (truck_id);
CREATE UNIQUE INDEX one_active_certificate_a_key ON certificates (key_hash) WHERE state = 'active';
CREATE TABLE tokens (
    hash TEXT PRIMARY KEY, truck_id TEXT NOT NULL REFERENCES trucks, expires_at TEXT NOT NULL,
    used_at TEXT, used_key_hash TEXT) WITHOUT ROWID;
INSERT INTO meta VALUES ('revision', '0');
"""
_LOG = """
CREATE TABLE log (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, truck_id TEXT,
    detail TEXT NOT NULL DEFAULT '', why TEXT NOT NULL DEFAULT '');
CREATE INDEX log_of ON log (truck_id);
CREATE TRIGGER log_is_not_changed BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER log_is_not_cut BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
ALTER TABLE trucks ADD COLUMN renewal_asked_at TEXT;
"""


def connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open the registry. Misconfigured where there is none (unless `create`), or it is of a newer version."""
    if not path.exists():
        if not create:
            raise Misconfigured(f"no registry in {path.parent}: `milepost provision init` makes it")
        os.close(os.open(path, os.O_CREAT | os.O_CLOEXEC, 0o600))
    database = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    database.row_factory = sqlite3.Row
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("PRAGMA foreign_keys=ON")
        _migrate(database, path)
    except sqlite3.Error as error:
        database.close()
        raise Misconfigured(
            f"{path} cannot be used: {error}: restore it from a backup, or mend its permissions"
        ) from None
    return database


def _migrate(database: sqlite3.Connection, path: Path) -> None:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        database.close()
        raise Misconfigured(f"{path} is of a newer Milepost (version {version}): use that one, or restore a backup")
    if version == VERSION:
        return
    if version:
        _copy_beside(database, path, version)
    tables = _LOG if version else _TABLES + _LOG
    try:
        database.executescript(f"BEGIN IMMEDIATE; {tables} PRAGMA user_version={VERSION}; COMMIT;")
    except sqlite3.OperationalError:  # another process was faster
        if database.in_transaction:
            database.execute("ROLLBACK")
        if database.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            raise


def _copy_beside(database: sqlite3.Connection, path: Path, version: int) -> None:
    """The file as the release before had it, for the way back."""
    copy = path.with_name(f"{path.name}.v{version}")
    if not copy.exists():
        os.close(os.open(copy, os.O_CREAT | os.O_CLOEXEC, 0o600))
        database.execute("VACUUM INTO ?", (str(copy),))
