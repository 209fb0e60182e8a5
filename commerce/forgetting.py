"""Takes a customer out of orders, registers, plans and dead letters, and leaves the counts; exports what is held.

The customer's orders stay as sales: what was sold, when, and how far it came. Rows stay under their content hashes, so
that a redelivery is a duplicate. The profile goes whole, with all its versions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Integer, LargeBinary, String, cast, delete, func, or_, select, update

from commerce.customers import unified_view
from commerce.orders.forgotten import rewrite, scrubbed_event, scrubbed_order
from commerce.orders.service import Orders
from commerce.queries import order
from commerce.storage import schema
from commerce.storage.database import Database
from contract import timestamps
from contract.codec import canonical, dump, parse
from contract.errors import Misconfigured
from contract.forgotten import GONE, Forgotten

_OF_PROFILE = ("email", "email_hash")
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class CustomerHoldings:
    """What commerce holds of a customer.

    order_ids, session_ids: of its orders. contents: hashes of the documents of its profile. identifiers: what names it
    in bytes: customer_id, session_ids, e-mail addresses, and its name where no other customer has the same.
    """

    order_ids: tuple[str, ...]
    session_ids: tuple[str, ...]
    contents: tuple[str, ...]
    identifiers: tuple[str, ...]


def held(database: Database, customer_id: str) -> CustomerHoldings:
    """Find what commerce holds of a customer.

    Args:
        database: of commerce.
        customer_id: whose.

    Returns:
        Nothing in it where the customer is unknown.
    """
    documents, contents = schema.register_documents, schema.order_contents
    with database.read() as connection:
        posted = [(row.order_id, parse(row.document)) for row in connection.execute(select(contents))]
        profiles = [
            (row.subject_id, row.order_key, parse(row.document))
            for row in connection.execute(select(documents).where(documents.c.kind == "customer"))
        ]
    own = [(order_id, record) for order_id, record in posted if record.get("customer_id") == customer_id]
    shared = {str(r.get("session_id")) for _, r in posted if r.get("customer_id") not in (None, customer_id)}
    sessions = {str(r["session_id"]) for _, r in own if r.get("session_id")} - shared
    mine = [(order_key, record) for subject, order_key, record in profiles if subject == customer_id]
    others = {record.get("name") for subject, _, record in profiles if subject != customer_id}
    words = {str(record[name]) for _, record in mine for name in _OF_PROFILE if record.get(name)}
    words |= {str(record["name"]) for _, record in mine if record.get("name") and record["name"] not in others}
    return CustomerHoldings(
        tuple(sorted({order_id for order_id, _ in own})),
        tuple(sorted(sessions)),
        tuple(order_key.partition("#")[2] for order_key, _ in mine),
        (customer_id, *sorted(sessions), *sorted(words)),
    )


def forget_customer(
    database: Database, customer_id: str, found: CustomerHoldings, identifiers: Iterable[str], marks: Forgotten
) -> dict[str, int]:
    """Rewrite it; one transaction. The markers must be written before.

    Args:
        database: of commerce.
        customer_id: the customer.
        found: of `held`.
        identifiers: what a dead letter of this person holds.
        marks: give pseudonyms.

    Returns:
        `{orders, order_events, profile_documents, planned_stops, tracking_tokens, dead_letters}`: rows rewritten or
        removed.
    """
    done = {"orders": 0, "order_events": 0}
    with database.write() as connection:
        for order_id in found.order_ids:
            done["orders"] += rewrite(
                connection, schema.order_contents, order_id, lambda record: scrubbed_order(record, marks)
            )
            done["order_events"] += rewrite(connection, schema.order_events, order_id, scrubbed_event)
        registers = (schema.register_versions, schema.register_documents, schema.register_subjects)
        removed = [
            connection.execute(delete(t).where(t.c.kind == "customer", t.c.subject_id == customer_id)).rowcount
            for t in registers
        ]
        done["profile_documents"] = removed[1]
        done["planned_stops"] = _forget_stops(connection, set(found.order_ids))
        tokens = delete(schema.tracking_tokens).where(schema.tracking_tokens.c.order_id.in_(found.order_ids))
        done["tracking_tokens"] = connection.execute(tokens).rowcount
        done["dead_letters"] = _forget_letters(connection, identifiers)
    orders = Orders(database)
    orders.recompute(found.order_ids)
    return done


def forget_driver(database: Database, driver_id: str, marks: Forgotten) -> int:
    """Put a pseudonym in a driver's place in every document of the vehicle register; durable when it returns.

    Args:
        database: of commerce.
        driver_id: whose.
        marks: gives the pseudonym.

    Returns:
        How many documents there were.
    """
    table, count = schema.register_documents, 0
    with database.write() as connection:
        for row in connection.execute(select(table).where(table.c.kind == "vehicle")).all():
            record = parse(row.document)
            if record.get("driver_id") == driver_id:
                same = [column == getattr(row, column.name) for column in table.primary_key]
                text = canonical({**record, "driver_id": marks.pseudonym(driver_id)})
                count += connection.execute(update(table).where(*same).values(document=text)).rowcount
    return count


def _forget_stops(connection: Connection, order_ids: set[str]) -> int:
    """The places of a customer's stops in stored plans; that the truck stopped there, and when, stays."""
    stops, plans = schema.planned_stops, schema.route_plans
    named = select(stops.c.plan_id).where(stops.c.order_id.in_(order_ids)).distinct()
    count = 0
    for row in connection.execute(select(plans).where(plans.c.plan_id.in_(named))).all():
        plan = parse(row.document)
        for stop in (stop for truck in plan["trucks"] for stop in truck["stops"]):
            if stop["order_id"] in order_ids:
                stop["latitude"] = stop["longitude"] = None
                count += 1
        connection.execute(update(plans).where(plans.c.plan_id == row.plan_id).values(document=dump(plan)))
    return count


