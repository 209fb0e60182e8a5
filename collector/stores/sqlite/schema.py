"""The SQLite store's file format: versioned from the first day, migrated forward, never guessed.

`PRAGMA user_version` holds the schema version. An older file is copied to `NAME.v<old>.bak` and then brought forward
in one transaction; a file from a newer Milepost is refused. Add a migration at the end; never edit one that shipped.

sqlite-utils is imported only where a migration is due.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from collector.stores.sqlite import click_sessions
from contract.errors import Misconfigured, Retryable
from contract.table_making import database_class

if TYPE_CHECKING:
    from sqlite_utils import Database


def _first(db: Database) -> None:
    db.table("meta").create({"name": str, "value": str}, pk="name")
    db.table("samples").create(
        {
            "truck_id": str,
            "order_key": str,
            "key": str,
            "stream_id": str,
            "seq": int,
            "content": str,
            "received_ms": int,
            "by_arrival": int,
            "text": str,
        },
        pk=("truck_id", "order_key"),
        not_null={"key", "content", "received_ms", "by_arrival", "text"},
    )
    db.execute("CREATE INDEX samples_by_content ON samples (truck_id, content) WHERE by_arrival = 1")
    db.table("versions").create(
        {"truck_id": str, "order_key": str, "key": str, "end": str},
        pk=("truck_id", "order_key"),
        not_null={"key"},
    )
    db.table("heads").create({"truck_id": str, "latest": str, "current": str, "rev": int}, pk="truck_id")
    db.table("streams").create(
        {"truck_id": str, "stream_id": str, "ledger": str, "holes": int},
        pk=("truck_id", "stream_id"),
        not_null={"ledger", "holes"},
    )
    db.execute("CREATE INDEX streams_with_holes ON streams (truck_id) WHERE holes > 0")
    db.table("statuses").create({"truck_id": str, "text": str}, pk="truck_id")
    db.table("clicks").create(
        {
            "event_id": str,
            "timestamp": str,
            "session_id": str,
            "page": str,
            "minute": str,
            "item_id": str,
            "item_name": str,
            "event_type": str,
            "count": int,
            "received_ms": int,
            "text": str,
        },
        pk="event_id",
        not_null={"timestamp", "minute", "event_type", "count", "received_ms", "text"},
    )
    # '' stands for null in the counter's key: in SQLite two nulls would be two keys.
    db.table("click_counts").create(
        {"minute": str, "item_id": str, "item_name": str, "event_type": str, "count": int},
        pk=("minute", "item_id", "item_name", "event_type"),
    )
    db.table("dead_letters").create(
        {"id": str, "received_ms": int, "source": str, "field": str, "reason": str, "payload": bytes, "times": int},
        pk="id",
    )


def _several_deliveries_of_a_click(db: Database) -> None:
    """What tells deliveries of one event_id apart, and the contents that are not counted."""
    db.execute("ALTER TABLE clicks ADD COLUMN content TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE clicks ADD COLUMN sent_at TEXT NOT NULL DEFAULT ''")
    db.table("click_rivals").create(
        {"event_id": str, "content": str, "received_ms": int, "text": str},
        pk=("event_id", "content"),
        not_null={"received_ms", "text"},
    )


def _estimated_samples_are_known_by_content(db: Database) -> None:
    """Also those that are stored already, whichever date they got."""
    db.execute("ALTER TABLE samples ADD COLUMN estimated INTEGER NOT NULL DEFAULT 0")
    db.execute(
        "UPDATE samples SET estimated = 1 WHERE by_arrival = 1 OR json_extract(text, '$.time_quality') = 'estimated'"
    )
    db.execute("DROP INDEX samples_by_content")
    db.execute("CREATE INDEX samples_by_content ON samples (truck_id, content) WHERE estimated = 1")


def _clicks_are_found_by_session(db: Database) -> None:
    db.execute("CREATE INDEX clicks_by_session ON clicks (session_id, timestamp) WHERE session_id IS NOT NULL")


def _alerts(db: Database) -> None:
    db.table("alerts").create(
        {"subject": str, "key": str, "text": str}, pk=("subject", "key"), not_null={"subject", "key", "text"}
    )
    db.table("alert_outbox").create(
        {"id": str, "receiver": str, "due_ms": int, "attempts": int, "text": str},
        pk="id",
        not_null={"receiver", "due_ms", "attempts", "text"},
    )
    db.execute("CREATE INDEX alert_outbox_by_due ON alert_outbox (receiver, due_ms)")


def _sessions_and_robots_are_counted(db: Database) -> None:
    """Sessions have a table of their own; who did it, and whether it was a robot, are columns of an event."""
    for column in ("user_id TEXT", "customer_id TEXT", "is_bot INTEGER NOT NULL DEFAULT 0"):
        db.execute(f"ALTER TABLE clicks ADD COLUMN {column}")
    db.execute(
        "UPDATE clicks SET user_id = json_extract(text, '$.user_id'),"
        " customer_id = json_extract(text, '$.customer_id'), is_bot = ifnull(json_extract(text, '$.is_bot'), 0) = 1"
    )
    db.execute("ALTER TABLE click_counts ADD COLUMN bots INTEGER NOT NULL DEFAULT 0")
    db.execute("CREATE INDEX clicks_by_page ON clicks (page, event_type, minute, count, is_bot)")
    db.execute("CREATE INDEX clicks_of_no_session ON clicks (timestamp, is_bot) WHERE session_id IS NULL")
    db.execute(
        "CREATE INDEX clicks_by_customer ON clicks (user_id, customer_id, timestamp)"
        " WHERE customer_id IS NOT NULL AND user_id IS NOT NULL"
    )
    db.execute(
        "CREATE TABLE session_parts (session_id TEXT NOT NULL, part INTEGER NOT NULL, first TEXT NOT NULL,"
        " last TEXT NOT NULL, events INTEGER NOT NULL, count INTEGER NOT NULL, purchases INTEGER NOT NULL,"
        " depth INTEGER NOT NULL, user_id TEXT, customer_id TEXT, is_bot INTEGER NOT NULL,"
        " PRIMARY KEY (session_id, part)) WITHOUT ROWID"
    )
    db.execute("CREATE INDEX session_parts_by_first ON session_parts (first)")


COUNT_PAGES = (
    "INSERT INTO page_counts SELECT minute, ifnull(page, ''), event_type, sum(count), sum(count * is_bot) FROM clicks"
    " WHERE minute >= ? GROUP BY 1, 2, 3 HAVING sum(count) > 0"
)
"""Takes the minute to begin with."""


def _pages_are_counted(db: Database) -> None:
    """By minute first, so that what is counted now lies together: an index by page had a commit write many pages."""
    db.execute("DROP INDEX clicks_by_page")
    db.execute(
        "CREATE TABLE page_counts (minute TEXT NOT NULL, page TEXT NOT NULL, event_type TEXT NOT NULL,"
        " count INTEGER NOT NULL, bots INTEGER NOT NULL, PRIMARY KEY (minute, page, event_type)) WITHOUT ROWID"
    )
    db.execute(COUNT_PAGES, [""])


def _old_events_may_go(db: Database) -> None:
    """Parts of sessions whose events were dropped are settled; what else was known by those events is kept apart."""
    db.execute("ALTER TABLE session_parts ADD COLUMN dropped INTEGER NOT NULL DEFAULT 0")
    db.execute("DROP INDEX session_parts_by_first")
    db.execute("CREATE INDEX session_parts_by_first ON session_parts (dropped, first)")
    db.execute(
        "CREATE TABLE dropped_of_no_session (minute TEXT PRIMARY KEY, events INTEGER NOT NULL, bots INTEGER NOT NULL)"
        " WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE dropped_identities (user_id TEXT NOT NULL, customer_id TEXT NOT NULL, said TEXT NOT NULL,"
        " PRIMARY KEY (user_id, customer_id)) WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE clicks_dropping (session_id TEXT NOT NULL, first TEXT NOT NULL, last TEXT NOT NULL,"
        " PRIMARY KEY (session_id, first)) WITHOUT ROWID"
    )
    if not db.execute("SELECT EXISTS (SELECT 1 FROM session_parts)").fetchone()[0]:
        click_sessions.rebuild(db.conn)  # of a file from before sessions were kept


COUNT_DAYS = (
    "INSERT INTO day_counts SELECT substr(minute, 1, 10), item_id, item_name, event_type, sum(count), sum(bots)"
    " FROM click_counts GROUP BY 1, 2, 3, 4"
)


def _items_are_counted_by_day(db: Database) -> None:
    """The sums of `click_counts`: a shop's whole time has a row there for nearly every event."""
    db.execute(
        "CREATE TABLE day_counts (day TEXT NOT NULL, item_id TEXT NOT NULL, item_name TEXT NOT NULL,"
        " event_type TEXT NOT NULL, count INTEGER NOT NULL, bots INTEGER NOT NULL,"
        " PRIMARY KEY (day, item_id, item_name, event_type)) WITHOUT ROWID"
    )
    db.execute(COUNT_DAYS)


