"""What commerce refused: kept with the reason, once per payload, counted."""

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from commerce.storage.database import Database
from commerce.storage.schema import dead_letters
from contract import timestamps
from contract.errors import Rejected

_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Arrival:
    """One document as it came.

    received_ms: Unix ms. payload: its bytes. source: the door it came through.
    """

    received_ms: int
    payload: bytes
    source: str


def keep_dead_letter(database: Database, arrival: Arrival, error: Rejected) -> str:
    """Keep one refused document; a repeat of the same bytes is counted.

    Args:
        database: where to.
        arrival: what came; with an empty payload where it must not be kept.
        error: the field and the reason.

    Returns:
        Its id: a hash of source and payload.
    """
    name = hashlib.sha256(arrival.source.encode() + b"\0" + (arrival.payload or error.field.encode())).hexdigest()
    insert = database.insert(dead_letters).values(
        id=name,
        received_ms=arrival.received_ms,
        source=arrival.source,
        field=error.field[:_LONGEST],
        reason=error.reason[:_LONGEST],
        payload=arrival.payload,
        times=1,
    )
    counted = insert.on_conflict_do_update(index_elements=["id"], set_={"times": dead_letters.c.times + 1})
    with database.write() as connection:
        connection.execute(counted)
    return name


def dead_letter_rows(database: Database) -> list[dict[str, Any]]:
    """`[{id, received_at, source, field, reason, payload, times}]`, oldest first; payload as text."""
    with database.read() as connection:
        rows = list(connection.execute(select(dead_letters).order_by(dead_letters.c.received_ms, dead_letters.c.id)))
    return [
        {
            "id": row.id,
            "received_at": timestamps.from_ms(row.received_ms),
            "source": row.source,
            "field": row.field,
            "reason": row.reason,
            "payload": row.payload.decode("utf-8", "backslashreplace"),
            "times": row.times,
        }
        for row in rows
    ]
