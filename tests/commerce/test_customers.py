"""One customer as a whole: visits joined in hindsight, segments as the mart has them, one view over HTTP."""

import tempfile
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.history import TrackingPolicy
from collector.ingest import Ingest
from collector.queries import Visits
from collector.stores.factory import open_reader, open_store
from commerce.customers import unified_view
from commerce.customers.money import Money
from commerce.customers.segments import Segment, segments
from commerce.orders.service import Orders
from commerce.registers.documents import CUSTOMERS
from commerce.registers.register import Register
from commerce.storage.database import open_database
from contract import timestamps
from contract.forgotten import Forgotten
from contract.ingest_items import Item
from standalone.commerce_doors import CustomerVisits, interests, reading_sessions
from tests.commerce.examples import event, order
from tests.milepost_here import run
from warehouse.read import query

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000
TODAY = timestamps.from_ms(NOW_MS)[:10]


def click(number: int, user: str, session: str, customer: str | None = None) -> dict[str, Any]:
    found = {
        "event_id": f"e{number}",
        "event_type": "identify" if customer else "view",
        "timestamp": timestamps.from_ms(NOW_MS - 60_000 + number * 1000),
        "user_id": user,
        "session_id": session,
        "item_id": "MOB001",
    }
    return {**found, "customer_id": customer} if customer else found


def put(folder: Path, clicks: list[dict[str, Any]]) -> None:
    store = open_store(f"sqlite:///{folder}/milepost.db")
    Ingest(store, TrackingPolicy.of(None)).ingest([Item("click", "http:clicks", each, NOW_MS) for each in clicks])
    store.close()


def visits_of(folder: Path, visits: Visits, customer: str) -> Any:
    reader = open_reader(f"sqlite:///{folder}/milepost.db")
    assert reader
    visits.catch_up(reader)
    reader.close()
    return visits.of(customer)


def test_browsing_before_the_sign_in_is_the_customer_s_and_two_browsers_are_one(tmp_path: Path) -> None:
    visits = Visits()
    put(tmp_path, [click(1, "phone", "s1"), click(2, "desk", "s2"), click(3, "other", "s3")])
    assert visits_of(tmp_path, visits, "C-1") is None
    put(tmp_path, [click(4, "phone", "s1", "C-1"), click(5, "phone", "s4")])
    assert visits_of(tmp_path, visits, "C-1")["sessions"] == 2
    put(tmp_path, [click(6, "desk", "s5", "C-1")])
    found = visits_of(tmp_path, visits, "C-1")
    assert (found["users"], found["sessions"]) == (["desk", "phone"], 4)
    assert (found["first_seen"], found["last_seen"]) == (click(1, "", "")["timestamp"], click(6, "", "")["timestamp"])


def test_a_browser_that_another_customer_signs_in_with_later_is_that_one_s(tmp_path: Path) -> None:
    put(tmp_path, [click(1, "desk", "s1"), click(2, "desk", "s1", "C-1"), click(3, "desk", "s2", "C-2")])
    assert visits_of(tmp_path, Visits(), "C-1")["users"] == []
    assert visits_of(tmp_path, Visits(), "C-1")["sessions"] == 1
    assert visits_of(tmp_path, Visits(), "C-2")["sessions"] == 2


EVENTS = [click(n, f"u{n % 3}", f"s{n % 5}", f"C-{n % 2}" if n % 4 == 0 else None) for n in range(12)]


def test_recommendations_know_what_a_customer_looked_at_in_every_browser_and_has_bought(tmp_path: Path) -> None:
    looked = [
        click(1, "phone", "s1"),
        click(2, "phone", "s1", "C-1"),
        click(3, "desk", "s2", "C-1"),
        click(4, "x", "s3"),
    ]
    put(tmp_path, [*looked, {**click(5, "desk", "s2"), "item_id": "ACC004"}])
    database = open_database(f"sqlite:///{tmp_path}/commerce.db")
    for name, item, state in (("O-1", "TAB1", "paid"), ("O-2", "TAB2", "cancelled"), ("O-3", "TAB3", "packed")):
        lines = [{"item_id": item, "price": 1}]
        Orders(database).take_order(order(name, lines=lines), received_ms=NOW_MS, payload=b"")
        Orders(database).take_event(name, event(state), received_ms=NOW_MS + 1, payload=b"")
    url = f"sqlite:///{tmp_path}/milepost.db"
    of = interests(database, CustomerVisits(url, Forgotten(tmp_path)), reading_sessions(url))
    found, nobody = of("C-1"), of("C-9")
    database.close()
    assert (found.seen, found.bought) == (["MOB001", "ACC004"], {"TAB1", "TAB3"})
    assert (list(nobody.seen), set(nobody.bought)) == ([], set())


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False))
def test_visits_do_not_depend_on_the_order_of_arrival(chance: Random) -> None:
    """Asked after each part, and with repeats."""
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as parts:
        put(Path(whole), EVENTS)
        shuffled = chance.sample(EVENTS, len(EVENTS)) + chance.sample(EVENTS, 4)
        visits = Visits()
        for first in range(0, len(shuffled), 4):
            put(Path(parts), shuffled[first : first + 4])
            visits_of(Path(parts), visits, "C-0")
        for customer in ("C-0", "C-1"):
            assert visits_of(Path(parts), visits, customer) == visits_of(Path(whole), Visits(), customer)


