"""What the shoppers did: counters by item and minute, and views derived from the events."""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from collector.stores import Reader

Rows = list[dict[str, Any]]
FUNNEL = ("page_view", "view", "add_to_cart", "purchase")


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
    """`[{session_id, first, last, events, count, purchases}]`, by first event; without those of no session."""
    rows: dict[str, dict[str, Any]] = {}
    for click in reader.clicks():  # ascending in time
        if click.session_id is None:
            continue
        new = {"session_id": click.session_id, "first": click.timestamp, "events": 0, "count": 0, "purchases": 0}
        row = rows.setdefault(click.session_id, new)
        row["last"] = click.timestamp
        row["events"] += 1
        row["count"] += click.count
        row["purchases"] += click.counter.event_type == "purchase"
    return list(rows.values())


def _by_funnel(reader: Reader) -> Rows:
    """`[{step, sessions, share}]`: sessions that came as far as each step, in the order of FUNNEL."""
    seen: dict[str, set[str]] = defaultdict(set)
    for click in reader.clicks():
        if click.session_id is not None:
            seen[click.session_id].add(click.counter.event_type)
    depth = [max((FUNNEL.index(kind) for kind in kinds if kind in FUNNEL), default=-1) for kinds in seen.values()]
    reached = [sum(each >= step for each in depth) for step in range(len(FUNNEL))]
    total = reached[0] if reached else 0
    return [
        {"step": step, "sessions": sessions, "share": round(sessions / total, 4) if total else None}
        for step, sessions in zip(FUNNEL, reached, strict=True)
    ]


VIEWS: dict[str, Callable[[Reader], Rows]] = {
    "item": _by_item,
    "minute": _by_minute,
    "page": _by_page,
    "session": _by_session,
    "funnel": _by_funnel,
}
