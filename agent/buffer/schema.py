"""The buffer file's tables and their version: older files migrate forward after a copy, newer ones are refused.

The version is SQLite's `user_version`. sqlite-utils is imported only when there is something to make or change, so
that a truck in its daily life does not load it.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from contract.errors import Misconfigured

if TYPE_CHECKING:
    from sqlite_utils import Database

APPLICATION_ID = 0x4D504246  # "MPBF"


def _first(database: "Database") -> None:
    """Version 1.

    samples: the bytes. Each of its numbers is in exactly one of pending and sent, which are small and dense, so that
    marking a drained backlog does not rewrite the samples' pages. sent.age: the running second at which it was sent.
    gone: ranges given out and lost. predecessors: streams of lost files. notes: for `milepost agent status`.
    """
    database.table("stream").create({"truck_id": str, "stream_id": str}, pk="stream_id")
    database.table("samples").create({"seq": int, "body": bytes}, pk="seq", not_null={"body"})
    database.table("pending").create({"seq": int}, pk="seq")
    database.table("sent").create({"seq": int, "age": int}, pk="seq", not_null={"age"})
    database.table("sent").create_index(["age"])
    database.table("gone").create({"first": int, "last": int}, pk="first")
    database.table("predecessors").create({"stream_id": str, "highest_seq": int, "age": int}, pk="stream_id")
    database.table("notes").create({"key": str, "value": str}, pk="key")


STEPS: tuple[Callable[["Database"], None], ...] = (_first,)
"""STEPS[n] takes a file from version n to n + 1, inside a transaction."""


def bring_up_to_date(connection: sqlite3.Connection, path: Path) -> None:
    """Create or migrate the tables; the caller has autocommit mode on.

    Raises Misconfigured for a file of a newer version or of another program, sqlite3.DatabaseError for a damaged one.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    owner = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    if (tables or version) and owner != APPLICATION_ID:
        raise Misconfigured(f"{path} is not a Milepost buffer: give [agent] buffer another path")
    if version > len(STEPS):
        raise Misconfigured(
            f"{path} has version {version}, this agent knows up to {len(STEPS)}: install the newer Milepost again"
        )
    if version == len(STEPS):
        return
    if version:
        copy = path.with_name(f"{path.name}.version-{version}")
        with sqlite3.connect(copy) as target:
            connection.backup(target)
        target.close()
    _run(connection, version)


def _run(connection: sqlite3.Connection, version: int) -> None:
    from sqlite_utils import Database

    database = Database(connection, execute_plugins=False)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in STEPS[version:]:
            step(database)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
