"""The commands of commerce, as scripts call them."""

import json
from pathlib import Path

import pytest

from commerce.orders.service import Orders
from commerce.storage.database import open_database
from contract.errors import Rejected
from tests.commerce.examples import NOW_MS, event, order
from tests.milepost_here import run

CATALOGUE = (
    "item_id,name,category,price,currency,stock\nMOB001,Phone,Phones,499.90,EUR,12\nMOB002,Bad,Phones,abc,EUR,0\n"
)


def test_a_catalogue_is_imported_listed_and_shown(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text(CATALOGUE)
    data = ("--data-dir", tmp_path / "data", "--json")
    first = run("items", "import", tmp_path / "items.csv", *data)
    assert (first.code, first.json) == (0, {"accepted": 2, "duplicate": 0, "rejected": 0})
    assert "line 3: price left empty: must be an amount" in first.err
    assert run("items", "import", tmp_path / "items.csv", *data).json["duplicate"] == 2
    assert [(row["item_id"], row["price"]) for row in run("items", "list", *data).json] == [
        ("MOB001", "499.9"),
        ("MOB002", None),
    ]
    assert run("items", "show", "MOB001", *data).json[0]["is_current"] is True
    assert run("items", "show", "MOB009", *data).code == 1


def test_a_file_without_ids_is_refused_by_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "fleet.csv").write_text("plate\nX\n")
    done = run("fleet", "import", tmp_path / "fleet.csv", "--data-dir", tmp_path)
    assert (done.code, "one of them truck_id" in done.err) == (2, True)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """With one order on its way."""
    database = open_database(f"sqlite:///{tmp_path}/commerce.db")
    orders = Orders(database)
    orders.take_order(order(customer_id="C-\x1b[31m"), received_ms=NOW_MS, payload=b"")
    orders.take_order(order("A-2"), received_ms=NOW_MS, payload=b"")
    orders.take_event("A-2", event("loaded"), received_ms=NOW_MS + 1000, payload=b"")
    database.close()
    return tmp_path


def test_orders_are_listed_by_state_and_shown_with_their_events(data_dir: Path) -> None:
    options = ("--data-dir", data_dir, "--json")
    listed = run("orders", "list", "--state", "loaded", *options).json
    assert [(row["order_id"], row["truck_id"]) for row in listed] == [("A-2", "TRUCK-001")]
    shown = run("orders", "show", "A-2", *options).json
    assert [(each["type"], each["truck_id"]) for each in shown["events"]] == [("loaded", "TRUCK-001")]
    assert run("customers", "show", "C-1", *options).json["order_count"] == 1


def test_what_was_refused_is_listed_and_can_be_mended(data_dir: Path) -> None:
    database = open_database(f"sqlite:///{data_dir}/commerce.db")
    bad = order("A-9", currency="EURO")
    for _ in range(2):
        with pytest.raises(Rejected):
            Orders(database).take_order(bad, received_ms=NOW_MS, payload=json.dumps(bad).encode())
    database.close()
    (row,) = run("orders", "refused", "--data-dir", data_dir, "--json").json
    assert (row["source"], row["field"], row["times"]) == ("http:orders", "currency", 2)
    assert json.loads(row["payload"]) == bad
    assert "currency" in run("orders", "refused", "--data-dir", data_dir, COLUMNS="120").out.decode()


def test_what_strangers_sent_reaches_the_terminal_escaped(data_dir: Path) -> None:
    done = run("orders", "show", "A-1", "--data-dir", data_dir, COLUMNS="80")
    assert b"\x1b" not in done.out
    assert max(map(len, done.out.decode().splitlines())) <= 80


def test_without_orders_the_remedy_is_said(tmp_path: Path) -> None:
    done = run("orders", "list", "--data-dir", tmp_path)
    assert (done.code, "milepost up" in done.err) == (2, True)


def test_revenue_is_the_orders_where_there_is_one_else_the_purchase_events(data_dir: Path, tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{data_dir}/commerce.db")
    orders = Orders(database)
    orders.take_order(order("A-3", currency="USD"), received_ms=NOW_MS, payload=b"")
    orders.take_event("A-3", event("cancelled"), received_ms=NOW_MS + 1000, payload=b"")
    database.close()
    bought = {"event_type": "purchase", "timestamp": "2026-01-01T00:00:00Z", "price": 5, "quantity": 2}
    events = [
        {**bought, "event_id": "1", "order_id": "A-1", "currency": "EUR"},  # has an order
        {**bought, "event_id": "2", "order_id": "B-1", "currency": "EUR"},
        {**bought, "event_id": "3", "order_id": "B-1", "currency": "EUR", "timestamp": "2026-01-02T00:00:00Z"},  # again
        {**bought, "event_id": "4", "order_id": "B-2", "lines": [{"price": 1.25}, {"price": 1, "quantity": 3}]},
        {**bought, "event_id": "5", "order_id": "B-3", "is_bot": True},
    ]
    (tmp_path / "clicks").write_text("".join(f"{json.dumps(one)}\n" for one in events))
    assert run("ingest", "--stream", "clicks", tmp_path / "clicks", "--data-dir", data_dir).code == 0
    found = {row["currency"]: row for row in run("orders", "revenue", "--data-dir", data_dir, "--json").json}
    assert {name: (row["sales"], row["from_events"], row["revenue"]) for name, row in found.items()} == {
        None: (1, 1, "4.25"),
        "EUR": (3, 1, "1089.76"),  # two orders of 539.88, and 10
        "USD": (1, 0, "0"),
    }
    early = run("orders", "revenue", "--until", "2026-01-01T12:00:00Z", "--data-dir", data_dir, "--json").json
    assert [(row["currency"], row["revenue"]) for row in early] == [(None, "4.25"), ("EUR", "10")]
