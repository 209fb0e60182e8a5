"""Orders through their service, on SQLite and on a real PostgreSQL."""

import itertools
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from commerce.orders.service import Orders
from commerce.orders.state import Content, order_state
from commerce.orders.wire import read_event, read_order
from commerce.storage.database import Database, open_database
from commerce.storage.dead_letters import dead_letter_rows
from commerce.storage.schema import order_contents, order_events
from contract.errors import Rejected
from tests.budget import budget
from tests.commerce.examples import NOW_MS, event, order

MINUTE = 60_000


def place(orders: Orders, document: dict[str, Any], *, received_ms: int = NOW_MS) -> str:
    return orders.take_order(document, received_ms=received_ms, payload=b"{}").status


def say(orders: Orders, document: dict[str, Any], *, order_id: str = "A-1", received_ms: int = NOW_MS) -> str:
    return orders.take_event(order_id, document, received_ms=received_ms, payload=b"{}").status


def state(orders: Orders, order_id: str = "A-1") -> dict[str, Any]:
    found = orders.state(order_id)
    assert found is not None
    return found


def test_an_order_goes_its_way(orders: Orders) -> None:
    assert place(orders, order()) == "accepted"
    for minute, kind in enumerate(("paid", "packed", "loaded", "delivered"), start=1):
        said = say(orders, event(kind, at_ms=NOW_MS + minute * MINUTE), received_ms=NOW_MS + 5 * MINUTE)
        assert said == "accepted"
    found = state(orders)
    assert (found["state"], found["truck_id"], found["total"]) == ("delivered", "TRUCK-001", "539.88")
    assert found["delivered_at"] == "2026-09-21T14:17:20.000Z"
    assert found["paid_at"] < found["packed_at"] < found["loaded_at"]


def test_a_repeat_is_a_duplicate_and_its_token_is_given_once(orders: Orders) -> None:
    first = orders.take_order(order(), received_ms=NOW_MS, payload=b"")
    again = orders.take_order(order(), received_ms=NOW_MS + 1, payload=b"")
    assert (first.status, again.status, again.token) == ("accepted", "duplicate", None)
    assert first.token
    assert orders.has_token("A-1", first.token)
    assert not orders.has_token("A-1", first.token + "x")
    assert not orders.has_token("A-2", first.token)


def test_two_contents_under_one_id_are_kept_and_named(orders: Orders) -> None:
    place(orders, order())
    assert place(orders, order(payment_method="card on delivery")) == "conflict"
    assert state(orders)["conflicts"] == ["order A-1"]


def test_an_event_waits_for_its_order(orders: Orders) -> None:
    assert say(orders, event("packed")) == "waiting"
    assert state(orders)["state"] == "waiting"
    place(orders, order())
    assert state(orders)["state"] == "packed"


def test_what_cannot_follow_is_listed_and_changes_nothing(orders: Orders) -> None:
    place(orders, order())
    say(orders, event("delivered", at_ms=NOW_MS))
    found = state(orders)
    assert found["state"] == "placed"
    assert found["out_of_sequence"] == [{"event_id": "delivered", "type": "delivered", "at": found["placed_at"]}]


def test_a_failed_delivery_may_be_loaded_again_on_another_truck(orders: Orders) -> None:
    place(orders, order())
    steps = [("loaded", "l1", "T1"), ("failed", "f1", None), ("loaded", "l2", "T2"), ("delivered", "d1", None)]
    for minute, (kind, name, truck_id) in enumerate(steps):
        more = {"truck_id": truck_id} if truck_id else {}
        say(orders, event(kind, name, NOW_MS + minute * MINUTE, **more), received_ms=NOW_MS + 10 * MINUTE)
    assert (state(orders)["state"], state(orders)["truck_id"]) == ("delivered", "T2")


