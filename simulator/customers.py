"""What the virtual shop knows of its shoppers, its goods and its trucks: the documents that it puts into the registers.

Everything but the moment of registration follows from the number and the seed, so that a shop that is started again
registers the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from contract import timestamps
from contract.codec import Json
from simulator.catalogue import ITEMS
from simulator.people import person
from simulator.routes import all_routes
from simulator.vehicle import TANK_L

CURRENCY = "EUR"
SINCE = "2026-01-01T00:00:00.000Z"
"""From when the catalogue and the fleet hold: before any simulated moment."""

_TIERS = ((8, "gold"), (3, "silver"), (0, "bronze"))  # orders from which a tier is reached
_CAPACITY = 60


@dataclass(frozen=True, slots=True)
class ShopAccount:
    """One shopper's account."""

    customer_id: str
    name: str
    email: str
    country: str
    birth_year: int
    marketing_consent: bool

    def profile(self, orders: int, since: datetime) -> dict[str, Json]:
        """The document of `PUT /v1/customers/{id}` after so many orders, in force from a moment."""
        return {
            "customer_id": self.customer_id,
            "name": self.name,
            "email": self.email,
            "country": self.country,
            "birth_year": self.birth_year,
            "language": self.country.lower(),
            "marketing_consent": self.marketing_consent,
            "loyalty_tier": tier(orders),
            "valid_from": timestamps.from_datetime(since),
        }


def account(number: int, seed: int) -> ShopAccount:
    """The account of a shopper by its number (from 1)."""
    dice = Random(f"{seed}:account:{number}")
    known = person(number, seed)
    return ShopAccount(
        customer_id=f"customer-{number:03}",
        name=known.name,
        email=known.email,
        country=known.country,
        birth_year=dice.randint(1950, 2006),
        marketing_consent=dice.random() < 0.6,
    )


def tier(orders: int) -> str:
    """The loyalty tier after so many orders."""
    return next(name for least, name in _TIERS if orders >= least)


def item_documents(seed: int) -> Iterator[dict[str, Json]]:
    """The catalogue, a document of `PUT /v1/items/{id}` for each article; one in twelve is sold out."""
    for item in ITEMS:
        dice = Random(f"{seed}:stock:{item.item_id}")
        yield {
            "item_id": item.item_id,
            "item_name": item.name,
            "category": item.category,
            "price": item.price,
            "currency": CURRENCY,
            "active": True,
            "stock": 0 if dice.random() < 1 / 12 else dice.randint(5, 400),
            "valid_from": SINCE,
        }


def vehicle_documents(truck_ids: Sequence[str], seed: int) -> Iterator[dict[str, Json]]:
    """The fleet, a document of `PUT /v1/vehicles/{id}` for each truck."""
    latitude, longitude, _ = all_routes()[0].points[0]
    for number, truck_id in enumerate(truck_ids, start=1):
        dice = Random(f"{seed}:register:{truck_id}")
        yield {
            "truck_id": truck_id,
            "plate": f"M-MP {1000 + number}",
            "group": "north" if number % 2 else "south",
            "fuel_type": "diesel",
            "tank_litres": TANK_L,
            "capacity": _CAPACITY,
            "depot_latitude": latitude,
            "depot_longitude": longitude,
            "service_every_km": 30_000,
            "last_service_km": dice.randrange(0, 150_000, 1000),
            "driver_id": f"driver-{number:03}",
            "valid_from": SINCE,
        }
