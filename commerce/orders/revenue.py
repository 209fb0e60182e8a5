"""What the shop took in, by currency: an order and the purchase event of its page are one sale, known by order_id.

The lines of the order count where there is one, else those of the sale's first purchase event. What was cancelled
counts as a sale of nothing, what came back stays in, robots are left out: as the mart `sale` counts, before any
conversion.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from commerce.currencies import text
from contract.codec import Json

_ORDER, _EVENT = "from_orders", "from_events"


def revenue_by_currency(
    orders: Iterable[Mapping[str, Any]], purchases: Iterable[Mapping[str, Any]], since: str = "", until: str = "~"
) -> list[dict[str, Any]]:
    """Sum up the sales of a span.

    Args:
        orders: states of all orders that were placed (commerce.orders.state.order_state), whenever.
        purchases: all purchase events (collector.queries.purchases), in any order.
        since: `…sssZ`; sales that were placed from then on.
        until: not included.

    Returns:
        `[{currency, sales, from_orders, from_events, units, revenue}]` by currency; revenue is decimal text, currency
        null where neither order nor event names one.
    """
    sums: dict[str | None, dict[str, Any]] = {}
    known = set()
    for order in orders:
        known.add(order["order_id"])
        if since <= order["placed_at"] < until:
            _add(sums, _ORDER, order["currency"], order["lines"], cancelled=order["state"] == "cancelled")
    first: dict[str, Mapping[str, Any]] = {}
    for event in purchases:
        sale = str(event.get("order_id") or event["event_id"])
        if event["is_bot"] or sale in known:
            continue
        rival = first.setdefault(sale, event)
        if (event["timestamp"], event["event_id"]) < (rival["timestamp"], rival["event_id"]):
            first[sale] = event
    for event in first.values():
        if since <= event["timestamp"] < until:
            lines = event.get("lines")
            _add(sums, _EVENT, event.get("currency"), lines if isinstance(lines, list) else [event])
    return [
        {"currency": currency, **found, "units": text(found["units"]), "revenue": text(found["revenue"])}
        for currency, found in sorted(sums.items(), key=lambda pair: pair[0] or "")
    ]


def _add(
    sums: dict[str | None, dict[str, Any]],
    side: str,
    currency: Json,
    lines: Iterable[Mapping[str, Any]],
    *,
    cancelled: bool = False,
) -> None:
    name = currency if isinstance(currency, str) else None
    found = sums.setdefault(name, {"sales": 0, _ORDER: 0, _EVENT: 0, "units": Decimal(0), "revenue": Decimal(0)})
    found["sales"] += 1
    found[side] += 1
    for line in lines:
        quantity = _number(line.get("quantity"), 1)
        found["units"] += quantity
        if not cancelled:
            found["revenue"] += _number(line.get("price"), 0) * quantity


def _number(value: Json, otherwise: int) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return Decimal(otherwise)
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        return Decimal(otherwise)
    return number if number.is_finite() else Decimal(otherwise)
