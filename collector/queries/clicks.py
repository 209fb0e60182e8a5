"""What the shoppers did: counters by item and minute, and views derived from the events."""

from collections import Counter as Tally
from collections.abc import Callable, Iterable
from typing import Any

from collector.clicks.sessions import UNATTRIBUTED, funnel, sessions
from collector.rows import StoredClick
from collector.stores import Reader
from contract.codec import parse

Rows = list[dict[str, Any]]


def clicks(reader: Reader | None, by: str) -> Rows:
    """One of VIEWS; count = Σ click_count."""
    return VIEWS[by](reader) if reader else []


def _by_item(reader: Reader) -> Rows:
    tally: Tally[tuple[str | None, str | None, str]] = Tally()
    for counter, count in reader.click_counts():
        tally[counter.item_id, counter.item_name, counter.event_type] += count
    return _rows(tally, ("item_id", "item_name", "event_type"))


def _by_minute(reader: Reader) -> Rows:
    tally: Tally[tuple[str, str | None, str]] = Tally()
    for counter, count in reader.click_counts():
        tally[counter.minute, counter.item_id, counter.event_type] += count
    return _rows(tally, ("minute", "item_id", "event_type"))


def _by_page(reader: Reader) -> Rows:
    tally: Tally[tuple[str | None, str]] = Tally()
    for click in reader.clicks():
        tally[click.page, click.counter.event_type] += click.count
    return _rows(tally, ("page", "event_type"))


def _rows(tally: Tally[Any], names: tuple[str, ...]) -> Rows:
    ordered = sorted(tally.items(), key=lambda item: [(value is not None, value or "") for value in item[0]])
    return [{**dict(zip(names, key, strict=True)), "count": count} for key, count in ordered]


def _by_session(reader: Reader) -> Rows:
    """`[{session_id, first, last, events, count, purchases}]`, by first event; without those of no session.

    A session that was silent for 30 minutes is several rows: ID, ID.2, …. One order_id is one purchase.
    """
    return [
        {
            "session_id": session.session_id,
            "first": session.events[0].timestamp,
            "last": session.events[-1].timestamp,
            "events": len(session.events),
            "count": sum(event.count for event in session.events),
            "purchases": _purchases(session.events),
        }
        for session in sessions(reader.clicks())
    ]


def _purchases(events: Iterable[StoredClick]) -> int:
    bought = [event for event in events if event.counter.event_type == "purchase"]
    return len({parse(event.text).get("order_id") or event.event_id for event in bought})


def _by_funnel(reader: Reader) -> Rows:
    """`[{step, sessions, share}]`: sessions that took each step after those before it, in time order.

    The last row, `unattributed`, has the number of events that name no session.
    """
    rows = funnel(reader.clicks())
    total = rows[0][1]
    return [
        {"step": step, "sessions": count, "share": round(count / total, 4) if total and step != UNATTRIBUTED else None}
        for step, count in rows
    ]


VIEWS: dict[str, Callable[[Reader], Rows]] = {
    "item": _by_item,
    "minute": _by_minute,
    "page": _by_page,
    "session": _by_session,
    "funnel": _by_funnel,
}