def _forget_letters(connection: Connection, identifiers: Iterable[str]) -> int:
    letters, count = schema.dead_letters, 0
    wanted = [each.encode() for each in identifiers]
    for row in connection.execute(select(letters)).all():
        if any(each in bytes(row.payload) or each.decode() in row.reason for each in wanted):
            gone = update(letters).where(letters.c.id == row.id).values(payload=GONE, reason="forgotten")
            count += connection.execute(gone).rowcount
    return count


def erase_traces(database: Database) -> None:
    """Have PostgreSQL write its tables anew, without what was overwritten. SQLite's file is the caller's affair.

    Args:
        database: of commerce; a PostgreSQL locks each table meanwhile.
    """
    if not database.is_sqlite:
        database.vacuum_full([table.name for table in schema.metadata.sorted_tables])


def occurrences(database: Database, identifiers: Iterable[str]) -> Rows:
    """Where identifiers still stand in the tables.

    Args:
        database: of commerce.
        identifiers: texts to look for, in every column that can hold text.

    Returns:
        `[{place, identifier, hits}]`, none after `forget_customer`.
    """
    found = []
    with database.read() as connection:
        for table in schema.metadata.sorted_tables:
            columns = [column for column in table.columns if not isinstance(column.type, Integer)]
            for identifier in identifiers:
                within = or_(*(_holds(column, identifier) for column in columns))
                hits = connection.execute(select(func.count()).select_from(table).where(within)).scalar() or 0
                if hits:
                    found.append({"place": f"table {table.name}", "identifier": identifier, "hits": hits})
    return found


def _holds(column: Any, identifier: str) -> Any:
    if isinstance(column.type, LargeBinary):
        return column.contains(identifier.encode())
    return cast(column, String).contains(identifier, autoescape=True)


def export(database: Database, customer_id: str) -> dict[str, Any]:
    """Everything that commerce holds of a customer: the unified view, with every event of every order.

    Args:
        database: of commerce.
        customer_id: whose.

    Returns:
        `{customer_id, customer, orders}`, JSON's types.
    """
    view = unified_view(database, customer_id)
    names = held(database, customer_id).order_ids
    orders = [found for name in names if (found := order(database, name))]
    return {"customer_id": customer_id, "customer": view, "orders": orders}


def holds(database: Database) -> Rows:
    """The customers on legal hold.

    Args:
        database: of commerce.

    Returns:
        `[{customer_id, reason, since}]`, by customer_id; since: RFC 3339.
    """
    table = schema.legal_holds
    with database.read() as connection:
        rows = connection.execute(select(table).order_by(table.c.customer_id)).all()
    return [
        {"customer_id": row.customer_id, "reason": row.reason, "since": timestamps.from_ms(row.since_ms)}
        for row in rows
    ]


def put_hold(database: Database, customer_id: str, reason: str, *, since_ms: int) -> None:
    """Keep a customer from being forgotten until the hold is released; again changes the reason only.

    Args:
        database: of commerce.
        customer_id: whose; need not be known yet.
        reason: told to whoever wants to forget.
        since_ms: Unix ms.
    """
    insert = database.insert(schema.legal_holds).values(customer_id=customer_id, reason=reason, since_ms=since_ms)
    with database.write() as connection:
        connection.execute(insert.on_conflict_do_update(index_elements=["customer_id"], set_={"reason": reason}))


def release_hold(database: Database, customer_id: str) -> bool:
    """End a legal hold.

    Args:
        database: of commerce.
        customer_id: whose.

    Returns:
        Whether there was one.
    """
    table = schema.legal_holds
    with database.write() as connection:
        return bool(connection.execute(delete(table).where(table.c.customer_id == customer_id)).rowcount)


def refuse_held(database: Database, customer_id: str) -> None:
    """Stop where a customer is on legal hold.

    Args:
        database: of commerce.
        customer_id: whose.

    Raises:
        Misconfigured: the customer is, with the reason.
    """
    for hold in holds(database):
        if hold["customer_id"] == customer_id:
            raise Misconfigured(
                f"customer {customer_id} is on legal hold since {hold['since'][:10]} ({hold['reason']}): "
                "release it with `milepost forget --customer ID --release` first"
            )
