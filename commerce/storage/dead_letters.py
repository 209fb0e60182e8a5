"""What commerce refused: kept with the reason, once per payload, counted."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from commerce.card_numbers import may_hold_card_data
from commerce.fields import CardData
from commerce.storage.database import Database
from commerce.storage.schema import dead_letters
from contract import timestamps
from contract.errors import Rejected
from contract.forgotten import GONE, Forgotten
from contract.log_format import printable

_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Arrival:
    """One document as it came.

    received_ms: Unix ms. payload: its bytes. source: the door it came through.
    """

    received_ms: int
    payload: bytes
    source: str


def keep_dead_letter(
    database: Database, arrival: Arrival, error: Rejected, *, forgotten: Forgotten | None = None
) -> str:
    """Keep one refused document; a repeat of the same bytes is counted.

    Args:
        database: where to.
        arrival: what came; its bytes are left out where they hold a payment card's number or somebody forgotten.
        error: the field and the reason.
        forgotten: who must not be stored again.

    Returns:
        Its id: a hash of source and payload.
    """
    reason = error.reason
    if isinstance(error, CardData) or may_hold_card_data(arrival.payload.decode("utf-8", "replace")):
        arrival = replace(arrival, payload=b"")
    elif forgotten is not None and (kept := forgotten.letter(arrival.payload)) is GONE:
        arrival, reason = replace(arrival, payload=kept), "forgotten"
    field = printable(error.field)
    name = hashlib.sha256(arrival.source.encode() + b"\0" + (arrival.payload or field.encode())).hexdigest()
    insert = database.insert(dead_letters).values(
        id=name,
        received_ms=arrival.received_ms,
        source=arrival.source,
        field=field[:_LONGEST],
        reason=printable(reason)[:_LONGEST],
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
