"""Customers, items and vehicles: versions that do not care in which order documents came."""

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from collector.history import Point, define
from commerce.customers import unified_view
from commerce.orders.service import Orders
from commerce.registers.documents import CUSTOMERS, ITEMS, KINDS, VALID_FROM, VEHICLES
from commerce.registers.register import Register
from commerce.storage.database import Database, open_database
from contract.errors import Rejected
from tests.budget import budget
from tests.commerce.examples import NOW_MS, event, order

TIMES = [f"2026-0{month}-01T00:00:00.000Z" for month in range(1, 7)]


def put(register: Register, document: dict[str, Any], *, received_ms: int = NOW_MS) -> str:
    return register.put(register._kind.read(document), received_ms=received_ms)


def test_a_change_opens_a_version_and_the_same_again_is_none(database: Database) -> None:
    register = Register(database, ITEMS)
    first = {"item_id": "MOB001", "item_name": "Phone", "price": 499.90, "currency": "eur"}
    statuses = [put(register, document, received_ms=NOW_MS + n) for n, document in enumerate((first, first))]
    assert statuses == ["accepted", "duplicate"]
    put(register, {**first, "price": "449"}, received_ms=NOW_MS + 5)
    assert [row["document"]["price"] for row in register.versions("MOB001")] == ["499.9", "449"]
    current = register.current("MOB001")
    assert current
    assert (current["price"], current["currency"]) == ("449", "EUR")


def test_what_is_put_for_a_later_time_waits_for_it(database: Database) -> None:
    items = Register(database, ITEMS)
    for item, price, since in (("A", "10", None), ("A", "12", "2099-01-01T00:00Z"), ("B", "5", "2099-01-01T00:00Z")):
        said = {"item_id": item, "price": price, "valid_from": since}
        items.put(ITEMS.read(said), received_ms=NOW_MS)
    assert (items.current("A") or {})["price"] == "10"
    assert items.current("B") is None
    assert [(row["item_id"], row["price"]) for row in items.all_current()] == [("A", "10")]
    assert [row["document"]["price"] for row in items.versions("A")] == ["10", "12"]
    items.put(ITEMS.read({"item_id": "A", "price": "11", "valid_from": "2020-01-01T00:00Z"}), received_ms=NOW_MS + 1)
    assert (items.current("A") or {})["price"] == "10"
    assert put(items, {"item_id": "A", "price": "12"}, received_ms=NOW_MS + 2) == "accepted"
    assert (items.current("A") or {})["price"] == "12"


@pytest.mark.parametrize("path", ["customers/a%2Fb", "items/a%2Fb%20c"])
def test_any_id_that_is_taken_can_be_asked_for(client: TestClient, path: str) -> None:
    assert client.put(f"/v1/{path}", json={"name": "x"}).status_code == 201
    assert client.get(f"/v1/{path}").status_code == 200


@budget(15, 200)
def test_any_order_of_puts_gives_the_one_history(new_url: Callable[[], str], examples: int) -> None:
    database = open_database(new_url())
    register = Register(database, VEHICLES)
    numbers = itertools.count()

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(st.tuples(st.sampled_from(TIMES), st.sampled_from([200, 300, None])), min_size=1, max_size=8),
        st.randoms(use_true_random=False),
    )
    def check(said: list[tuple[str, int | None]], chance: random.Random) -> None:
        name = f"T{next(numbers)}"
        documents = [{"truck_id": name, VALID_FROM: at, "tank_litres": litres} for at, litres in said]
        delivered = [*documents, *chance.sample(documents, len(documents) // 2)]
        chance.shuffle(delivered)
        for document in delivered:
            put(register, document)
        points = []
        for document in documents:
            read = VEHICLES.read(document)
            points.append(Point(f"{document[VALID_FROM]}#{read.content}", str(document["tank_litres"])))
        expected = [(version.order_key[:24], version.end) for version in define(points)]
        found = [(row["effective_start_date"], row["effective_end_date"]) for row in register.versions(name)]
        assert found == expected

    check()
    database.close()


@pytest.mark.parametrize(
    ("kind", "document", "field"),
    [
        (CUSTOMERS, {"customer_id": ""}, "customer_id"),
        (VEHICLES, {"truck_id": "a truck"}, "truck_id"),
        (ITEMS, {"item_id": "x", "note": "4111111111111111"}, "note"),
        (ITEMS, [], ""),
    ],
)
def test_what_cannot_be_kept_names_its_field(kind: Any, document: Any, field: str) -> None:
    with pytest.raises(Rejected) as refused:
        kind.read(document)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("customer", {"birth_year": 1492, "marketing_consent": "yes", "segments": "vip", "created_at": "long ago"}),
        ("item", {"price": "12,50", "currency": "coins", "stock": -1, "active": 1}),
        ("vehicle", {"tank_litres": 0, "fuel_type": "coal", "capacity": "big", "depot_latitude": 91}),
    ],
)
def test_a_wrong_field_is_set_aside_and_named(kind: str, changes: dict[str, Any]) -> None:
    read = KINDS[kind].read({KINDS[kind].id_name: "X1", **changes})
    assert sorted(read.warnings) == sorted(changes)
    assert {name: read.record[name] for name in changes} == dict.fromkeys(changes)
    assert {name: kept["value"] for name, kept in read.record["refused_fields"].items()} == changes


def test_one_customer_as_a_whole(database: Database) -> None:
    assert unified_view(database, "C-1") is None
    put(Register(database, CUSTOMERS), {"customer_id": "C-1", "name": "Ada", "loyalty_tier": "gold"})
    orders = Orders(database)
    for name in ("A-1", "A-2"):
        orders.take_order(order(name), received_ms=NOW_MS, payload=b"")
    orders.take_event("A-2", event("cancelled"), received_ms=NOW_MS + 1, payload=b"")
    found = unified_view(database, "C-1")
    assert found
    assert (found["profile"]["name"], found["order_count"], found["revenue"]) == ("Ada", 2, {"EUR": "539.88"})
