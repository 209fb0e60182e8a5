"""What a buffer file says, read beside the running service: never locks it, never writes it."""

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from agent.buffer.connection import is_damage
from agent.buffer.schema import APPLICATION_ID, PENDING
from contract.codec import Json
from contract.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class Glance:
    """One moment of a buffer. waiting: how many of the pending wait for a time that can be trusted.

    last_sample: the newest sample whole, None before the first. notes: see Buffer.note.
    """

    truck_id: str
    stream_id: str
    highest_seq: int
    oldest_retained: int | None
    pending: int
    waiting: int
    sent: int
    last_sample: Json
    notes: dict[str, str]


def glance(path: Path) -> Glance:
    """Read a buffer file; Misconfigured where there is none, it is not one, or damaged."""
    if not path.is_file():
        raise Misconfigured(f"no buffer at {path}: start `milepost agent run` once, or correct [agent] buffer")
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            return _read(connection, path)
        finally:
            connection.close()
    except (sqlite3.Error, TypeError, ValueError) as error:  # what is damaged is not always of the right kind
        if not isinstance(error, sqlite3.Error) or is_damage(error):
            remedy = "start the agent anew, which sets it aside and salvages it"
            raise Misconfigured(f"the buffer {path} is damaged ({error}): {remedy}") from None
        raise Misconfigured(f"cannot read the buffer {path}: {error}; run as the agent's own user") from None


def _read(connection: sqlite3.Connection, path: Path) -> Glance:
    connection.execute("BEGIN")
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise Misconfigured(f"{path} is not a Milepost buffer: correct [agent] buffer")
    owner = connection.execute("SELECT truck_id, stream_id FROM stream").fetchone()
    if owner is None:
        raise Misconfigured(f"{path} is just being made: ask again")
    truck_id, stream_id = owner
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = ("samples", "drafts") if version > 1 else ("samples",)
    held = " UNION ALL ".join(f"SELECT seq, body FROM {table}" for table in tables)
    waiting = connection.execute("SELECT count(*) FROM drafts").fetchone()[0] if version > 1 else 0
    newest = connection.execute(f"{held} ORDER BY seq DESC LIMIT 1").fetchone()
    lost = connection.execute("SELECT ifnull(max(last), 0) FROM gone").fetchone()[0]
    return Glance(
        truck_id=truck_id,
        stream_id=stream_id,
        highest_seq=max(newest[0] if newest else 0, lost),
        oldest_retained=connection.execute(f"SELECT min(seq) FROM ({held})").fetchone()[0],
        pending=connection.execute(f"SELECT count(*) FROM samples WHERE {PENDING}").fetchone()[0] + waiting,
        waiting=waiting,
        sent=connection.execute("SELECT count(*) FROM sent").fetchone()[0],
        last_sample=json.loads(newest[1]) if newest else None,
        notes=dict(connection.execute("SELECT key, value FROM notes")),
    )
