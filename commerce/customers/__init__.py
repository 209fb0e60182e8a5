"""One customer as a whole: the profile and its versions, the orders, what was spent, the segment, and the visits."""

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from commerce import currencies
from commerce.customers.segments import PROSPECT, Segment
from commerce.queries import order_list
from commerce.registers.documents import CUSTOMERS
from commerce.registers.register import Register
from commerce.storage.database import Database

_MOST_ORDERS = 1000
_GIVEN_UP = ("cancelled", "waiting")


VisitsOf = Callable[[str], dict[str, Any] | None]
"""customer_id → `collector.queries.Visits.of`."""

SegmentOf = Callable[[str], Segment]
"""customer_id → its segment among all customers."""


def unified_view(
    database: Database,
    customer_id: str,
    *,
    visits_of: VisitsOf = lambda _: None,
    segment_of: SegmentOf = lambda _: PROSPECT,
) -> dict[str, Any] | None:
    """What is held about one customer.

    Args:
        database: of commerce.
        customer_id: the customer.
        visits_of: its visits, anonymous ones that turned out to be its included.
        segment_of: its segment.

    Returns:
        `{customer_id, profile, loyalty_tier, segment, rfm, recency_days, visits, versions, orders, order_count,
        revenue}`: the profile in force, all its versions oldest first, the newest 1,000 orders, newest first, how many
        there are in all, and revenue per currency as decimal text over all that are not cancelled. None for a customer
        who has neither a profile, an order nor a visit.
    """
    register = Register(database, CUSTOMERS)
    versions, profile = register.versions(customer_id), register.current(customer_id)
    orders = order_list(database, customer_id=customer_id, most=None)
    visits = visits_of(customer_id)
    if not versions and not orders and not visits:
        return None
    revenue: defaultdict[str, Decimal] = defaultdict(Decimal)
    for order in orders:
        if order["state"] not in _GIVEN_UP:
            revenue[order["currency"]] += Decimal(order["total"])
    return {
        "customer_id": customer_id,
        "profile": profile,
        "loyalty_tier": profile and profile.get("loyalty_tier"),
        **segment_of(customer_id)._asdict(),
        "visits": visits,
        "versions": versions,
        "orders": orders[:_MOST_ORDERS],
        "order_count": len(orders),
        "revenue": {code: currencies.text(total) for code, total in sorted(revenue.items())},
    }
