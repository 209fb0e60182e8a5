"""Orders and events as a shop sends them."""

from typing import Any

NOW_MS = 1_790_000_000_000


def order(order_id: str = "A-1", **changes: Any) -> dict[str, Any]:
    """A whole order."""
    return {
        "order_id": order_id,
        "customer_id": "C-1",
        "session_id": "S-1",
        "currency": "EUR",
        "lines": [
            {"item_id": "MOB001", "item_name": "Phone", "price": 499.9, "quantity": 1},
            {"item_id": "ACC004", "item_name": "Case", "price": "19.99", "quantity": 2},
        ],
        "shipping": {"postcode": "10115", "country": "DE", "latitude": 52.53, "longitude": 13.38},
        "payment_method": "invoice",
        **changes,
    }


def event(kind: str, event_id: str | None = None, at_ms: int | None = None, **changes: Any) -> dict[str, Any]:
    """An event; its id is its kind unless another is given."""
    from contract import timestamps

    found: dict[str, Any] = {"event_id": event_id or kind, "type": kind}
    if at_ms is not None:
        found["at"] = timestamps.from_ms(at_ms)
    if kind == "loaded":
        found["truck_id"] = "TRUCK-001"
    return {**found, **changes}
