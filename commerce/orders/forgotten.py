"""What stays of the order of somebody who is forgotten: what was sold, when, and how far it came."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Table, select, update

from commerce.fields import Accepted
from commerce.orders.wire import effective_ms
from commerce.storage.schema import order_contents
from contract import timestamps
from contract.codec import Json, canonical, parse
from contract.forgotten import Forgotten

_KEEPS = ("order_id", "currency", "payment_method", "placed_at", "promised_at", "total")
_LINE_KEEPS = ("item_id", "item_name", "category", "price", "quantity")
_EVENT_KEEPS = ("event_id", "type", "at", "truck_id")
_WHO = ("customer_id", "session_id")


def scrubbed_order(record: Mapping[str, Json], marks: Forgotten) -> dict[str, Json]:
    """A judged order without customer, session, address and whatever else was sent with it; country stays."""
    kept: dict[str, Json] = {name: record[name] for name in _KEEPS if name in record}
    kept["lines"] = [{name: line[name] for name in _LINE_KEEPS if name in line} for line in record["lines"]]
    for name in _WHO:
        kept[name] = None if record.get(name) is None else marks.pseudonym(str(record[name]))
    country = (record.get("shipping") or {}).get("country")
    kept["shipping"] = {"country": country} if country else None
    return {**kept, "forgotten": True}


def scrubbed_event(record: Mapping[str, Json]) -> dict[str, Json]:
    """A judged event of such an order."""
    return {name: record[name] for name in _EVENT_KEEPS if name in record}


def without_forgotten(accepted: Accepted, marks: Forgotten, received_ms: int) -> Accepted:
    """A posted order as it may be kept: as it is, unless it was placed before its customer was forgotten."""
    if not _names_forgotten(accepted.record, "placed_at", marks, received_ms):
        return accepted
    kept = scrubbed_order(accepted.record, marks)
    return replace(accepted, record=kept, text=canonical(kept))


def event_without_forgotten(
    connection: Connection, order_id: str, accepted: Accepted, marks: Forgotten, received_ms: int
) -> Accepted:
    """A posted event as it may be kept: bare where its order is of somebody forgotten, or itself names one."""
    if not marks.markers().people:
        return accepted
    query = select(order_contents.c.document).where(order_contents.c.order_id == order_id)
    of_forgotten = any(parse(document).get("forgotten") for document in connection.execute(query).scalars())
    if not of_forgotten and not _names_forgotten(accepted.record, "at", marks, received_ms):
        return accepted
    kept = scrubbed_event(accepted.record)
    return replace(accepted, record=kept, text=canonical(kept))


def _names_forgotten(record: Mapping[str, Json], time: str, marks: Forgotten, received_ms: int) -> bool:
    at = timestamps.from_ms(effective_ms(record.get(time), received_ms))
    return any(marks.is_forgotten(record.get(name), at) for name in _WHO)


def rewrite(connection: Connection, table: Table, order_id: str, scrub: Callable[[Any], dict[str, Json]]) -> int:
    """Put in place of each row's document of an order what stays of it, under the same content hash.

    Returns:
        How many rows there are.
    """
    rows = connection.execute(select(table).where(table.c.order_id == order_id)).all()
    for row in rows:
        same = [column == getattr(row, column.name) for column in table.primary_key]
        text = canonical(scrub(parse(row.document)))
        connection.execute(update(table).where(*same).values(document=text))
    return len(rows)
