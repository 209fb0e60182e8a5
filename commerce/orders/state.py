"""The state of an order: a pure function of the set of its documents and events.

Whatever came, in any order and however often, the same documents and events give the same state. Of several contents
under one id the one with the smallest content hash counts; the others are conflicts, kept and named.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from commerce import currencies
from commerce.orders.wire import effective_ms, lines_total
from contract import timestamps
from contract.codec import Json

_NEXT = {
    "placed": {"packed", "loaded", "cancelled"},
    "packed": {"loaded", "cancelled"},
    "loaded": {"delivered", "failed"},
    "failed": {"loaded", "cancelled", "returned"},
    "delivered": {"returned"},
    "cancelled": set[str](),
    "returned": set[str](),
}
"""State → the events that change it. `paid` is noted in any state, and a second `placed` changes nothing."""

OPEN = ("placed", "packed", "loaded", "failed")
"""States of an order that is neither delivered nor given up."""


class Content(NamedTuple):
    """One content that came under an id.

    content: its hash. received_ms: when it first came. record: the judged document.
    """

    id: str
    content: str
    received_ms: int
    record: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Counted:
    """Of each id the content that counts, and the ids under which there are several."""

    contents: tuple[Content, ...]
    conflicts: tuple[str, ...]


def counted(contents: Iterable[Content]) -> Counted:
    """Choose the content that counts of each id: the smallest (content hash, received_ms)."""
    smallest: dict[str, Content] = {}
    conflicts = set()
    for each in contents:
        known = smallest.setdefault(each.id, each)
        if known.content != each.content:
            conflicts.add(each.id)
        smallest[each.id] = min(known, each, key=lambda one: (one.content, one.received_ms))
    return Counted(tuple(smallest[id] for id in sorted(smallest)), tuple(sorted(conflicts)))


def order_state(order_id: str, orders: Sequence[Content], events: Sequence[Content]) -> dict[str, Any]:
    """What is known of an order.

    Args:
        order_id: the order's id.
        orders: every content that was posted as this order; none where only its events have come so far.
        events: every content of its events.

    Returns:
        `{order_id, customer_id, session_id, state, placed_at, paid_at, packed_at, loaded_at, delivered_at, failed_at,
        cancelled_at, returned_at, promised_at, truck_id, currency, total, lines, shipping, payment_method,
        out_of_sequence, conflicts}`; times are RFC 3339, total is decimal text, state is `waiting` before the order.
    """
    chosen, log = counted(orders), counted(events)
    walk = _walk(chosen.contents[0] if chosen.contents else None, log.contents)
    conflicts = [f"order {id}" for id in chosen.conflicts] + [f"event {id}" for id in log.conflicts]
    record = chosen.contents[0].record if chosen.contents else {}
    lines = record.get("lines") or []
    return {
        "order_id": order_id,
        "customer_id": record.get("customer_id"),
        "session_id": record.get("session_id"),
        "state": walk.state,
        **{f"{name}_at": walk.times.get(name) for name in _TIMES},
        "promised_at": record.get("promised_at"),
        "truck_id": walk.truck_id,
        "currency": record.get("currency"),
        "total": currencies.text(lines_total(lines)) if lines else None,
        "lines": lines,
        "shipping": record.get("shipping"),
        "payment_method": record.get("payment_method"),
        "out_of_sequence": walk.out_of_sequence,
        "conflicts": conflicts,
    }


class Standing(NamedTuple):
    """An order at a past moment. state: None before it was placed. truck_id: None before it was loaded."""

    state: str | None
    truck_id: str | None


def standing_at(orders: Sequence[Content], events: Sequence[Content], at: str) -> Standing:
    """How far an order was at a moment, and which truck had it.

    Args:
        orders, events: as `order_state` takes them; all of them, whenever they came.
        at: RFC 3339, UTC, the moment itself included.
    """
    chosen = counted(orders)
    if not chosen.contents or _time(chosen.contents[0], "placed_at") > at:
        return Standing(None, None)
    by_then = [event for event in counted(events).contents if _time(event, "at") <= at]
    walk = _walk(chosen.contents[0], by_then)
    return Standing(walk.state, walk.truck_id)


_TIMES = ("placed", "paid", "packed", "loaded", "delivered", "failed", "cancelled", "returned")


@dataclass(slots=True)
class _Walk:
    state: str
    times: dict[str, str]
    truck_id: str | None
    out_of_sequence: list[dict[str, str]]


def _walk(order: Content | None, events: Sequence[Content]) -> _Walk:
    placed = {} if order is None else {"placed": _time(order, "placed_at")}
    walk = _Walk("waiting" if order is None else "placed", placed, None, [])
    if order is None:
        return walk
    for at, event in sorted((_time(event, "at"), event) for event in events):
        kind = event.record["type"]
        if kind == "paid":
            walk.times.setdefault("paid", at)
        elif kind in _NEXT[walk.state]:
            walk.state = kind
            walk.times[kind] = at
            if kind == "loaded":
                walk.truck_id = event.record["truck_id"]
        elif kind != "placed":
            walk.out_of_sequence.append({"event_id": event.id, "type": kind, "at": at})
    return walk


def _time(content: Content, field: str) -> str:
    return timestamps.from_ms(effective_ms(content.record.get(field), content.received_ms))
