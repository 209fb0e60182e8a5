"""What the buffer file's tables get of a sample, and of its acknowledgement: from the agent, from what the mark kept of
it when the agent was killed, and in a copy that `milepost agent status` looks at."""

import sqlite3
from typing import NamedTuple

from agent.buffer.schema import PENDING, SENT_SEAL, checksum
from contract.ranges import Ranges

_BOOTS_KEPT = 200

NOTE = "INSERT INTO notes VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
"""Not OR REPLACE, which writes the index's page too."""


class SampleRow(NamedTuple):
    """A sample with all that the tables say of it. boot, uptime: the boot's name and the milliseconds since it, None
    where nobody knows. flags: EVENT, TRUSTED. wall: what the clock said, where the sample waits for a time; else None.
    """

    seq: int
    body: bytes
    boot: str | None
    uptime: int | None
    flags: int
    wall: str | None


def put_sample(db: sqlite3.Connection, row: SampleRow) -> None:
    """Store a sample; the transaction is the caller's.

    Args:
        db: the buffer file.
        row: the sample.
    """
    boot = None if row.boot is None else boot_number(db, row.boot)
    values = [row.seq, row.body, boot, row.uptime, row.flags, checksum(row.seq, row.body)]
    table = "samples"
    if row.wall is not None:
        table, values = "drafts", [*values, row.wall]
    db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(values))})", values)


def put_sent(db: sqlite3.Connection, numbers: Ranges, age: int, at: str) -> None:
    """Mark samples as sent; the transaction is the caller's.

    Args:
        db: the buffer file.
        numbers: those acknowledged; unknown ones are ignored.
        age: the running second.
        at: the instant, RFC 3339.
    """
    chosen = f"SELECT seq, {age:d} AS age FROM samples WHERE seq BETWEEN ? AND ? AND {PENDING}"
    db.executemany(f"INSERT INTO sent (seq, age, seal) SELECT seq, age, {SENT_SEAL} FROM ({chosen})", numbers.pairs)
    db.execute(NOTE, ("last_sent_at", at))


def boot_number(db: sqlite3.Connection, boot: str) -> int:
    """A boot's number, which it has from its first sample on; the transaction is the caller's.

    Args:
        db: the buffer file.
        boot: its name.

    Returns:
        Numbers grow from boot to boot.
    """
    row = db.execute("SELECT id FROM boots WHERE boot = ?", (boot,)).fetchone()
    if row is None:
        db.execute("INSERT INTO boots (boot) VALUES (?)", (boot,))
        row = db.execute("SELECT last_insert_rowid()").fetchone()
        unused = "id NOT IN (SELECT boot FROM drafts WHERE boot NOT NULL)"
        db.execute(f"DELETE FROM boots WHERE id <= ? AND {unused}", (row[0] - _BOOTS_KEPT,))
    return int(row[0])


def highest_held(db: sqlite3.Connection) -> int:
    """The highest number in the tables.

    Args:
        db: the buffer file.

    Returns:
        0 where there is none.
    """
    query = "SELECT max(ifnull(max(seq), 0), ifnull((SELECT max(seq) FROM drafts), 0)) FROM samples"
    return int(db.execute(query).fetchone()[0])
