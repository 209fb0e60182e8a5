"""The commands of commerce, as scripts call them."""

import json
from pathlib import Path

import pytest

from commerce.orders.service import Orders
from commerce.storage.database import open_database
from contract.errors import Rejected
from tests.commerce.examples import NOW_MS, event, order
from tests.milepost_here import run
from tests.milepost_process import Ran

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


def _imported(tmp_path: Path, text: str) -> Ran:
    (tmp_path / "fleet.csv").write_text(text)
    return run("fleet", "import", tmp_path / "fleet.csv", "--data-dir", tmp_path / "data", "--json")


def test_a_cell_is_text_where_its_field_takes_text(tmp_path: Path) -> None:
    """Driver 007 is not driver 7, and a driver may be called No; numbers are read however they are padded."""
    rows = ("T1,007,0400,0012,00", "T2,No,00.5e,12,-007", "T3,yes,000,x,00.50")
    done = _imported(tmp_path, "\n".join(("truck_id,driver_id,tank_litres,cost_centre,last_service_km", *rows)))
    assert done.json == {"accepted": 3, "duplicate": 0, "rejected": 0}
    shown = run("fleet", "list", "--data-dir", tmp_path / "data", "--json").json
    names = ("driver_id", "tank_litres", "cost_centre", "last_service_km")
    assert [[row[name] for name in names] for row in shown] == [
        ["007", 400, "0012", 0],
        ["No", None, 12, None],
        ["yes", None, "x", 0.5],
    ]


def test_a_row_that_is_corrected_counts_whatever_it_says(tmp_path: Path) -> None:
    """In another file, and further down in one; a day is 00:00 UTC of it."""
    text = "truck_id,valid_from,tank_litres\n" + "".join(f"T{n},2026-11-01,{n}\n" for n in range(10, 20))
    assert _imported(tmp_path, text).json == {"accepted": 10, "duplicate": 0, "rejected": 0}
    corrected = text.replace("-01,1", "-01,2")
    assert _imported(tmp_path, corrected).json == {"accepted": 10, "duplicate": 0, "rejected": 0}
    assert _imported(tmp_path, corrected).json == {"accepted": 0, "duplicate": 10, "rejected": 0}
    shown = run("fleet", "list", "--data-dir", tmp_path / "data", "--json").json
    assert [row["tank_litres"] for row in shown] == list(range(20, 30))
    assert {row["valid_from"] for row in shown} == {"2026-11-01T00:00:00.000Z"}
    both = text + corrected.partition("\n")[2]
    assert _imported(tmp_path, both).json == {"accepted": 20, "duplicate": 0, "rejected": 0}
    assert run("fleet", "list", "--data-dir", tmp_path / "data", "--json").json == shown


def test_a_row_of_more_values_than_columns_is_refused_alone(tmp_path: Path) -> None:
    """A decimal comma would put 80 litres for 80.5, and the rest under wrong names."""
    done = _imported(tmp_path, 'truck_id,tank_litres,capacity\nT1,80,5,3\nT2,"80.5",3\n')
    assert (done.code, done.json) == (1, {"accepted": 1, "duplicate": 0, "rejected": 1})
    assert "line 2: has more values than there are columns" in done.err


def test_a_column_that_no_field_has_is_named_and_one_that_is_there_twice_refused(tmp_path: Path) -> None:
    done = _imported(tmp_path, "truck_id, tank_litres ,tank_liters\nT1,300,300\n")
    assert (done.code, done.err.count("tank_liters is no field of a vehicle")) == (0, 1)
    assert run("fleet", "list", "--data-dir", tmp_path / "data", "--json").json[0]["tank_litres"] == 300
    done = _imported(tmp_path, "truck_id,plate,plate\nT1,A,B\n")
    assert (done.code, "plate twice" in done.err) == (2, True)


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
