"""One customer as a whole: the profile and its versions, the orders, and what was spent."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

from commerce import currencies
from commerce.queries import order_list
from commerce.registers.documents import CUSTOMERS
from commerce.registers.register import Register
from commerce.storage.database import Database

_MOST_ORDERS = 1000
_GIVEN_UP = ("cancelled", "waiting")


def unified_view(database: Database, customer_id: str) -> dict[str, Any] | None:
    """What is held about one customer.

    Args:
        database: of commerce.
        customer_id: the customer.

    Returns:
        `{customer_id, profile, versions, orders, order_count, revenue}`: the profile in force, all its versions oldest
        first, orders newest first, and revenue per currency as decimal text without cancelled orders. None for a
        customer who has neither a profile nor an order.
    """
    versions = Register(database, CUSTOMERS).versions(customer_id)
    orders = order_list(database, customer_id=customer_id, most=_MOST_ORDERS)
    if not versions and not orders:
        return None
    revenue: defaultdict[str, Decimal] = defaultdict(Decimal)
    for order in orders:
        if order["state"] not in _GIVEN_UP:
            revenue[order["currency"]] += Decimal(order["total"])
    return {
        "customer_id": customer_id,
        "profile": versions[-1]["document"] if versions else None,
        "versions": versions,
        "orders": orders,
        "order_count": len(orders),
        "revenue": {code: currencies.text(total) for code, total in sorted(revenue.items())},
    }
