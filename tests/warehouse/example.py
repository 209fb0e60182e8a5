"""A small fleet and its shop with at least one row in every mart; and reading all marts."""

from collections.abc import Iterator
from typing import Any

from commerce.orders.service import Orders
from commerce.queries import Database
from commerce.registers.documents import CUSTOMERS, ITEMS, SERVICES, VEHICLES
from commerce.registers.register import Register
from commerce.registers.services import read_service
from commerce.routes.plans import Plans
from contract import timestamps
from contract.fleet import FleetSettings, Zone
from tests.commerce.examples import event, order
from tests.warehouse.fleet import Fleet, Record, at, drive
from warehouse.rendering import models
from warehouse.settings import WarehouseSettings
from warehouse.sources import Terms

START = "2024-06-01T23:50:00.000Z"
SPEEDS = [0, 50, 60, 0, 0, 0, 70, 30, 0, 0, 40, 50, 95, 0, 0, 0, 0, 0, 0, 20, 20, 0, 0]
RECEIVED = timestamps.to_ms("2024-06-05T00:00:00.000Z")
_DEPOT = ((12.9, 52.0), (13.1, 52.0), (13.1, 52.1003), (12.9, 52.1003), (12.9, 52.0))
TERMS = Terms(
    WarehouseSettings(rates={"USD": 0.9}),
    FleetSettings(fuel_price=1.75),
    (Zone("depot", "Depot's yard", 45, (_DEPOT,)),),
)


def samples() -> list[Record]:
    """Of two trucks over four days: a worn brake, faults, a refuel, a theft, harsh braking, a hole, a leaking tyre."""
    found = [
        *drive("T1", START, SPEEDS),
        *drive("T1", "2024-06-03T12:00:00.000Z", [60] * 130, seq=60, fuel=99, odometer=1020),
        *drive("T1", "2024-06-04T12:00:00.000Z", [0] * 8, seq=200, fuel=40, odometer=1149.5),
        *drive("T2", START, SPEEDS, brakes="worn"),
    ]
    found[5]["since_last"] = {
        "seconds": 60,
        "moving_seconds": 20,
        "idle_seconds": 40,
        "fuel_l": 0.1,
        "harsh": [{"kind": "braking", "at": at(START, 295), "peak": 4.25}],
    }
    for sample in found[23 + 130 : 23 + 138]:
        sample["engine_diagnostics"]["engine_rpm"] = 0
    faults = [{"spn": 100, "fmi": 1, "count": 2, "source": 0}]
    for sample in found[-5:]:
        sample["vehicle_health_and_maintenance"]["active_faults"] = faults
    return found


def clicks() -> list[Record]:
    """Eighty-eight events of eleven visits; one of twelve has no session, and prices come in three currencies."""
    kinds = ("page_view", "page_view", "view", "add_to_cart", "purchase", "click", "search", "recommendation_view")
    found = []
    for n in range(88):
        kind = kinds[n % 8]
        found.append(
            {
                "event_id": f"e{n}",
                "event_type": kind,
                "timestamp": at(START, n * 240),
                "session_id": f"v{n // 8}" if n % 12 else None,
                "user_id": f"u{n // 16}",
                "customer_id": "C1" if n == 20 else None,
                "page": f"/{n % 3}",
                "item_id": f"I{n % 2}",
                "item_name": "Ä é ''",
                "price": 9.99,
                "currency": ("EUR", "USD", "XXX")[n % 3],
                "referrer_url": "https://www.google.com/",
                "utm_campaign": "june" if n % 5 == 0 else None,
                "search_term": "Schuhe" if kind == "search" else None,
                "search_results": n % 2 if kind == "search" else None,
                "engaged_seconds": 2.5,
                "scroll_percent": n,
                "recommendation_id": "r1" if kind in ("click", "recommendation_view") else None,
                "model_version": "m1",
                "placement": "cart",
            }
        )
    return found


