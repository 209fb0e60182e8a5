"""What the shoppers did, from every side, for all time or a span. Robots are in every number, and told apart."""

from collections.abc import Callable, Iterable
from typing import Any

from collector.clicks.customers import Customers
from collector.clicks.sessions import UNATTRIBUTED, SessionPart, funnel
from collector.stores import Reader

Rows = list[dict[str, Any]]

_BEGINNING, _END = "", "~"  # before and after every RFC 3339 time


def clicks(
    reader: Reader | None, by: str, *, since: str | None = None, until: str | None = None, top: int | None = None
) -> Rows:
    """One of VIEWS.

    Args:
        reader: the store; None: there is none yet.
        by: a key of VIEWS.
        since: `…sssZ`; events from then on, sessions that begin from then on. Counters know whole minutes.
        until: `…sssZ`, not included.
        top: so many rows: of items and pages the highest counts, highest first; of minutes and sessions the newest.

    Returns:
        Rows with `count` = Σ click_count of everybody. A view that holds robots has `bots` in each row: how much is
        theirs.
    """
    if reader is None:
        return []
    rows = VIEWS[by](reader, since or _BEGINNING, until or _END)
    if not any(row.get("bots") for row in rows):
        for row in rows:
            row.pop("bots", None)
    if top is None or by == "funnel":
        return rows
    if by in ("minute", "session"):
        return rows[-top:]
    return sorted(rows, key=lambda row: -row["count"])[:top]


def _by_item(reader: Reader, since: str, until: str) -> Rows:
    """`[{item_id, item_name, event_type, count}]`, by name."""
    names = ("item_id", "item_name", "event_type", "count", "bots")
    return _counted([dict(zip(names, row, strict=True)) for row in reader.item_counts(_minute(since), until)])


def _by_minute(reader: Reader, since: str, until: str) -> Rows:
    """`[{minute, item_id, event_type, count}]`, ascending."""
    names = ("minute", "item_id", "event_type", "count", "bots")
    rows = [dict(zip(names, row, strict=True)) for row in reader.minute_counts(_minute(since), until)]
    return _counted(rows)


def _by_page(reader: Reader, since: str, until: str) -> Rows:
    """`[{page, event_type, count}]`, by name."""
    names = ("page", "event_type", "count", "bots")
    return _counted([dict(zip(names, row, strict=True)) for row in reader.page_counts(_minute(since), until)])


def _counted(rows: Rows) -> Rows:
    return sorted((row for row in rows if row["count"]), key=_names)


def _names(row: dict[str, Any]) -> list[tuple[bool, str]]:
    """All but the numbers, null first."""
    return [(value is not None, value or "") for name, value in row.items() if name not in ("count", "bots")]


def _minute(instant: str) -> str:
    """The beginning of its minute, as counters have it."""
    return f"{instant[:16]}:00.000Z" if instant else instant


def _by_session(reader: Reader, since: str, until: str) -> Rows:
    """`[{session_id, first, last, events, count, purchases, user_id, customer_id, user_type}]`, by first event.

    Without events of no session. A session that was silent for 30 minutes is several rows: ID, ID.2, …. One order_id is
    one purchase. customer_id: also where the user was identified later. user_type: `new` in the first session of a
    customer, or of a user whom nobody knows, whatever the browser says. Users of one browser (`browser_id`) are one.
    """
    customers = Customers(reader.identified_users(), reader.browser_users())
    known = _known_before(reader, customers, since)
    rows = []
    for part in reader.session_parts(since, until):
        customer = part.customer_id or customers.of(part.user_id, part.first)
        person = customer or customers.person(part.user_id)
        rows.append(
            {
                "session_id": part.name,
                "first": part.first,
                "last": part.last,
                "events": part.events,
                "count": part.count,
                "purchases": part.purchases,
                "user_id": part.user_id,
                "customer_id": customer,
                "user_type": None if person is None else "returning" if person in known else "new",
                "bots": int(part.is_bot),
            }
        )
        known.add(person)
    return rows


def _known_before(reader: Reader, customers: Customers, since: str) -> set[str | None]:
    """Who had a session before the span."""
    earlier: Iterable[SessionPart] = reader.session_parts(_BEGINNING, since) if since else ()
    return {
        part.customer_id or customers.of(part.user_id, part.first) or customers.person(part.user_id) for part in earlier
    }


def _by_funnel(reader: Reader, since: str, until: str) -> Rows:
    """`[{step, sessions, share}]`: sessions that took each step after those before it, in time order.

    The last row, `unattributed`, has the number of events that name no session.
    """
    parts = list(reader.session_parts(since, until, numbered=False))
    events, bots = reader.events_of_no_session(since, until)
    robots = dict(funnel((part for part in parts if part.is_bot), bots))
    rows = funnel(parts, events)
    total = rows[0][1]
    return [
        {
            "step": step,
            "sessions": count,
            "share": round(count / total, 4) if total and step != UNATTRIBUTED else None,
            "bots": robots[step],
        }
        for step, count in rows
    ]


VIEWS: dict[str, Callable[[Reader, str, str], Rows]] = {
    "item": _by_item,
    "minute": _by_minute,
    "page": _by_page,
    "session": _by_session,
    "funnel": _by_funnel,
}