def placed(customer: str, days_ago: int, total: str = "10", state: str = "delivered", currency: str = "EUR") -> Any:
    at = timestamps.from_ms(NOW_MS - days_ago * DAY_MS)
    return {"customer_id": customer, "placed_at": at, "state": state, "total": total, "currency": currency}


def test_names_of_segments() -> None:
    found = segments(
        [
            placed("new", 3),
            placed("loyal", 3),
            placed("loyal", 90),
            *(placed("champion", 10 * n) for n in range(1, 6)),
            placed("at_risk", 200),
            placed("lost", 400),
            placed("occasional", 100),
            placed("prospect", 1, state="cancelled"),
        ],
        Money(),
        today=TODAY,
    )
    assert {name: each.segment for name, each in found.items()} == {name: name for name in found}
    assert found["lost"].rfm is None
    assert found["champion"].recency_days == 10


def test_an_amount_without_a_rate_is_no_revenue_and_costs_no_order() -> None:
    rows = [placed("a", 1, "1000", currency="JPY"), placed("b", 1, "5")]
    assert segments(rows, Money(), today=TODAY)["b"].rfm == "222"
    assert segments(rows, Money(rates={"JPY": 0.006}), today=TODAY)["a"] == Segment("new", "112", 1)


def test_segments_are_those_of_the_mart(tmp_path: Path) -> None:
    """Twelve customers over two years, by the command and by the warehouse."""
    dice = Random(3)
    database = open_database(f"sqlite:///{tmp_path}/commerce.db")
    orders = Orders(database)
    for number in range(40):
        at_ms = NOW_MS - dice.randrange(700) * DAY_MS
        document = order(f"O-{number}", customer_id=f"C-{dice.randrange(12)}", placed_at=timestamps.from_ms(at_ms))
        document["lines"] = [{"item_id": "MOB001", "price": dice.randrange(5, 500), "quantity": 1}]
        orders.take_order(document, received_ms=NOW_MS, payload=b"")
        if number % 7 == 0:
            orders.take_event(f"O-{number}", event("cancelled", at_ms=at_ms), received_ms=NOW_MS, payload=b"")
    database.close()
    put(tmp_path, [click(1, "desk", "s1")])
    data = ("--data-dir", tmp_path)
    assert run("lake", "build", *data).code == 0
    assert run("warehouse", "build", *data).code == 0
    marts = query("SELECT customer_id, segment, rfm, recency_days FROM customer ORDER BY customer_id", tmp_path)
    listed = run("customers", "list", *data, "--json").json
    own = [{name: row[name] for name in ("customer_id", "segment", "rfm", "recency_days")} for row in listed]
    assert own == marts
    shown = run("customers", "show", marts[0]["customer_id"], *data, "--json").json
    assert shown["segment"] == marts[0]["segment"]
    one = run("customers", "list", "--segment", marts[0]["segment"], *data, "--json").json
    assert {row["segment"] for row in one} == {marts[0]["segment"]}


def test_all_orders_are_counted_however_many_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("commerce.customers._MOST_ORDERS", 2)
    database = open_database(f"sqlite:///{tmp_path}/commerce.db")
    for number in range(3):
        said = order(f"O-{number}", placed_at=timestamps.from_ms(NOW_MS + number))
        Orders(database).take_order(said, received_ms=NOW_MS, payload=b"")
    found = unified_view(database, "C-1") or {}
    database.close()
    assert [each["order_id"] for each in found["orders"]] == ["O-2", "O-1"]
    assert (found["order_count"], found["revenue"]) == (3, {"EUR": "1619.64"})


def test_an_export_has_only_who_agreed_to_marketing(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/commerce.db")
    register = Register(database, CUSTOMERS)
    for name, consent in (("C-yes", True), ("C-no", False), ("C-never-asked", None), ("C-also", True)):
        said = {"customer_id": name, "marketing_consent": consent}
        register.put(CUSTOMERS.read(said), received_ms=NOW_MS)
    database.close()
    file, data = tmp_path / "customers.csv", ("--data-dir", tmp_path)
    assert run("customers", "export", file, *data, "--json").json == {"customers": 2, "left_out": 2}
    assert [line.partition(",")[0] for line in file.read_text().splitlines()] == ["customer_id", "C-also", "C-yes"]
    assert b"2 without marketing consent are left out" in run("customers", "export", file, *data).out
