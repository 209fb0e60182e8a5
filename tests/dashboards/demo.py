"""A small fleet and shop of six days, put in through the real doors, so that every panel has something to show."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from collector.history import TrackingPolicy
from collector.ingest import Ingest
from collector.stores.factory import open_reader, open_store
from commerce.orders.service import Orders
from commerce.registers.documents import CUSTOMERS, ITEMS, VEHICLES
from commerce.registers.register import Register
from commerce.storage.database import open_database
from contract import timestamps
from contract.fleet import FleetSettings, Zone
from contract.ingest_items import Item
from tests.warehouse.fleet import at, drive
from warehouse.build import build
from warehouse.engines import Engine
from warehouse.engines.duckdb import DuckDbEngine
from warehouse.lake.build import Lake, LakeSources
from warehouse.sources import Terms

FIRST, DAYS = datetime(2026, 3, 30, tzinfo=UTC), 6
LAST = FIRST + timedelta(days=DAYS - 1)
TRUCKS = ("TRUCK-001", "TRUCK-002", "TRUCK-003")
SPEEDS = [0, 0, 50, 62, 71, 30, 0, 0, 0, 0, 0, 0, 0, 44, 55, 91, 40, 20, 0, 0]
DEVICES = ("desktop", "mobile", "tablet")
REFERRERS = ("https://www.google.com/", None, "https://shop.example/partner", "https://www.facebook.com/x")
COUNTRIES = ("DE", "FR", None)


_CORNERS = ((12.9, 52.1), (13.1, 52.1), (13.1, 52.104), (12.9, 52.104), (12.9, 52.1))
TERMS = Terms(fleet=FleetSettings(fuel_price=1.6), zones=(Zone("depot", "Depot", 30, (_CORNERS,)),))


def _day(number: int, hour: int = 8) -> str:
    return timestamps.from_datetime(FIRST + timedelta(days=number, hours=hour))


def ms(instant: str) -> int:
    return timestamps.to_ms(instant)


def _speeds(day: int, truck: int) -> list[float]:
    return [round(speed * (1 + day / 20 - truck / 10), 1) for speed in SPEEDS * 2]


def samples() -> list[dict[str, Any]]:
    """Each truck drives every day; the third leaks a tyre, the second has worn brakes, one number is missing."""
    made: list[dict[str, Any]] = []
    for nth, truck in enumerate(TRUCKS):
        odometer = 1000.0 * (nth + 1)
        for day in range(DAYS):
            brakes = "worn" if nth == 1 and day > 2 else "ok"
            fuel = 30 if day % 2 else 90 - 5 * nth
            records = drive(
                truck, _day(day, 8 + nth), _speeds(day, nth), odometer=odometer, fuel=fuel,
                seq=1 + day * 40, stream=f"stream-{nth}", brakes=brakes,
            )  # fmt: skip
            for minute, record in enumerate(records):
                record["engine_diagnostics"] |= {
                    "engine_temperature": 80 + minute % 11 + 6 * nth,
                    "oil_pressure": 40 - minute % 5,
                    "battery_voltage": 12.5 + (minute % 7) / 10,
                }
                leak = 4 * day if nth == 2 else 0
                record["vehicle_health_and_maintenance"] |= {
                    "tire_pressure": {
                        "front_left": 100 - leak, "front_right": 101, "rear_left": 99, "rear_right": 98,
                    },
                    "transmission_status": "normal",
                }  # fmt: skip
                if nth == 0 and day == 4:
                    fault = {"spn": 110, "fmi": 0, "count": 1, "source": 0}
                    record["vehicle_health_and_maintenance"]["active_faults"] = [fault]
            made += records
            odometer = records[-1]["odometer_reading"]
    return [record for record in made if not (record["truck_id"] == TRUCKS[0] and record["seq"] == 90)]


def clicks() -> list[dict[str, Any]]:
    """Visits of six days: each a page or two, some items, some purchases, and events without a session."""
    made: list[dict[str, Any]] = []
    for visit in range(60):
        start = at(_day(visit % DAYS, 6 + visit % 13), visit * 7)
        steps = ("page_view", "view", "click", "add_to_cart", "purchase", "page_view")[: 2 + visit % 5]
        for nth, step in enumerate(steps):
            made.append(
                {
                    "event_id": f"e{visit}-{nth}", "event_type": step, "timestamp": at(start, nth * 40),
                    "session_id": f"visit-{visit}" if visit % 9 else None, "user_id": f"user-{visit % 17}",
                    "page": f"/page-{(visit + nth) % 4}", "item_id": f"ITEM-{visit % 5}",
                    "item_name": f"Item {visit % 5}", "category": ("phones", "cases")[visit % 2],
                    "price": 19.99 + visit, "quantity": 1, "device_type": DEVICES[visit % 3], "browser": "Firefox",
                    "referrer_url": REFERRERS[visit % 4], "location": COUNTRIES[visit % 3],
                    **({"utm_campaign": "spring", "utm_source": "mail"} if visit % 4 == 0 else {}),
                    **({"order_id": f"order-{visit}"} if step == "purchase" else {}),
                }
            )  # fmt: skip
    for visit in range(12):
        found = {"event_type": "search", "search_term": ("case", "phone")[visit % 2], "search_results": visit % 3}
        shown = {"event_type": "recommendation_view", "recommendation_id": f"r{visit}", "placement": "product"}
        for nth, what in enumerate((found, {**shown, "model_version": "popularity"})):
            start = at(_day(visit % DAYS, 6 + visit % 13), visit * 7 + 5 + nth)
            who = {"session_id": f"visit-{visit}", "user_id": f"user-{visit}"}
            made.append({"event_id": f"s{visit}-{nth}", "timestamp": start, **who, **what})
    return made


def arrivals() -> list[Item]:
    """What the collector is given: samples, clicks and three records that it refuses."""
    items = [Item("telemetry", "mqtt:fleet", each, ms(each["sampled_at"]) + 1000) for each in samples()]
    items += [Item("click", "http:clicks", each, ms(each["timestamp"]) + 1000) for each in clicks()]
    for number, wrong in enumerate(({"vehicle_speed": "fast"}, {"fuel_consumption": "much"}, {"vehicle_speed": []})):
        items.append(Item("telemetry", "mqtt:fleet", {"truck_id": TRUCKS[1], **wrong}, ms(_day(number, 12))))
    return items


def _order(orders: Orders, number: int) -> None:
    placed = _day(number % DAYS, 7)
    document = {
        "order_id": f"A-{number:02}", "customer_id": f"C-{number % 5}", "session_id": f"visit-{number}",
        "currency": "EUR",
        "placed_at": placed, "promised_at": at(placed, 6 * 3600), "payment_method": "invoice",
        "shipping": {"postcode": "10115", "country": "DE" if number % 3 else "FR", "latitude": 52.5, "longitude": 13.4},
        "lines": [{"item_id": f"ITEM-{number % 5}", "category": "phones", "price": 20 + number, "quantity": 2}],
    }  # fmt: skip
    received = ms(placed) + 1000
    orders.take_order(document, received_ms=received, payload=b"{}")
    way = {0: ("packed", "cancelled"), 1: ("packed", "loaded"), 2: ("packed", "loaded", "delivered", "returned")}
    for nth, kind in enumerate(way.get(number % 7, ("packed", "loaded", "delivered")), start=1):
        when = at(placed, 3600 * (1 + nth * (1 + number % 4)))
        said = {"event_id": kind, "type": kind, "at": when}
        if kind == "loaded":
            said["truck_id"] = TRUCKS[number % 3]
        orders.take_event(f"A-{number:02}", said, received_ms=ms(when) + 1000, payload=b"{}")


class Demo:
    """A data folder with a lake and the marts in DuckDB; `build_on` builds them on another engine."""

    def __init__(self, folder: Path, *, empty: bool = False) -> None:
        self.folder = folder
        if not empty:
            self._fill()
        self._lake()
        self.build_on(DuckDbEngine(folder / "warehouse.duckdb"))

    def build_on(self, engine: Engine) -> None:
        """The marts of the lake on an engine."""
        build(self.folder / "lake", engine, TERMS)

    def _fill(self) -> None:
        store = open_store(f"sqlite:///{self.folder / 'milepost.db'}")
        ingest = Ingest(store, TrackingPolicy.of())
        ingest.ingest(arrivals())
        store.close()
        shop = open_database(f"sqlite:///{self.folder / 'commerce.db'}")
        vehicles, customers = Register(shop, VEHICLES), Register(shop, CUSTOMERS)
        for truck in TRUCKS[:2]:
            known = {
                "truck_id": truck,
                "tank_litres": 300,
                "service_every_km": 500,
                "last_service_km": 600,
                "valid_from": "2026-01-01T00:00:00Z",
            }
            vehicles.put(VEHICLES.read(known), received_ms=ms(_day(0)))
        for number in range(5):
            person = {"customer_id": f"C-{number}", "country": "DE", "loyalty_tier": ("gold", "silver")[number % 2]}
            customers.put(CUSTOMERS.read(person), received_ms=ms(_day(0)))
        items = Register(shop, ITEMS)
        for number in range(3):
            known = {"item_id": f"ITEM-{number}", "price": 10, "active": True, "stock": 5 * number}
            items.put(ITEMS.read(known), received_ms=ms(_day(0)))
        orders = Orders(shop)
        for number in range(20):
            _order(orders, number)
        shop.close()

    def _lake(self) -> None:
        reader = open_reader(f"sqlite:///{self.folder / 'milepost.db'}")
        shop_file = self.folder / "commerce.db"
        shop = open_database(f"sqlite:///{shop_file}") if shop_file.exists() else None
        Lake(self.folder / "lake").build(LakeSources(reader, shop))
        if reader:
            reader.close()
        if shop:
            shop.close()
