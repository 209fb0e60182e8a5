"""A customer who will be forgotten, beside others who will not: what a shop and a truck sent of them."""

from typing import Any

from contract import timestamps
from tests.commerce.examples import order

HER = (
    "customer-Xena",
    "user-Xq7",
    "user-Xq8",
    "user-Xb9",
    "session-Xs1",
    "session-Xs2",
    "xena.xylander@mail.example",
    "Xena Xylander",
)
"""What names her."""

PROFILE = {"customer_id": "customer-Xena", "name": "Xena Xylander", "email": "xena.xylander@mail.example"}
ORDER = order("O-1", customer_id="customer-Xena", session_id="session-Xs1", note="for Xena Xylander")
REFUSED = b'["customer-Xena"'


def clicks(now_ms: int) -> list[dict[str, Any]]:
    """Four of her events, in two browsers, and one each of two others; in the hour before `now_ms`, Unix ms."""

    def click(number: int, kind: str, user: str, session: str, **more: Any) -> dict[str, Any]:
        at = timestamps.from_ms(now_ms - 3_600_000 + number * 1000)
        named = {"event_id": f"e{number}", "event_type": kind, "timestamp": at, "user_id": user, "session_id": session}
        return {**named, "page": "/items/MOB001", "item_id": "MOB001", "item_name": "Phone", **more}

    hers = {"customer_id": "customer-Xena"}
    return [
        click(1, "view", "user-Xq7", "session-Xs1", location="Xanten, DE", browser_id="user-Xb9", is_bot=False),
        click(2, "identify", "user-Xq7", "session-Xs1", **hers, properties={"plan": "gold"}),
        click(3, "purchase", "user-Xq7", "session-Xs1", **hers, order_id="O-1", price=10, quantity=1),
        click(4, "view", "user-Xq8", "session-Xs2", **hers, page="/account/customer-Xena/orders"),
        click(5, "view", "user-other", "session-other", customer_id="customer-other"),
        click(6, "view", "user-nobody", "session-nobody"),
    ]


def sample(now_ms: int) -> dict[str, Any]:
    """One sample of TRUCK-001, a minute before `now_ms`, Unix ms."""
    return {
        "truck_id": "TRUCK-001",
        "stream_id": "s1",
        "seq": 1,
        "sampled_at": timestamps.from_ms(now_ms - 60_000),
        "time_quality": "gps",
        "gps_location": {"latitude": 48.1234, "longitude": 11.5678, "altitude": 500, "speed": 50},
        "vehicle_speed": 50,
        "game_location": {"latitude": 48.1234},
    }
