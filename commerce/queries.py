"""What is read of commerce: by its commands, the console, the warehouse and the routes."""

from typing import Any, cast

from sqlalchemy import select

from commerce.orders.state import Content, counted
from commerce.orders.wire import effective_ms
from commerce.storage.database import Database
from commerce.storage.schema import order_events, order_states
from contract import timestamps
from contract.codec import parse

Rows = list[dict[str, Any]]


def order_list(
    database: Database, *, state: str | None = None, customer_id: str | None = None, most: int = 100
) -> Rows:
    """Orders, newest first.

    Args:
        database: of commerce.
        state: only those in this state.
        customer_id: only this customer's.
        most: at most so many.

    Returns:
        Their states (`commerce.orders.state.order_state`).
    """
    query = select(order_states.c.document).order_by(order_states.c.placed_at.desc(), order_states.c.order_id)
    if state is not None:
        query = query.where(order_states.c.state == state)
    if customer_id is not None:
        query = query.where(order_states.c.customer_id == customer_id)
    with database.read() as connection:
        return [parse(document) for document in connection.execute(query.limit(most)).scalars()]


def order(database: Database, order_id: str) -> dict[str, Any] | None:
    """One order's state and, under `events`, every event that counts, in time order; None for an unknown order."""
    with database.read() as connection:
        document = connection.execute(
            select(order_states.c.document).where(order_states.c.order_id == order_id)
        ).scalar_one_or_none()
        rows = list(connection.execute(select(order_events).where(order_events.c.order_id == order_id)))
    if document is None:
        return None
    contents = [Content(row.event_id, row.content, row.received_ms, parse(row.document)) for row in rows]
    events = [
        {
            "event_id": event.id,
            "type": event.record["type"],
            "at": timestamps.from_ms(effective_ms(event.record.get("at"), event.received_ms)),
            "received_at": timestamps.from_ms(event.received_ms),
            "truck_id": event.record.get("truck_id"),
        }
        for event in counted(contents).contents
    ]
    events.sort(key=lambda event: (event["at"], event["event_id"]))
    return {**cast(dict[str, Any], parse(document)), "events": events}
