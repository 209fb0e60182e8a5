"""The documents of commerce as Arrow batches for DuckDB: orders, their events, and the versions of its registers."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from sqlalchemy import select

from commerce.orders.state import Content, counted
from commerce.orders.wire import effective_ms
from commerce.registers.documents import KINDS
from commerce.registers.register import Register
from commerce.storage.database import Database
from commerce.storage.schema import order_events, order_states
from contract import timestamps
from contract.codec import dump, parse

DOCUMENT = pa.schema(
    [
        ("id", pa.string()),
        ("part", pa.string()),
        ("began", pa.string()),
        ("ended", pa.string()),
        ("received_ms", pa.int64()),
        ("wire", pa.string()),
    ]
)
Row = tuple[Any, ...]


def rows(table: str, shop: Database) -> Iterator[Row]:
    """Rows of DOCUMENT for one of the lake's tables of commerce.

    Args:
        table: order_state, order_event, customer_version, item_version or vehicle_version.
        shop: the database of commerce.
    """
    if table == "order_state":
        return _states(shop)
    if table == "order_event":
        return _events(shop)
    return _versions(shop, table.removesuffix("_version"))


def _states(shop: Database) -> Iterator[Row]:
    """Orders that were placed; events without an order yet are in order_event."""
    with shop.read() as connection:
        for document in connection.execute(select(order_states.c.document)).scalars():
            state = parse(document)
            if state["placed_at"] is not None:
                yield state["order_id"], None, state["placed_at"], None, None, document


def _events(shop: Database) -> Iterator[Row]:
    query = select(order_events).order_by(order_events.c.order_id)
    with shop.read() as connection:
        found: dict[str, list[Content]] = {}
        for row in connection.execute(query):
            content = Content(row.event_id, row.content, row.received_ms, parse(row.document))
            found.setdefault(row.order_id, []).append(content)
    for order_id, contents in found.items():
        for event in counted(contents).contents:
            at = timestamps.from_ms(effective_ms(event.record.get("at"), event.received_ms))
            yield order_id, event.id, at, None, event.received_ms, dump(event.record)


def _versions(shop: Database, kind: str) -> Iterator[Row]:
    for version in Register(shop, KINDS[kind]).versions():
        document = dump(version["document"])
        yield (
            version["subject_id"],
            None,
            version["effective_start_date"],
            version["effective_end_date"],
            None,
            document,
        )
