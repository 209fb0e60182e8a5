"""Segments: who buys lately, often and much; a pure function of all orders, as the mart `customer` has it.

docs/metrics.md defines segment and rfm; warehouse/models/models/shop/customer.sql computes them from the lake, this
module from the orders' database, so that `GET /v1/customers/{id}` needs no warehouse. A test holds both together.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from commerce.customers.money import Money

_QUINTILES = 5
_COUNTS_DAYS = 365


class Segment(NamedTuple):
    """One customer. rfm: quintiles of recency, frequency and revenue, 5 is best; None without an order in 365 days."""

    segment: str
    rfm: str | None
    recency_days: int | None


PROSPECT = Segment("prospect", None, None)
"""Whoever has ordered nothing."""


@dataclass(slots=True)
class _Buyer:
    orders: int = 0
    revenue: Decimal = Decimal(0)
    last_day: str | None = None


def segments(states: Iterable[Mapping[str, Any]], money: Money, *, today: str) -> dict[str, Segment]:
    """The segment of every customer who has ordered.

    Args:
        states: of all orders (`commerce.orders.state.order_state`); cancelled ones do not count, returned ones do.
        money: the main currency and the worth of others in it; an amount without a rate counts as no revenue.
        today: UTC day to which recency counts: the newest on which anything was sold or clicked.
    """
    buyers: dict[str, _Buyer] = {}
    for state in states:
        customer_id, placed = state["customer_id"], state["placed_at"]
        if customer_id is None or placed is None:
            continue
        buyer = buyers.setdefault(customer_id, _Buyer())
        if state["state"] == "cancelled":
            continue
        buyer.orders += 1
        buyer.revenue += money.worth(Decimal(state["total"] or 0), state["currency"]) or 0
        buyer.last_day = max(buyer.last_day or "", placed[:10])
    recency = {name: _days(buyer.last_day, today) for name, buyer in buyers.items()}
    scored = [name for name in buyers if (days := recency[name]) is not None and days <= _COUNTS_DAYS]
    recent = _quintiles(scored, lambda name: -(recency[name] or 0))
    frequent = _quintiles(scored, lambda name: buyers[name].orders)
    monetary = _quintiles(scored, lambda name: buyers[name].revenue)
    return {
        name: Segment(
            _name(buyer.orders, recency[name]),
            f"{recent[name]}{frequent[name]}{monetary[name]}" if name in recent else None,
            recency[name],
        )
        for name, buyer in buyers.items()
    }


def _name(orders: int, days: int | None) -> str:
    if orders == 0 or days is None:
        return "prospect"
    if days > 365:
        return "lost"
    if days > 180:
        return "at_risk"
    if orders >= 5 and days <= 60:
        return "champion"
    if orders >= 2:
        return "loyal"
    return "new" if days <= 30 else "occasional"


def _quintiles(names: list[str], by: Callable[[str], Any]) -> dict[str, int]:
    """SQL's NTILE(5): five parts in ascending order, equal values by name; the first parts have the remainder."""
    ranked = sorted(names, key=lambda name: (by(name), name))
    size, larger = divmod(len(ranked), _QUINTILES)
    found: dict[str, int] = {}
    for quintile in range(1, _QUINTILES + 1):
        for _ in range(size + (quintile <= larger)):
            found[ranked[len(found)]] = quintile
    return found


def _days(last: str | None, today: str) -> int | None:
    return None if last is None else (date.fromisoformat(today) - date.fromisoformat(last)).days