@pytest.mark.parametrize("at_ms", [None, NOW_MS + 6 * MINUTE])
def test_a_missing_time_or_one_in_the_future_is_the_arrivals(orders: Orders, at_ms: int | None) -> None:
    place(orders, order())
    say(orders, event("paid", at_ms=at_ms), received_ms=NOW_MS + 1)
    assert state(orders)["paid_at"] == "2026-09-21T14:13:20.001Z"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"order_id": None}, "order_id"),
        ({"order_id": "a\0b"}, "order_id"),
        ({"currency": "EURO"}, "currency"),
        ({"lines": []}, "lines"),
        ({"lines": [{"item_id": "M", "price": "12,50"}]}, "lines.0.price"),
        ({"lines": [{"item_id": "M", "price": 1, "quantity": 0.5}]}, "lines.0.quantity"),
        ({"payment_method": "4111 1111 1111 1111"}, "payment_method"),
        ({"payment": {"card_number": "x"}}, "payment.card_number"),
    ],
)
def test_what_cannot_be_an_order_is_refused_by_field_and_kept(
    database: Database, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(Rejected) as refused:
        Orders(database).take_order(order(**changes), received_ms=NOW_MS, payload=b'{"raw": 1}')
    (letter,) = dead_letter_rows(database)
    assert (refused.value.field, letter["field"]) == (field, field)
    is_card_data = field in ("payment_method", "payment.card_number")
    assert letter["payload"] == ("" if is_card_data else '{"raw": 1}')


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"total": 1}, "total"),
        ({"promised_at": "tomorrow"}, "promised_at"),
        ({"customer_id": {}}, "customer_id"),
        ({"shipping": {"latitude": 91, "longitude": 0}}, "shipping.latitude"),
        ({"payment_method": 7}, "payment_method"),
    ],
)
def test_a_bad_optional_field_never_costs_the_sale(orders: Orders, changes: dict[str, Any], field: str) -> None:
    receipt = orders.take_order(order(**changes), received_ms=NOW_MS, payload=b"")
    assert receipt.status == "accepted"
    assert list(receipt.warnings) == [field]
    assert state(orders)["total"] == "539.88"


KINDS = ("placed", "paid", "packed", "loaded", "delivered", "failed", "cancelled", "returned")
an_event = st.builds(
    lambda kind, name, at, truck: event(kind, name, at, **({"truck_id": truck} if kind == "loaded" else {})),
    st.sampled_from(KINDS),
    st.sampled_from(["e1", "e2", "e3", "e4", "e5"]),
    st.sampled_from([None, NOW_MS, NOW_MS + MINUTE, NOW_MS + 2 * MINUTE, NOW_MS + 3 * MINUTE]),
    st.sampled_from(["T1", "T2"]),
)
an_order = st.sampled_from([order(), order(payment_method="transfer")])


@budget(15, 300)
def test_any_order_of_arrival_repeated_gives_one_state(new_url: Callable[[], str], examples: int) -> None:
    database = open_database(new_url())
    numbers = itertools.count()

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.one_of(an_event, an_order), min_size=1, max_size=8), st.randoms(use_true_random=False))
    def check(documents: list[dict[str, Any]], chance: random.Random) -> None:
        name = f"order-{next(numbers)}"
        arrivals = [(document, NOW_MS + 4 * MINUTE + index) for index, document in enumerate(documents)]
        delivered = [*arrivals, *chance.sample(arrivals, len(arrivals) // 2)]
        chance.shuffle(delivered)
        orders = Orders(database)
        for document, received_ms in delivered:
            if "order_id" in document:
                place(orders, {**document, "order_id": name}, received_ms=received_ms)
            else:
                say(orders, document, order_id=name, received_ms=received_ms)
        assert orders.state(name) == _expected(name, arrivals)

    check()
    assert Orders(database).recompute() == 0
    database.close()


def _expected(name: str, arrivals: list[tuple[dict[str, Any], int]]) -> dict[str, Any]:
    """By the definition, from everything at once."""
    contents, log = [], []
    for document, received_ms in arrivals:
        if "order_id" in document:
            read = read_order({**document, "order_id": name})
            contents.append(Content(read.id, read.content, received_ms, read.record))
        else:
            read = read_event(document)
            log.append(Content(read.id, read.content, received_ms, read.record))
    return order_state(name, contents, log)


def test_rival_writers_leave_the_state_of_all_events(new_url: Callable[[], str]) -> None:
    """Four writers on one order at once, each with its own connections, each event twice."""
    url = new_url()
    documents = [event(kind, f"{kind}-{n}", NOW_MS + n * MINUTE) for n, kind in enumerate(KINDS * 3)]
    databases = [open_database(url) for _ in range(4)]

    def deliver(database: Database, seed: int) -> None:
        mine = documents[seed % 2 :: 2]
        orders = Orders(database)
        for document in random.Random(seed).sample(mine, len(mine)):
            say(orders, document, received_ms=NOW_MS + 60 * MINUTE)
        place(orders, order(), received_ms=NOW_MS)

    threads = [threading.Thread(target=deliver, args=(each, seed)) for seed, each in enumerate(databases)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    arrivals = [(order(), NOW_MS), *((document, NOW_MS + 60 * MINUTE) for document in documents)]
    assert Orders(databases[0]).state("A-1") == _expected("A-1", arrivals)
    with databases[0].read() as connection:
        counts = [
            connection.execute(select(func.count()).select_from(t)).scalar() for t in (order_contents, order_events)
        ]
    assert counts == [1, len(documents)]
    for each in databases:
        each.close()
