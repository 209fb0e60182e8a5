"""Forgotten: no file holds an identifier any more, numbers stay, and nothing that comes again revives anybody."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.testclient import TestClient

from collector.history import TrackingPolicy
from collector.ingest import Ingest
from collector.rows import StoredSample
from collector.settings import CollectorSettings
from collector.stores.factory import open_reader, open_store
from collector.stores.forgetting import is_refused_of
from commerce import forgetting as shop_forgetting
from commerce.http.access import KeyedAccess
from commerce.http.registers import RegisterDoors
from commerce.orders.service import Orders
from commerce.registers.documents import CUSTOMERS, VEHICLES
from commerce.registers.register import Register
from commerce.routes.plans import Plans
from commerce.settings import CommerceSettings
from commerce.storage import schema
from commerce.storage.database import Database, open_database
from contract import timestamps
from contract.errors import Misconfigured, Rejected
from contract.forgotten import Forgotten, Span
from contract.ingest_items import Item
from standalone import forget
from standalone.forget import ForgettingRooms
from tests import postgresql
from tests.commerce.examples import event
from tests.commerce.test_plans import a_plan
from tests.milepost_here import run
from tests.standalone import xena
from tests.standalone.xena import HER, ORDER, PROFILE, REFUSED
from warehouse import forgetting as lake_forgetting
from warehouse.read import query

NOW_MS = 1_790_000_000_000
CLICKS, SAMPLE = xena.clicks(NOW_MS), xena.sample(NOW_MS)


@dataclass
class Installation:
    """A data directory with the life of two customers in it, and the doors by which it came."""

    rooms: ForgettingRooms

    @property
    def shop(self) -> Database:
        assert self.rooms.shop
        return self.rooms.shop

    def deliver(self) -> list[str]:
        """Everything that was ever sent, again and again; the statuses."""
        marks = Forgotten(self.rooms.data_dir)
        store = open_store(self.rooms.collector.store_url)
        taker = Ingest(store, TrackingPolicy.of(None), forgotten=marks)
        items = [Item("click", "http:clicks", each, NOW_MS) for each in CLICKS]
        items += [Item("telemetry", "http:telemetry", SAMPLE, NOW_MS)]
        items += [Item("click", "http:clicks", REFUSED, NOW_MS, text=REFUSED.decode())]
        found = [receipt.status for receipt in taker.ingest(items)]
        store.close()
        orders = Orders(self.shop, forgotten=marks)
        found.append(orders.take_order(ORDER, received_ms=NOW_MS, payload=b"").status)
        said = [event("loaded", at_ms=NOW_MS - 1000, note="Xena Xylander"), event("delivered", at_ms=NOW_MS)]
        found += [orders.take_event("O-1", each, received_ms=NOW_MS, payload=b"").status for each in said]
        with pytest.raises(Rejected):
            orders.take_order({**ORDER, "lines": []}, received_ms=NOW_MS, payload=json.dumps(ORDER).encode())
        register = Register(self.shop, CUSTOMERS, forgotten=marks)
        for number, profile in enumerate((PROFILE, {**PROFILE, "loyalty_tier": "gold"})):
            found.append(register.put(CUSTOMERS.read(profile), received_ms=NOW_MS + number))
        return found

    def numbers(self) -> dict[str, Any]:
        """What is counted."""
        reader = open_reader(self.rooms.collector.store_url)
        assert reader
        clicks = list(reader.clicks())
        found = {
            "counters": sorted((c.event_type, c.item_id, n) for c, n in reader.click_counts()),
            "sessions": len({each.session_id for each in clicks}),
            "users": len({json.loads(each.text)["user_id"] for each in clicks}),
            "letters": len(list(reader.dead_letters())),
            "samples": len(list(reader.samples("TRUCK-001"))),
            "orders": [(each["state"], each["total"]) for each in self.states()],
        }
        reader.close()
        return found

    def states(self) -> list[dict[str, Any]]:
        with self.shop.read() as connection:
            rows = connection.execute(select(schema.order_states.c.document)).scalars().all()
        return [json.loads(row) for row in rows]

    def bytes_that_hold(self, words: tuple[str, ...]) -> list[str]:
        """By plain reading, without the program's own search."""
        found = []
        for path in self.rooms.data_dir.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                found += [f"{path.name}: {word}" for word in words if word.encode() in content]
        return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with postgresql.cluster() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    url = f"sqlite:///{data_dir}/commerce.db"
    if request.param == "postgresql":
        url = postgresql.database(request.getfixturevalue("cluster"), f"shop_{uuid.uuid4().hex}")
    shop = open_database(url)
    collector = CollectorSettings(data_dir=data_dir)
    Installation(ForgettingRooms(collector, CommerceSettings(database=url), shop)).deliver()
    stores = forget.stores_of(collector, None)
    found = Installation(ForgettingRooms(collector, CommerceSettings(database=url), shop, stores))
    plan = a_plan("O-1", "O-2")
    Plans(shop).save(plan, made_ms=NOW_MS)
    (data_dir / "up.log").write_text("order_refused customer-Xena\n")
    yield found
    shop.close()