def _purchases_are_found(db: Database) -> None:
    db.execute("CREATE INDEX clicks_of_purchases ON clicks (timestamp) WHERE event_type = 'purchase'")


BROWSERS = "user_id IS NOT NULL AND instr(text, '\"browser_id\":') > 0"
"""The condition of the index `clicks_by_browser`: only events that the shop's cookie came with."""


def _browsers_are_found(db: Database) -> None:
    db.execute(
        f"CREATE INDEX clicks_by_browser ON clicks (json_extract(text, '$.browser_id'), user_id) WHERE {BROWSERS}"
    )
    db.execute(
        "CREATE TABLE dropped_browsers (browser_id TEXT NOT NULL, user_id TEXT NOT NULL,"
        " PRIMARY KEY (browser_id, user_id)) WITHOUT ROWID"
    )


MIGRATIONS: tuple[Callable[[Database], None], ...] = (
    _first,
    _several_deliveries_of_a_click,
    _estimated_samples_are_known_by_content,
    _clicks_are_found_by_session,
    _alerts,
    _sessions_and_robots_are_counted,
    _pages_are_counted,
    _old_events_may_go,
    _items_are_counted_by_day,
    _purchases_are_found,
    _browsers_are_found,
)
VERSION = len(MIGRATIONS)
_PATIENCE = 30.0


