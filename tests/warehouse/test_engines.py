"""Every mart on every engine that runs here, on one lake: the same rows."""

from collections.abc import Iterator
from typing import Any

import pytest

from commerce.queries import Database
from commerce.registers.documents import CUSTOMERS, VEHICLES
from commerce.registers.register import Register
from contract import timestamps
from contract.errors import Misconfigured
from tests.postgresql import cluster
from tests.warehouse.fleet import Fleet, at, drive
from warehouse.engines.postgresql import PostgresEngine
from warehouse.read import plain
from warehouse.rendering import models

START = "2024-06-01T23:50:00.000Z"
SPEEDS = [0, 50, 60, 0, 0, 0, 70, 30, 0, 0, 40, 50, 60, 0, 0, 0, 0, 0, 0, 20, 20, 0, 0]
RECEIVED = timestamps.to_ms("2024-06-05T00:00:00.000Z")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with cluster() as address:
        yield address


def _fill(fleet: Fleet) -> None:
    fleet.take([*drive("T1", START, SPEEDS), *drive("T1", "2024-06-03T12:00:00.000Z", SPEEDS, seq=60, fuel=99)])
    fleet.take(drive("T2", START, SPEEDS, brakes="worn"))
    fleet.take([{"truck_id": "T1", "vehicle_speed": "fast"}], received="2024-06-02T12:00:00.000Z")
    kinds = ("page_view", "view", "add_to_cart", "purchase", "click")
    fleet.click(
        {
            "event_id": f"e{n}",
            "event_type": kinds[n % 5],
            "timestamp": at(START, n * 240),
            "session_id": f"v{n // 5}" if n % 7 else None,
            "user_id": f"u{n // 10}",
            "page": f"/{n % 3}",
            "item_id": f"I{n % 2}",
            "item_name": "Ä é ''",
            "price": 9.99,
            "referrer_url": "https://www.google.com/",
        }
        for n in range(60)
    )
    _register(fleet.shop)
    fleet.build()


def _register(shop: Database) -> None:
    vehicle = {"truck_id": "T1", "tank_litres": 300, "service_every_km": 10, "valid_from": "2024-01-01T00:00:00Z"}
    Register(shop, VEHICLES).put(VEHICLES.read(vehicle), received_ms=RECEIVED)
    Register(shop, CUSTOMERS).put(CUSTOMERS.read({"customer_id": "C1", "country": "DE"}), received_ms=RECEIVED)


def test_every_mart_has_the_same_rows_on_duckdb_and_postgresql(fleet: Fleet, url: str) -> None:
    _fill(fleet)
    other = PostgresEngine(url)
    counts = fleet.build_marts()
    assert fleet.build_marts(other) == counts
    assert fleet.build_marts(other) == counts  # rows are exchanged, not added
    for model in models("duckdb"):
        if model.name.startswith("marts."):
            name = model.name.removeprefix("marts.")
            theirs = [plain(row) for row in other.query(f"SELECT * FROM {name}")]
            _same(name, fleet.query(f"SELECT * FROM {name}"), theirs, model.grain)
    filled = {name for name, rows in counts.items() if rows}
    assert {"truck_trip", "truck_stop", "fuel_event", "truck_day", "session", "customer", "maintenance_due"} <= filled


def _same(name: str, ours: list[dict[str, Any]], theirs: list[dict[str, Any]], grain: list[str]) -> None:
    ours, theirs = (sorted(rows, key=lambda row: [str(row[key]) for key in grain]) for rows in (ours, theirs))
    assert [list(row) for row in ours] == [list(row) for row in theirs], name
    for one, other in zip(ours, theirs, strict=True):
        for column, value in one.items():
            number = isinstance(value, float)
            assert other[column] == (pytest.approx(value, rel=1e-9, abs=1e-9) if number else value), (name, column)


def test_a_query_changes_nothing_and_says_what_is_wrong(fleet: Fleet, url: str) -> None:
    fleet.take(drive("T1", START, SPEEDS))
    fleet.build()
    fleet.build_marts()
    for engine in (fleet.engine, PostgresEngine(url)):
        for wrong in ("SELECT nothing FROM truck_day", "CREATE TABLE t (x int)", "DELETE FROM truck_day"):
            with pytest.raises(Misconfigured, match="refuses"):
                engine.query(wrong)