def test_nothing_of_her_is_left_and_every_number_is(installation: Installation) -> None:
    before = installation.numbers()
    report = forget.customer(installation.rooms, "customer-Xena", now_ms=NOW_MS + 60_000, dry_run=False)
    assert (report["held"]["clicks"], report["held"]["orders"], report["held"]["user_ids"]) == (4, 1, 3)
    assert report["found"] == []
    assert report["searched"]["files"] >= 2
    assert installation.bytes_that_hold(HER) == []
    assert shop_forgetting.occurrences(installation.shop, HER) == []
    assert installation.numbers() == before


def test_nothing_that_comes_again_revives_her(installation: Installation) -> None:
    before = installation.numbers()
    forget.customer(installation.rooms, "customer-Xena", now_ms=NOW_MS + 60_000, dry_run=False)
    statuses = installation.deliver()
    assert set(statuses) == {"duplicate", "rejected"}
    data = ("--data-dir", installation.rooms.data_dir)
    assert run("rebuild", *data).code == 0
    assert run("verify", *data).code == 0
    assert run("dead-letters", "retry", *data).code == 1
    found, _ = forget.search(installation.rooms, HER)
    assert found == []
    assert {**installation.numbers(), "letters": before["letters"]} == before


def test_what_comes_late_of_her_is_kept_bare(installation: Installation) -> None:
    """Events of her orders that had not come yet, also before their order, and what the registers refuse."""
    forget.customer(installation.rooms, "customer-Xena", now_ms=NOW_MS + 60_000, dry_run=False)
    marks, shop = Forgotten(installation.rooms.data_dir), installation.shop
    orders = Orders(shop, forgotten=marks)
    at: dict[str, Any] = {"at_ms": NOW_MS + 30_000, "note": "for Xena Xylander"}
    for order_id, said in (
        ("O-1", event("returned", **at)),
        ("O-2", event("packed", **at, session_id="session-Xs1")),
        ("O-3", event("packed", **at)),
    ):
        orders.take_event(order_id, said, received_ms=NOW_MS + 120_000, payload=b"")
    late = {**ORDER, "order_id": "O-3", "placed_at": timestamps.from_ms(NOW_MS)}
    orders.take_order(late, received_ms=NOW_MS + 120_000, payload=b"")
    doors = RegisterDoors(shop, KeyedAccess({"a-key-of-the-shop": "shop"}), forgotten=marks).routes
    client = TestClient(Starlette(routes=doors), headers={"authorization": "Bearer a-key-of-the-shop"})
    assert client.put("/v1/customers/customer-other", json=PROFILE).status_code == 422
    assert forget.search(installation.rooms, HER)[0] == []
    assert installation.bytes_that_hold(HER) == []
    states = {each["order_id"]: each["state"] for each in installation.states()}
    assert states == {"O-1": "returned", "O-2": "waiting", "O-3": "packed"}