def register(shop: Database) -> None:
    """A vehicle, a customer, two items of the catalogue, two services, and three orders in different states."""
    vehicle = {"truck_id": "T1", "tank_litres": 300, "service_every_km": 10, "valid_from": "2024-01-01T00:00:00Z"}
    Register(shop, VEHICLES).put(VEHICLES.read(vehicle), received_ms=RECEIVED)
    Register(shop, CUSTOMERS).put(CUSTOMERS.read({"customer_id": "C1", "country": "DE"}), received_ms=RECEIVED)
    for item in ("I0", "I9"):
        document = {"item_id": item, "name": f"Item {item}", "stock": 12, "category": "Shoes", "price": 9.5}
        Register(shop, ITEMS).put(ITEMS.read(document), received_ms=RECEIVED)
    for truck, item in (("T1", "service"), ("T2", "tyre_fl")):
        service = read_service(truck, {"item": item, "at": "2024-06-03T12:30:00.000Z"}, received_ms=RECEIVED)
        Register(shop, SERVICES).put(service, received_ms=RECEIVED)
    orders = Orders(shop)
    placed = timestamps.to_ms("2024-06-02T08:00:00.000Z")
    for n, kinds in enumerate((("packed", "loaded", "delivered"), ("packed", "loaded", "delivered", "returned"), ())):
        line = {"item_id": f"I{n}", "item_name": "Ä", "category": "Shoes", "price": 10.5, "quantity": 2}
        promised = timestamps.from_ms(placed + 3_600_000)
        document = order(f"o{n}", customer_id="C1", lines=[line], promised_at=promised, session_id="v3")
        orders.take_order({**document, "placed_at": timestamps.from_ms(placed)}, received_ms=placed, payload=b"{}")
        for step, kind in enumerate(kinds, 1):
            moment = placed + step * 1_800_000
            told = event(kind, at_ms=moment, **({"truck_id": "T1"} if kind == "loaded" else {}))
            orders.take_event(f"o{n}", told, received_ms=moment, payload=b"{}")


def plan(shop: Database) -> None:
    """T1 is to bring o0 and o1, o1 once more on the day after; a plan before that had only o2."""
    plans, made = Plans(shop), timestamps.to_ms("2024-06-02T07:00:00.000Z")
    first, second = ("2024-06-02T09:05:00.000Z", "2024-06-02T09:20:00.000Z"), ("2024-06-03T09:00:00.000Z",)
    for names, arrivals, km in ((("o2",), first[:1], 9.5), (("o0", "o1"), first, 31.5), (("o1",), second, 11.0)):
        stops = [
            {"stop_no": n, "order_id": name, "latitude": 52.1, "longitude": 13.0, "arrive_at": when, "leave_at": when}
            for n, (name, when) in enumerate(zip(names, arrivals, strict=True), 1)
        ]
        route = {"truck_id": "T1", "km": km, "hours": 1.5, "given_order_km": 40.0, "saved_litres": 2.5, "stops": stops}
        plans.save({"depot": {"latitude": 52.0, "longitude": 13.0}, "trucks": [route]}, made_ms=made)


def fill(fleet: Fleet) -> None:
    """All of it, and the lake built once."""
    fleet.take(samples())
    fleet.click(clicks())
    refused_and_registered(fleet)
    fleet.build()


def refused_and_registered(fleet: Fleet) -> None:
    """A sample that is refused, and what stands in the registers and orders."""
    fleet.take([{"truck_id": "T1", "vehicle_speed": "fast"}], received="2024-06-02T12:00:00.000Z")
    register(fleet.shop)
    plan(fleet.shop)


def marts() -> Iterator[tuple[str, list[str]]]:
    """Each mart's name and the columns that name a row."""
    for model in models("duckdb"):
        if model.name.startswith("marts."):
            yield model.name.removeprefix("marts."), model.grain


def rows_of(fleet: Fleet) -> dict[str, list[dict[str, Any]]]:
    """Mart → all rows, on DuckDB."""
    return {name: fleet.query(f"SELECT * FROM {name}") for name, _ in marts()}
