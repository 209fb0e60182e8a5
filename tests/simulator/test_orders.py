"""What is bought is ordered and brought by the simulated trucks, on the tours that they drive anyway."""

import threading
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
import uvicorn

from contract import timestamps
from contract.codec import dump, parse
from simulator import sent_ledger
from simulator.catalogue import ITEMS
from simulator.orders import DeliveryOption, Dispatch, Fulfilment, Request, standings
from simulator.orders_books import ShopBooks
from simulator.outbox import Outbox
from simulator.shopper import Shopper, bought_lines
from simulator.shoppers import Shop
from simulator.vehicle import Vehicle

NOW = datetime(2026, 9, 21, 14, 0, tzinfo=UTC)
TRUCKS = ["TRUCK-001", "TRUCK-002", "TRUCK-003"]
BOUGHT = {"order_id": "O-1", "customer_id": "C-1", "session_id": "S-1"}


def _seconds(request: Request) -> float:
    return timestamps.to_ms(request.body.get("at") or request.body["placed_at"]) / 1000


@cache
def _ways() -> tuple[list[Request], ...]:
    """Of 200 orders; made once, since looking for deliveries takes seconds."""
    fulfilment = Fulfilment(Dispatch(TRUCKS, 1), 1)
    return tuple(fulfilment.requests({**BOUGHT, "order_id": f"O-{n}"}, [], NOW) for n in range(200))


def test_a_truck_stands_where_it_says() -> None:
    """A standing is 5 minutes or more at one place, with the truck's own position."""
    vehicle = Vehicle("TRUCK-001", 1)
    found = list(standings(vehicle, NOW.timestamp(), NOW.timestamp() + 6 * 3600))
    assert sum(standing.at_depot for standing in found) >= 2
    for standing in found:
        assert standing.end - standing.begin > 120
        for at in (standing.begin + 1, standing.end - 1):
            assert vehicle.place_at(at) == pytest.approx(standing.place, abs=1e-6)


@pytest.mark.parametrize("minutes", range(0, 240, 30))
def test_a_delivery_is_loaded_before_it_is_brought_and_both_at_a_standing(minutes: int) -> None:
    ready = NOW.timestamp() + minutes * 60
    found = Dispatch(TRUCKS, 1).soonest(ready)
    assert [each.delivered for each in found] == sorted(each.delivered for each in found)
    for each in found:
        assert ready < each.loaded < each.delivered
        assert _stands(each, each.loaded)
        assert _stands(each, each.delivered)


def _stands(delivery: DeliveryOption, at: float) -> bool:
    """Whether the truck is at the place of that moment for a minute around it, seen by where it is."""
    vehicle = Vehicle(delivery.truck_id, 1)
    return vehicle.place_at(at - 30) == vehicle.place_at(at + 30)


def test_every_order_ends_in_one_way_and_its_events_follow_each_other() -> None:
    ends = Counter[str]()
    for way in _ways():
        events = [request for request in way if request.kind != "placed"]
        assert [_seconds(each) for each in events[1:]] == sorted(_seconds(each) for each in events[1:])
        assert all(_seconds(each) >= NOW.timestamp() for each in events)
        assert len({each.body["event_id"] for each in events}) == len(events)
        ends[events[-1].kind] += 1
        assert events[-1].kind in ("delivered", "returned", "cancelled")
        assert [each.body["truck_id"] for each in events if each.kind == "loaded"] or events[-1].kind == "cancelled"
    assert set(ends) == {"delivered", "returned", "cancelled"}
    assert ends["delivered"] > 100


def test_some_orders_are_late_and_some_fail_first() -> None:
    late = failed = 0
    for way in _ways():
        order = next(each for each in way if each.kind == "placed")
        promised = timestamps.to_ms(order.body["promised_at"]) / 1000
        delivered = [each for each in way if each.kind == "delivered"]
        late += any(_seconds(each) > promised for each in delivered)
        failed += any(each.kind == "failed" for each in way)
    assert 6 < late < 100
    assert 6 < failed < 54


def test_an_order_is_kept_with_its_purchase_and_a_profile_with_its_account(tmp_path: Path) -> None:
    """One purchase, one order with the same lines; a customer is registered when it signs in, before it buys."""
    outbox = Outbox(tmp_path / sent_ledger.OUTBOX)
    books = ShopBooks(outbox, TRUCKS, 1)
    books.open()
    shopper, bought, kinds = Shopper(1, 1), [], []
    for _ in range(400):
        event = shopper.next(NOW)
        requests = books.note(shopper, event, NOW)
        outbox.add([event], requests)
        kinds += [request.kind for request in requests]
        if event["event_type"] == "purchase":
            bought.append(event)
            order = next(each for each in requests if each.kind == "placed")
            assert order.body["order_id"] == event["order_id"]
            assert order.body["lines"] == bought_lines(event)
            assert event["customer_id"] == order.body["customer_id"] == "customer-001"
    assert kinds.count("placed") == len(bought) > 3
    assert kinds[0] == "customer"
    assert kinds.count("customer") == 1 + sum(len(bought) >= orders for orders in (3, 8))  # silver, then gold
    assert outbox.ordered_by() == {"customer-001": len(bought)}
    assert outbox.requested("item") == {item.item_id for item in ITEMS}
    again = ShopBooks(outbox, TRUCKS, 1)
    again.open()
    assert len(outbox.due_requests(0, 1000)) == len(ITEMS) + len(TRUCKS)
    outbox.close()


def test_a_browser_knows_nobody_until_it_is_signed_in() -> None:
    """And two browsers of one shopper end as one customer."""
    for number in range(1, 12):
        shopper, signed_in = Shopper(number, 1), set[str]()
        for _ in range(600):
            event = shopper.next(NOW)
            if event["event_type"] == "identify":
                assert event["user_id"] not in signed_in
                signed_in.add(event["user_id"])
            assert ("customer_id" in event) == (event["user_id"] in signed_in)
        if len(signed_in) == 2:
            return
    raise AssertionError("no shopper with two browsers")


class _Api:
    """Takes requests as the doors of commerce do, with the faults it is told to have."""

    def __init__(self, dice: Random) -> None:
        self.taken: Counter[tuple[str, str]] = Counter()
        self._dice = dice

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        fault = self._dice.random()
        status, answer = 503, b"{}"
        if scope["path"] == "/v1/clicks":
            ids = [event["event_id"] for event in parse(body)["events"]]
            status, answer = 200, dump({"receipts": [{"event_id": id, "status": "accepted"} for id in ids]}).encode()
        elif fault > 0.1:
            self.taken[scope["method"], f"{scope['path']} {body.decode()}"] += 1
            status, answer = (500, b"") if fault < 0.2 else (201, b'{"status": "accepted"}')
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


def test_no_order_is_lost_to_a_server_that_fails(tmp_path: Path, wait: Any) -> None:
    """503 before and 500 after it was taken: each request arrives, the same each time, and its books are closed."""
    api = _Api(Random(1))
    server = uvicorn.Server(uvicorn.Config(api, interface="asgi3", port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait(lambda: server.started)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    shop = Shop(count=4, url=url, outbox=tmp_path / sent_ledger.OUTBOX, rate=50.0, drain=120.0, seed=1, trucks=TRUCKS)
    shop.run(threading.Event(), seconds=2)
    server.should_exit = True
    thread.join(60)
    books = sent_ledger.orders(tmp_path)
    assert len(books.states) > 5
    assert (books.open, books.rejected) == (0, 0)
    placed = [name for name in api.taken if name[1].startswith("/v1/orders ")]
    assert len(placed) == len(books.states)