def test_a_forgetting_that_was_killed_is_brought_to_its_end(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the events were rewritten, before the orders were: the second run still knows what to look for."""
    with monkeypatch.context() as patch:
        patch.setattr(shop_forgetting, "forget_customer", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            forget.customer(installation.rooms, "customer-Xena", now_ms=NOW_MS + 60_000, dry_run=False)
    assert installation.bytes_that_hold(HER)
    report = forget.customer(installation.rooms, "customer-Xena", now_ms=NOW_MS + 60_000, dry_run=False)
    assert report["found"] == []
    assert installation.bytes_that_hold(HER) == []


def test_others_stay_as_they_are(installation: Installation) -> None:
    forget.customer(installation.rooms, "customer-Xena", now_ms=NOW_MS + 60_000, dry_run=False)
    reader = open_reader(installation.rooms.collector.store_url)
    assert reader
    kept = {each.event_id: json.loads(each.text) for each in reader.clicks()}
    reader.close()
    assert kept["e5"]["customer_id"] == "customer-other"
    assert kept["e6"]["user_id"] == "user-nobody"
    assert kept["e1"]["item_id"] == "MOB001"
    assert kept["e1"]["user_id"] == kept["e2"]["user_id"] != "user-Xq7"
    assert ("location" in kept["e1"], kept["e1"]["is_bot"]) == (False, False)


def test_who_comes_back_is_a_new_customer(installation: Installation) -> None:
    """An order placed after the forgetting needs its address."""
    forget.customer(installation.rooms, "customer-Xena", now_ms=NOW_MS + 60_000, dry_run=False)
    orders = Orders(installation.shop, forgotten=Forgotten(installation.rooms.data_dir))
    orders.take_order({**ORDER, "order_id": "O-9"}, received_ms=NOW_MS + 120_000, payload=b"")
    orders.take_order({**ORDER, "order_id": "O-8", "placed_at": timestamps.from_ms(NOW_MS)}, received_ms=NOW_MS + 120_000, payload=b"")  # fmt: skip # noqa: E501
    states = {each["order_id"]: each for each in installation.states()}
    assert (states["O-9"]["customer_id"], states["O-9"]["shipping"]["postcode"]) == ("customer-Xena", "10115")
    assert states["O-8"]["customer_id"].startswith("forgotten-")
    assert states["O-8"]["shipping"] == {"country": "DE"}


def test_a_legal_hold_keeps_her(installation: Installation) -> None:
    shop_forgetting.put_hold(installation.shop, "customer-Xena", "court case 7", since_ms=NOW_MS)
    with pytest.raises(Misconfigured, match="court case 7"):
        forget.customer(installation.rooms, "customer-Xena", now_ms=NOW_MS, dry_run=False)
    assert not (installation.rooms.data_dir / "forgotten.json").exists()
    assert shop_forgetting.release_hold(installation.shop, "customer-Xena")
    assert forget.customer(installation.rooms, "customer-Xena", now_ms=NOW_MS + 1, dry_run=True)["done"] == {}


def test_an_export_has_all_that_is_held(installation: Installation) -> None:
    found = forget.export(installation.rooms, "customer-Xena")
    assert [each["event_id"] for each in found["clicks"]] == ["e1", "e2", "e3", "e4"]
    assert found["customer"]["profile"]["loyalty_tier"] == "gold"
    assert [each["order_id"] for each in found["orders"]] == ["O-1"]
    assert [each["type"] for each in found["orders"][0]["events"]] == ["loaded", "delivered"]


def _samples(installation: Installation) -> list[StoredSample]:
    reader = open_reader(installation.rooms.collector.store_url)
    assert reader
    found = list(reader.samples("TRUCK-001"))
    reader.close()
    return found


def test_a_driver_s_positions_go_and_the_ledger_stays_settled(installation: Installation) -> None:
    vehicle = {"truck_id": "TRUCK-001", "driver_id": "driver-7", "valid_from": timestamps.from_ms(NOW_MS - 86_400_000)}
    Register(installation.shop, VEHICLES).put(VEHICLES.read(vehicle), received_ms=NOW_MS)
    (before,) = _samples(installation)
    end = timestamps.from_ms(NOW_MS)
    spans = forget.spans_of_driver(installation.shop, "driver-7", "2000-01-01T00:00:00.000Z", end)
    assert spans == [Span("TRUCK-001", vehicle["valid_from"], end)]
    report = forget.positions(installation.rooms, spans, now_ms=NOW_MS, dry_run=False)
    assert (report["done"]["samples"], report["left"]) == (1, 0)
    assert installation.bytes_that_hold(("48.1234", "11.5678")) == []
    (after,) = _samples(installation)
    assert after._replace(text="") == before._replace(text="")
    kept = json.loads(after.text)
    assert (kept["gps_location"]["latitude"], kept["gps_location"]["speed"], kept["vehicle_speed"]) == (None, 50, 50)
    assert kept["quality"] == {"gps_location": "forgotten"}
    installation.deliver()
    assert _samples(installation) == [after]


def test_a_sample_of_the_time_that_comes_later_has_no_position(installation: Installation) -> None:
    """Of a truck that was offline: its marker waits for it."""
    span = Span("TRUCK-001", "2000-01-01T00:00:00.000Z", timestamps.from_ms(NOW_MS))
    forget.positions(installation.rooms, [span], now_ms=NOW_MS, dry_run=False)
    store = open_store(installation.rooms.collector.store_url)
    late = {**SAMPLE, "seq": 2, "sampled_at": timestamps.from_ms(NOW_MS - 30_000)}
    new = {**SAMPLE, "seq": 3, "sampled_at": timestamps.from_ms(NOW_MS)}
    taker = Ingest(store, TrackingPolicy.of(None), forgotten=Forgotten(installation.rooms.data_dir))
    taker.ingest([Item("telemetry", "http:telemetry", each, NOW_MS) for each in (late, new)])
    store.close()
    places = [json.loads(each.text)["gps_location"]["latitude"] for each in _samples(installation)]
    assert places == [None, None, 48.1234]


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_the_command_takes_days_says_what_it_would_do_and_leaves_a_history_that_verifies(
    installation: Installation,
) -> None:
    day = timestamps.from_ms(NOW_MS)[:10]
    data = ("--data-dir", installation.rooms.data_dir)
    of_the_day = ("forget", "--truck", "TRUCK-001", "--from", day, "--to", day, *data)
    assert "Would be changed: 1 samples" in run(*of_the_day, "--dry-run").out.decode()
    assert run(*of_the_day, "--json").json["done"]["samples"] == 1
    assert (run("verify", *data).code, run("rebuild", *data).code, run("verify", *data).code) == (0, 0, 0)
    turned = run("forget", "--truck", "TRUCK-001", "--from", "2026-11-02T00:00Z", "--to", "2026-11-01", *data)
    assert (turned.code, "exchange them" in turned.err) == (2, True)


@pytest.mark.parametrize(
    ("source", "record", "late_ms", "is_hers"),
    [
        ("mqtt:fleet/T1/telemetry", {}, 0, True),
        ("http:telemetry/T1", {}, 0, True),
        ("mqtt:fleet/T10/telemetry", {"truck_id": "T1"}, 0, False),
        ("http:telemetry/T10", {}, 0, False),
        ("file:telemetry", {"truck_id": "T1"}, 0, True),
        ("file:telemetry", {"truck_id": "T10"}, 0, False),
        ("mqtt:fleet/T1/telemetry", {}, 86_400_000, False),
        ("mqtt:fleet/T1/telemetry", {"sampled_at": timestamps.from_ms(NOW_MS)}, 86_400_000, True),
        ("mqtt:fleet/T1/batch", {"records": [1, {"timestamp": timestamps.from_ms(NOW_MS)}]}, 86_400_000, True),
    ],
)
def test_refused_records_of_the_truck_and_the_time_go_and_no_other_s(
    source: str, record: dict[str, Any], late_ms: int, is_hers: bool
) -> None:
    """T10 is not T1, MQTT's topic has more behind the name, and what was offline comes later than it is of."""
    span = Span("T1", timestamps.from_ms(NOW_MS - 1000), timestamps.from_ms(NOW_MS + 1000))
    assert is_refused_of(span, source, json.dumps(record).encode(), NOW_MS + late_ms) is is_hers


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_lake_and_marts_hold_nothing_of_her_and_the_same_numbers(installation: Installation) -> None:
    data_dir = installation.rooms.data_dir
    asked = """SELECT (SELECT count(*) FROM fact_click) AS clicks, (SELECT count(*) FROM session) AS sessions,
        (SELECT sum(revenue) FROM session) AS revenue, (SELECT count(*) FROM truck_history) AS versions,
        (SELECT count(*) FROM delivery WHERE customer_id IS NOT NULL) AS orders"""
    for command in ("lake", "warehouse"):
        assert run(command, "build", "--data-dir", data_dir).code == 0
    before = query(asked, data_dir)
    assert lake_forgetting.occurrences((data_dir / "lake").rglob("*.parquet"), HER)
    report = forget.customer(installation.rooms, "customer-Xena", now_ms=NOW_MS + 60_000, dry_run=False)
    assert (report["found"], report["lake"]["lake"]) == ([], 1)
    assert query(asked, data_dir) == before
    installation.deliver()
    assert run("lake", "build", "--data-dir", data_dir).code == 0
    assert forget.search(installation.rooms, HER)[0] == []
