"""The buffer file's tables and their version: older files migrate forward after a copy, newer ones are refused.

The version is SQLite's `user_version`. sqlite-utils is imported only when there is something to make or change, so
that a truck in its daily life does not load it.
"""

import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from contract.errors import Misconfigured
from contract.table_making import database_class

if TYPE_CHECKING:
    from sqlite_utils import Database

APPLICATION_ID = 0x4D504246  # "MPBF"
PAGE_SIZE = 512
"""Of a new file, and the least that SQLite has: a commit writes whole pages (benchmarks/flash_wear.py)."""

PENDING = "seq NOT IN (SELECT seq FROM sent)"
"""Which samples wait to be sent. SQLite looks each up in sent's own tree."""

EVENT, TRUSTED = 1, 2
"""Bits of samples.flags: thinning spares it; its time was witnessed."""

_FIRST_CREATED = "SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY name)"


def checksum(seq: int, body: bytes) -> int:
    """Of one sample: a flipped bit in a body is no damage that SQLite would notice."""
    return zlib.crc32(body, seq & 0xFFFFFFFF)


def fingerprint(connection: sqlite3.Connection) -> int:
    """Of the tables' definitions, in which a flipped bit can rename a column or change what a key is."""
    return zlib.crc32(str(connection.execute(_FIRST_CREATED).fetchone()[0]).encode())


def stream_seal(truck_id: str, stream_id: str, tables: int) -> int:
    """Of the one row that says whose file this is; `tables` is their fingerprint."""
    return zlib.crc32(f"{truck_id} {stream_id} {tables}".encode())


_FACTOR, _PRIME = 7919, 32_749
SENT_SEAL = f"(seq * {_FACTOR} + age) % {_PRIME}"
"""`sent_seal` in SQL: a function of ours would wait for the interpreter, which another thread has, with each row."""


def sent_seal(seq: int, age: int) -> int:
    """Of one row of sent: a flipped bit in its number would call another sample sent. Two bytes, because thirty rows
    share a page."""
    return (seq * _FACTOR + age) % _PRIME


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


def _second(database: "Database") -> None:
    """Version 2.

    samples: with the boot and its uptime (ms) at which each was taken, flags (EVENT, TRUSTED) and a checksum.
    drafts: samples that wait for a time; `wall` is what the clock said. Releasing one moves it to samples and pending:
    a row of samples never changes. boots: every boot that took samples and, where known, an instant on its time line.
    thinned: runs of numbers dropped to make room. stream.seal: see stream_seal. Without the index on sent.age, which
    cost a page a sample and served one query an hour.
    """
    numbers = {"boot": int, "uptime": int, "flags": int, "crc": int}
    for column in numbers:
        database.table("samples").add_column(column, int)
    database.table("drafts").create({"seq": int, "body": bytes, **numbers, "wall": str}, pk="seq")
    database.table("boots").create({"id": int, "boot": str, "uptime": float, "utc": str, "quality": str}, pk="id")
    database.table("thinned").create({"first": int, "last": int, "keep_every": int}, pk="first")
    database.table("stream").add_column("seal", int)
    database.execute("DROP INDEX IF EXISTS idx_sent_age")
    connection = database.conn
    connection.create_function("checksum", 2, checksum, deterministic=True)
    connection.execute(
        f"UPDATE samples SET crc = checksum(seq, body),"
        f' flags = iif(instr(CAST(body AS TEXT), \'"time_quality":"estimated"\'), 0, {TRUSTED})'
    )
    _seal(connection)


def _third(database: "Database") -> None:
    """Version 3.

    Without `pending`, which every sample was written to and taken from: what is not in sent is pending. sent.seal: see
    sent_seal.
    """
    database.execute("DELETE FROM sent WHERE seq IN (SELECT seq FROM pending)")
    database.table("pending").drop()
    database.table("sent").add_column("seal", int)
    database.execute(f"UPDATE sent SET seal = {SENT_SEAL}")
    _seal(database.conn)


def _seal(connection: sqlite3.Connection) -> None:
    """Put the stream's seal on the tables as they are now."""
    for truck_id, stream_id in connection.execute("SELECT truck_id, stream_id FROM stream").fetchall():
        connection.execute("UPDATE stream SET seal = ?", (stream_seal(truck_id, stream_id, fingerprint(connection)),))


STEPS: tuple[Callable[["Database"], None], ...] = (_first, _second, _third)
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
    database = database_class()(connection, execute_plugins=False)
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
