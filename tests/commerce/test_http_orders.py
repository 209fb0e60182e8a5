"""The doors of orders under a real HTTP server."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from commerce.http.access import KeyedAccess
from commerce.http.orders import OrderDoors
from commerce.orders.service import Orders
from commerce.routes.plans import Plans
from commerce.storage.database import open_database
from tests.commerce.examples import event, order

KEY = "a-key-of-the-warehouse"
PLACE = {"sampled_at": "2026-09-21T14:00:00.000Z", "latitude": 52.51234, "longitude": 13.37654}


def locate(truck_id: str, at: str | None) -> dict[str, Any] | None:
    return {**PLACE, "at": at} if truck_id == "TRUCK-001" else None


@pytest.fixture(params=[{}, {KEY: "warehouse"}], ids=["local", "keyed"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client that may write: by its key, or being local where no keys are set."""
    database = open_database(f"sqlite:///{tmp_path}/commerce.db")
    doors = OrderDoors(Orders(database), KeyedAccess(request.param), locate=locate, plans=Plans(database))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=doors.routes), log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    headers = {"authorization": f"Bearer {KEY}"} if request.param else {}
    with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", headers=headers, timeout=60) as found:
        yield found
    server.should_exit = True
    thread.join(60)
    listener.close()
    database.close()


def test_created_then_duplicate_then_conflict(client: httpx.Client) -> None:
    answers = [client.post("/v1/orders", json=one) for one in (order(), order(), order(session_id="other"))]
    assert [(one.status_code, one.json()["status"]) for one in answers] == [
        (201, "accepted"),
        (200, "duplicate"),
        (200, "conflict"),
    ]
    assert ["tracking_token" in one.json() for one in answers] == [True, False, False]


def test_an_event_before_its_order_is_taken_and_waits(client: httpx.Client) -> None:
    early = client.post("/v1/orders/A-1/events", json=event("packed"))
    assert (early.status_code, early.json()["status"]) == (202, "waiting")
    client.post("/v1/orders", json=order())
    assert client.get("/v1/orders/A-1").json()["state"] == "packed"


def test_where_it_is_now_and_was_then(client: httpx.Client) -> None:
    client.post("/v1/orders", json=order())
    assert client.get("/v1/orders/A-1").json()["position"] is None
    client.post("/v1/orders/A-1/events", json=event("loaded"))
    assert client.get("/v1/orders/A-1").json()["position"] == {**PLACE, "at": None}
    assert client.get("/v1/orders/A-1", params={"at": "noon"}).status_code == 422


def test_where_it_was_is_where_the_truck_of_that_moment_was(client: httpx.Client) -> None:
    """TRUCK-002 failed, TRUCK-001 has it now; before both it was on none."""
    client.post("/v1/orders", json=order(placed_at="2026-09-20T08:00Z"))
    for at, kind, truck_id in (
        ("2026-09-21T14:00Z", "loaded", "TRUCK-001"),  # the later one came first
        ("2026-09-21T11:00Z", "loaded", "TRUCK-002"),
        ("2026-09-21T12:00Z", "failed", None),
    ):
        client.post("/v1/orders/A-1/events", json={"event_id": at, "type": kind, "at": at, "truck_id": truck_id})
    found = {
        at: client.get("/v1/orders/A-1", params={"at": f"2026-09-{at}"}).json()
        for at in ("20 07:59", "21 10:00", "21 11:30", "21 13:00", "21 14:30")
    }
    assert {at: (one["then"]["state"], one["then"]["truck_id"]) for at, one in found.items()} == {
        "20 07:59": (None, None),
        "21 10:00": ("placed", None),
        "21 11:30": ("loaded", "TRUCK-002"),
        "21 13:00": ("failed", "TRUCK-002"),
        "21 14:30": ("loaded", "TRUCK-001"),
    }
    assert [at for at, one in found.items() if one["position"]] == ["21 14:30"]
    assert found["21 14:30"]["position"]["at"] == "2026-09-21T14:30:00.000Z"


@pytest.mark.parametrize("name", ["2026/0001", "A 1", "A-1?x=1#y", "ä/events", "50%"])
def test_any_order_id_that_is_taken_can_go_its_way(client: httpx.Client, name: str) -> None:
    address = f"/v1/orders/{quote(name, safe='')}"
    assert client.post("/v1/orders", json=order(name)).status_code == 201
    assert client.post(f"{address}/events", json=event("packed")).status_code == 201
    found = client.get(address).json()
    assert (found["order_id"], found["state"]) == (name, "packed")


def test_the_token_shows_the_buyer_only_what_is_the_buyers(client: httpx.Client) -> None:
    token = client.post("/v1/orders", json=order()).json()["tracking_token"]
    buyer = {"authorization": f"Bearer {token}", "x-forwarded-for": "203.0.113.5"}
    assert client.get("/v1/orders/A-1", headers=buyer).json()["position"] is None
    client.post("/v1/orders/A-1/events", json=event("loaded"))
    seen = client.get("/v1/orders/A-1", headers=buyer).json()
    assert seen["position"] == {"sampled_at": PLACE["sampled_at"], "latitude": 52.51, "longitude": 13.38}
    assert not {"truck_id", "customer_id", "lines", "shipping"} & seen.keys()
    client.post("/v1/orders/A-1/events", json=event("delivered"))
    assert client.get("/v1/orders/A-1", headers=buyer).json()["position"] is None


def test_unknown_order_and_wrong_token_are_one_answer_and_limited(client: httpx.Client) -> None:
    client.post("/v1/orders", json=order())
    stranger = {"authorization": "Bearer wrong", "x-forwarded-for": "203.0.113.5"}
    known, unknown = (client.get(f"/v1/orders/{name}", headers=stranger) for name in ("A-1", "A-2"))
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert known.status_code == 404
    assert known.headers["cache-control"] == "no-store"
    codes = [client.get("/v1/orders/A-1", headers=stranger).status_code for _ in range(25)]
    assert codes[-1] == 429


def test_strangers_may_not_write(client: httpx.Client) -> None:
    """Neither through a proxy, nor under a foreign name, nor with a wrong key."""
    for headers in ({"x-forwarded-for": "203.0.113.5"}, {"host": "shop.example"}):
        refused = client.post("/v1/orders", json=order(), headers={"authorization": "Bearer wrong", **headers})
        assert refused.status_code in (401, 403)
        assert refused.json()["error"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"{", 400, None),
        (b"[]", 422, None),
        (b'{"order_id": "1"}', 422, "currency"),
        (b"x" * 1_100_000, 413, None),
    ],
)
def test_garbage_is_answered_by_its_fault(client: httpx.Client, body: bytes, status: int, field: str | None) -> None:
    answer = client.post("/v1/orders", content=body)
    assert (answer.status_code, answer.json()["field"]) == (status, field)