class NotYetMade(Misconfigured):
    """The file is there, but whoever makes it has not come to the tables."""


def connect(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """A connection to a store file whose format is the current one.

    Raises Misconfigured for another's file, NotYetMade for reading an empty one, Retryable while others lock it.
    """
    if not readonly:
        path.parent.mkdir(parents=True, exist_ok=True)
    mode = "ro" if readonly else "rwc"
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode={mode}",
            uri=True,
            timeout=_PATIENCE,
            isolation_level=None,
            check_same_thread=False,
        )
        found = _version(connection)
        if found > VERSION:
            raise Misconfigured(
                f"{path} has schema version {found}, this Milepost knows {VERSION}:"
                " upgrade Milepost, or restore an older copy"
            )
        if not readonly:
            _write_ahead(connection)
            connection.execute("PRAGMA synchronous = FULL")  # a receipt promises durability
            connection.execute("PRAGMA cache_size = -32768")
            if found < VERSION:
                _migrate(connection, path)
        elif not found:
            raise NotYetMade(f"{path} is empty: `milepost up` or `milepost ingest` makes it a store")
        elif found < VERSION:
            raise Misconfigured(
                f"{path} has the older schema version {found}: run `milepost verify` once to migrate it"
            )
    except sqlite3.DatabaseError as error:
        if _busy(error):
            raise Retryable(f"{path} is locked by another process: try again when it is done") from None
        if _primary_code(error) == sqlite3.SQLITE_FULL:
            raise Retryable(f"{path} cannot be written: {error}: make room on its disk, then try again") from None
        raise Misconfigured(
            f"{path} cannot be opened as a store: {error}; give another --data-dir or restore a copy"
        ) from None
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _busy(error: sqlite3.DatabaseError) -> bool:
    return _primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _primary_code(error: sqlite3.DatabaseError) -> int | None:
    code: int | None = getattr(error, "sqlite_errorcode", None)  # only errors of SQLite itself have one
    return None if code is None else code & 0xFF


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn WAL on. Where several make one file SQLite answers "locked" at once here, whatever the timeout says."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not _busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    database = database_class()(connection)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        found = _version(connection)  # another process may have been first
        if 0 < found < VERSION:
            _copy(path, path.with_name(f"{path.name}.v{found}.bak"))
        for migration in MIGRATIONS[found:]:
            migration(database)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has ended it
            connection.execute("ROLLBACK")
        raise


def _copy(path: Path, copy: Path) -> None:
    """What is committed, read beside the open transaction."""
    with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(copy)) as target:
        source.backup(target)
