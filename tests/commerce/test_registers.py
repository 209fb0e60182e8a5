"""Customers, items and vehicles: versions that do not care in which order documents came."""

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from collector.history import Point, define
from commerce.customers import unified_view
from commerce.forgetting import forget_driver
from commerce.orders.service import Orders
from commerce.registers.documents import CUSTOMERS, ITEMS, KINDS, VALID_FROM, VEHICLES
from commerce.registers.register import Register
from commerce.storage.database import Database, open_database
from commerce.storage.schema import register_documents
from contract import timestamps
from contract.errors import Rejected
from contract.forgotten import Forgotten
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


def _expected(deliveries: list[tuple[str | None, int | None, int]]) -> list[tuple[str, str | None, Any]]:
    """Brute force: in order of receipt; what says what holds then anyway is left out, and the later of two for one time
    counts."""
    held: dict[str, tuple[Any, bool]] = {}
    last = {
        (at, litres) if at else ms: (at, litres, ms) for at, litres, ms in sorted(deliveries, key=lambda one: one[2])
    }
    for at, litres, ms in sorted(last.values(), key=lambda one: one[2]):
        begin = at or timestamps.from_ms(ms)
        before = [held[each] for each in sorted(held) if each <= begin]
        if at or not before or before[-1] != (litres,):
            held[begin] = (litres,)
    points = [Point(begin, str(said)) for begin, said in held.items()]
    return [(version.order_key, version.end, held[version.order_key][0]) for version in define(points)]


@budget(40, 400)
def test_any_order_of_puts_gives_the_one_history(new_url: Callable[[], str], examples: int) -> None:
    """A function of the deliveries and of when each was received, in whatever order rival processes store them."""
    database = open_database(new_url())
    register = Register(database, VEHICLES)
    numbers = itertools.count()
    delivery = st.tuples(
        st.sampled_from([*TIMES[:3], None]), st.sampled_from([200, 300, None]), st.integers(0, 12).map(NOW_MS.__add__)
    )

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(st.lists(delivery, min_size=1, max_size=9, unique_by=lambda one: one[2]), st.randoms(use_true_random=False))
    def check(said: list[tuple[str | None, int | None, int]], chance: random.Random) -> None:
        for _ in range(2):
            name = f"T{next(numbers)}"
            chance.shuffle(said)
            for at, litres, received_ms in [*said, *chance.sample(said, len(said) // 2)]:
                put(register, {"truck_id": name, VALID_FROM: at, "tank_litres": litres}, received_ms=received_ms)
            found = [
                (row["effective_start_date"], row["effective_end_date"], row["document"]["tank_litres"])
                for row in register.versions(name)
            ]
            assert found == _expected(said)

    check()
    database.close()


def test_a_repeat_is_kept_as_what_it_repeats_and_not_as_what_holds_there_by_now(database: Database) -> None:
    """It repeated what was in force when it came; meanwhile another document had taken that one's place."""
    register, since = Register(database, VEHICLES), TIMES[0]
    said = [(since, 300, NOW_MS + 1), (since, 200, NOW_MS + 9), (None, 300, NOW_MS + 5), (since, 300, NOW_MS + 20)]
    for at, litres, received_ms in [*said, (since, 200, NOW_MS + 30)]:
        put(register, {"truck_id": "T1", VALID_FROM: at, "tank_litres": litres}, received_ms=received_ms)
    found = [(row["effective_start_date"], row["document"]["tank_litres"]) for row in register.versions("T1")]
    assert found == [(since, 200), (timestamps.from_ms(NOW_MS + 5), 300)]


def test_of_two_that_came_in_one_millisecond_one_holds_whichever_was_stored_first(database: Database) -> None:
    register = Register(database, VEHICLES)
    for name, litres in (("T1", (200, 300)), ("T2", (300, 200))):
        documents = [{"truck_id": name, "tank_litres": each} for each in litres]
        assert [put(register, each) for each in documents] == ["accepted", "accepted"]
        held = max(map(VEHICLES.read, documents), key=lambda read: read.content)
        [version] = register.versions(name)
        assert version["document"] == held.record


@pytest.mark.parametrize("litres", [(200, 300), (300, 200)])
def test_of_two_documents_for_one_time_the_correction_counts(database: Database, litres: tuple[int, int]) -> None:
    """Whatever their content hashes; what it corrected may be said again."""
    register = Register(database, VEHICLES)
    wrong, right = ({"truck_id": "T1", VALID_FROM: "2026-11-01", "tank_litres": each} for each in litres)
    said = (wrong, right, right, wrong, wrong, right)
    answers = [put(register, document, received_ms=NOW_MS + n) for n, document in enumerate(said)]
    assert answers == ["accepted", "accepted", "duplicate", "accepted", "duplicate", "accepted"]
    [version] = register.versions("T1")
    assert (version["effective_start_date"], version["document"]["tank_litres"]) == (
        "2026-11-01T00:00:00.000Z", litres[1],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "field"),
    [(CUSTOMERS, "created_at"), (CUSTOMERS, "loyalty_since"), (VEHICLES, "last_service_at"), (ITEMS, VALID_FROM)],
)
def test_a_day_is_its_first_instant(kind: Any, field: str) -> None:
    read = kind.read({kind.id_name: "X1", field: "2026-11-01"})
    assert (read.record[field], read.warnings) == ("2026-11-01T00:00:00.000Z", {})
    [reason] = kind.read({kind.id_name: "X1", field: "2026-11-31"}).warnings.values()
    assert "a day such as 2026-01-31" in reason


def test_a_file_that_is_imported_every_night_keeps_few_repeats(database: Database) -> None:
    """What says what is in force is kept only while something that was received before it may still come."""
    register = Register(database, ITEMS)
    said = [
        put(register, {"item_id": "A", "price": "10"}, received_ms=NOW_MS + night * 86_400_000) for night in range(9)
    ]
    assert said == ["accepted", *["duplicate"] * 8]
    with database.read() as connection:
        assert len(connection.execute(register_documents.select()).all()) == 2
    back = timestamps.from_ms(NOW_MS + 2 * 86_400_000)
    assert put(register, {"item_id": "A", "price": "12", VALID_FROM: back}, received_ms=NOW_MS + 9 * 86_400_000)
    assert [row["document"]["price"] for row in register.versions("A")] == ["10", "12"]


def test_a_repeat_does_not_bring_back_a_driver_who_was_forgotten(database: Database, tmp_path: Path) -> None:
    register = Register(database, VEHICLES)
    said = {"truck_id": "T1", "driver_id": "D-7"}
    put(register, said)
    assert forget_driver(database, "D-7", Forgotten(tmp_path)) == 1
    assert put(register, said, received_ms=NOW_MS + 1) == "duplicate"
    with database.read() as connection:
        rows = connection.execute(register_documents.select()).all()
    assert len(rows) == 2
    assert not any("D-7" in row.document for row in rows)


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
