"""Where an order is: its truck's position now or at a past moment, and what its buyer may see of that."""

from collections.abc import Callable
from typing import Any

Locate = Callable[[str, str | None], dict[str, Any] | None]
"""(truck_id, an instant or None for now) → `{sampled_at, latitude, longitude, altitude, speed}`; None where unknown."""

Missing = Callable[[str], int | None]
"""truck_id → how many of its samples have not arrived (holes, permanent or not); None where that is not known."""

_ON_ITS_WAY = ("loaded",)
_PLACES = 2  # decimals of a degree: about a kilometre
_OF_ARRIVAL = ("arrive_at", "earliest", "latest", "basis", "last_heard_at")
_SEEN_BY_BUYER = (
    "order_id",
    "state",
    "placed_at",
    "packed_at",
    "loaded_at",
    "delivered_at",
    "failed_at",
    "cancelled_at",
    "returned_at",
    "promised_at",
)


def tracked(state: dict[str, Any], found: dict[str, Any] | None, arrival: dict[str, Any] | None) -> dict[str, Any]:
    """What the order's tracking token shows: how far it is, when it comes, and while it is on its way roughly where.

    Args:
        state: the order's state (`commerce.orders.state.order_state`).
        found: the truck's position now (`Locate`).
        arrival: of `commerce.deliveries.arrival.estimate`.

    Returns:
        The state's times; `arrival`, `{arrive_at, earliest, latest, basis, last_heard_at}`; and `position`,
        `{sampled_at, latitude, longitude}` rounded to 0.01°, None unless it is loaded and not yet delivered. Neither
        the truck nor its other stops nor anything of the customer is in it.
    """
    seen: dict[str, Any] = {name: state[name] for name in _SEEN_BY_BUYER}
    seen["arrival"] = arrival and {name: arrival[name] for name in _OF_ARRIVAL}
    if state["state"] in _ON_ITS_WAY and found and found["latitude"] is not None:
        found = {
            "sampled_at": found["sampled_at"],
            "latitude": round(found["latitude"], _PLACES),
            "longitude": round(found["longitude"], _PLACES),
        }
    else:
        found = None
    return {**seen, "position": found}
