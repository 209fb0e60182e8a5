"""Orders on each database: SQLite in a file, and a real PostgreSQL."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from commerce.http.access import KeyedAccess
from commerce.http.orders import OrderDoors
from commerce.http.registers import RegisterDoors
from commerce.http.truck_routes import TruckRouteDoors
from commerce.orders.service import Orders
from commerce.routes.plans import Plans
from commerce.storage.database import Database, open_database
from tests import postgresql

KEY = {"authorization": "Bearer a-key-of-the-warehouse"}


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """One cluster for all tests of this room."""
    with postgresql.cluster() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Gives the URL of another empty database with each call."""

    def make() -> str:
        name = f"orders_{uuid.uuid4().hex}"
        if request.param == "sqlite":
            return f"sqlite:///{tmp_path / name}.db"
        return postgresql.database(request.getfixturevalue("postgresql_url"), name)

    return make


@pytest.fixture
def database(new_url: Callable[[], str]) -> Iterator[Database]:
    """An empty database of this test's own."""
    opened = open_database(new_url())
    yield opened
    opened.close()


@pytest.fixture
def orders(database: Database) -> Orders:
    """The log of orders in it."""
    return Orders(database)


@pytest.fixture
def client(database: Database) -> TestClient:
    """Every door of commerce but recommendations; an exception in one of them is raised in the test."""
    access, plans = KeyedAccess({"a-key-of-the-warehouse": "warehouse"}), Plans(database)
    orders = Orders(database, knows_truck=lambda truck_id: truck_id == "TRUCK-001")
    doors = [
        *OrderDoors(orders, access, locate=lambda *_: None, plans=plans).routes,
        *RegisterDoors(database, access).routes,
        *TruckRouteDoors(plans, access).routes,
    ]
    return TestClient(Starlette(routes=doors), headers=KEY)
