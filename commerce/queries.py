"""What is read of commerce: by its commands, the console, the warehouse and the routes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from sqlalchemy import select

from commerce.orders.state import Content, counted
from commerce.orders.wire import effective_ms
from commerce.registers.documents import KINDS
from commerce.registers.register import Register
from commerce.routes.plans import Plans
from commerce.settings import CommerceSettings
from commerce.storage.database import Database, open_database
from commerce.storage.schema import order_events, order_states
from contract import timestamps
from contract.codec import parse
from contract.settings import load

__all__ = [
    "Database",
    "events_that_count",
    "items_bought",
    "open_if_there",
    "order",
    "order_list",
    "placed_orders",
    "register_versions",
    "routes_in_force",
    "states_of",
]

Rows = list[dict[str, Any]]

_AT_ONCE = 500
_UNDONE = ("cancelled", "returned")


def order_list(
    database: Database, *, state: str | None = None, customer_id: str | None = None, most: int | None = 100
) -> Rows:
    """Orders, newest first.

    Args:
        database: of commerce.
        state: only those in this state.
        customer_id: only this customer's.
        most: at most so many; None for all.

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


def items_bought(database: Database, customer_id: str, *, most: int) -> set[str]:
    """What a customer has bought lately.

    Args:
        database: of commerce.
        customer_id: whose.
        most: so many of the newest orders are looked at.

    Returns:
        item_ids of those that were neither cancelled nor sent back.
    """
    kept = (each for each in order_list(database, customer_id=customer_id, most=most) if each["state"] not in _UNDONE)
    return {str(line["item_id"]) for each in kept for line in each["lines"]}


def states_of(database: Database, order_ids: Sequence[str]) -> dict[str, str]:
    """The states of some orders.

    Args:
        database: of commerce.
        order_ids: of which; any number.

    Returns:
        order_id → state (docs/commerce.md), of those that are known.
    """
    found: dict[str, str] = {}
    with database.read() as connection:
        for first in range(0, len(order_ids), _AT_ONCE):
            some = order_ids[first : first + _AT_ONCE]
            query = select(order_states.c.order_id, order_states.c.state).where(order_states.c.order_id.in_(some))
            found |= {row.order_id: row.state for row in connection.execute(query)}
    return found


def order(database: Database, order_id: str) -> dict[str, Any] | None:
    """One order, whole.

    Args:
        database: of commerce.
        order_id: which.

    Returns:
        Its state and, under `events`, every event that counts, in time order; None for an unknown order.
    """
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


def open_if_there(data_dir: Path, config: Path | None = None) -> Database | None:
    """The database of commerce of an installation, to be closed by who asks; None where nothing was ever put there.

    Args:
        data_dir: the data directory.
        config: the settings file, else the one that is found.

    Returns:
        To be closed by who asks; None where nothing was ever put there.

    Raises:
        Unreachable: a server that the settings name does not answer.
    """
    settings = load("commerce", CommerceSettings, config)
    if settings.database is None and not (data_dir / "commerce.db").exists():
        return None
    return open_database(settings.database_url(data_dir))


def placed_orders(database: Database) -> Iterator[tuple[dict[str, Any], str]]:
    """Every order that was placed.

    Args:
        database: of commerce.

    Returns:
        Its state, parsed and as its JSON text, in one transaction; no order is promised.
    """
    with database.read() as connection:
        for document in connection.execute(select(order_states.c.document)).scalars():
            state = parse(document)
            if state["placed_at"] is not None:
                yield state, document


def events_that_count(database: Database) -> Iterator[tuple[str, Content, str]]:
    """Every event of every order once, as it counts.

    Args:
        database: of commerce.

    Returns:
        order_id, the event, and when it happened (RFC 3339); by order_id.
    """
    found: dict[str, list[Content]] = {}
    with database.read() as connection:
        for row in connection.execute(select(order_events).order_by(order_events.c.order_id)):
            content = Content(row.event_id, row.content, row.received_ms, parse(row.document))
            found.setdefault(row.order_id, []).append(content)
    for order_id, contents in found.items():
        for event in counted(contents).contents:
            yield order_id, event, timestamps.from_ms(effective_ms(event.record.get("at"), event.received_ms))


def register_versions(database: Database, kind: str) -> Rows:
    """Every version of a register.

    Args:
        database: of commerce.
        kind: `customer`, `item` or `vehicle`.

    Returns:
        As `Register.versions` gives them.
    """
    return Register(database, KINDS[kind]).versions()


def routes_in_force(database: Database) -> Iterator[dict[str, Any]]:
    """Each truck's route of each day's plan in force.

    Args:
        database: of commerce.

    Returns:
        `{plan_id, day, version, made_at, truck_id, km, hours, given_order_km, saved_litres, stops}`, as
        `commerce.routes.planning.plan` describes them; newest day first.
    """
    for plan in Plans(database).all():
        if plan["in_force"]:
            about = {name: plan[name] for name in ("plan_id", "day", "version", "made_at")}
            yield from ({**about, **route} for route in plan["trucks"])
