"""The OpenAPI document says what the doors do: every route is in it, and every answer fits it."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from commerce.http import openapi
from commerce.http.access import KeyedAccess
from commerce.http.orders import OrderDoors
from commerce.http.recommendations import RecommendationDoors
from commerce.http.registers import RegisterDoors
from commerce.http.truck_routes import TruckRouteDoors
from commerce.orders.service import Orders
from commerce.recommendations.artefact import save
from commerce.recommendations.serving import Recommendations
from commerce.registers.documents import CUSTOMERS, ITEMS, SERVICES, VALID_FROM, VEHICLES, Kind
from commerce.routes.plans import Plans
from commerce.storage.database import open_database
from tests.commerce.conftest import KEY
from tests.commerce.examples import NOW_MS, event, order
from tests.commerce.test_plans import a_plan

PLACE = {"sampled_at": "2026-09-21T14:00:00.000Z", "latitude": 52.51, "longitude": 13.37, "altitude": None, "speed": 3}


@pytest.fixture
def app(tmp_path: Path) -> Starlette:
    """Every door of commerce."""
    database = open_database(f"sqlite:///{tmp_path}/commerce.db")
    access, plans = KeyedAccess({"a-key-of-the-warehouse": "warehouse"}), Plans(database)
    save(tmp_path / "models", [["MOB001", "ACC004"]] * 3, {}, trained_at="2026-01-01T00:00:00.000Z")
    served = Recommendations(tmp_path / "models", catalogue=lambda: [{"item_id": "ACC004", "price": "9.9"}])
    plans.save(a_plan("A-1", "A-2", truck_id="TRUCK-001"), made_ms=NOW_MS)
    doors = [
        *OrderDoors(Orders(database), access, locate=lambda *_: PLACE, plans=plans).routes,
        *RegisterDoors(database, access).routes,
        *TruckRouteDoors(plans, access).routes,
        *RecommendationDoors(served, access, seen_by=lambda _: []).routes,
    ]
    return Starlette(routes=doors)


def test_the_document_is_the_checked_in_one() -> None:
    assert json.loads(openapi.FILE.read_text()) == openapi.document(), "run `python -m commerce.http.openapi`"


def test_every_route_is_in_it_and_no_other(app: Starlette) -> None:
    routes = {(route.path.replace(":path}", "}"), *(route.methods - {"HEAD"})) for route in app.routes}  # type: ignore[attr-defined]
    described = {
        (path, method.upper()) for path, operations in openapi.document()["paths"].items() for method in operations
    }
    assert routes == described


SENT: tuple[tuple[str, str, str, Any, int], ...] = (
    ("POST", "/v1/orders", "/v1/orders", order(), 201),
    ("POST", "/v1/orders", "/v1/orders", order(), 200),
    ("POST", "/v1/orders", "/v1/orders", order("A-2", total="1"), 201),
    ("POST", "/v1/orders", "/v1/orders", order("A-3", currency="x"), 422),
    ("POST", "/v1/orders/{order_id}/events", "/v1/orders/A-1/events", event("loaded"), 201),
    ("POST", "/v1/orders/{order_id}/events", "/v1/orders/A-1/events", event("loaded"), 200),
    ("POST", "/v1/orders/{order_id}/events", "/v1/orders/A-9/events", event("packed"), 202),
    ("GET", "/v1/orders/{order_id}", "/v1/orders/A-1", None, 200),
    ("GET", "/v1/orders/{order_id}", "/v1/orders/A-9", None, 200),
    ("GET", "/v1/orders/{order_id}", "/v1/orders/A-1?at=2026-09-21T14:00Z", None, 200),
    ("GET", "/v1/orders/{order_id}", "/v1/orders/none", None, 404),
    ("PUT", "/v1/customers/{subject_id}", "/v1/customers/C-1", {"name": "Jane", "segments": ["a"]}, 201),
    ("PUT", "/v1/customers/{subject_id}", "/v1/customers/C-1", {"name": "Jane", "segments": ["a"]}, 200),
    ("GET", "/v1/customers/{subject_id}", "/v1/customers/C-1", None, 200),
    ("PUT", "/v1/items/{subject_id}", "/v1/items/MOB001", {"price": "9.90", "stock": "many"}, 201),
    ("GET", "/v1/items/{subject_id}", "/v1/items/MOB001", None, 200),
    ("GET", "/v1/items", "/v1/items", None, 200),
    ("PUT", "/v1/vehicles/{subject_id}", "/v1/vehicles/TRUCK-001", {"tank_litres": 80}, 201),
    ("GET", "/v1/vehicles/{subject_id}", "/v1/vehicles/TRUCK-001", None, 200),
    ("GET", "/v1/vehicles", "/v1/vehicles", None, 200),
    ("POST", "/v1/vehicles/{subject_id}/services", "/v1/vehicles/TRUCK-001/services", {"item": "battery"}, 201),
    ("GET", "/v1/trucks/{truck_id}/route", "/v1/trucks/TRUCK-001/route?at=2026-11-30T12:00Z", None, 200),
    ("GET", "/v1/recommendations", "/v1/recommendations?items=MOB001", None, 200),
    ("POST", "/invocations", "/invocations", {"items": ["MOB001"]}, 200),
)


def test_every_answer_fits_the_document(app: Starlette) -> None:
    document = openapi.document()
    client = TestClient(app, headers=KEY)
    for method, path, address, body, status in SENT:
        operation = document["paths"][path][method.lower()]
        answer = client.request(method, address, json=body)
        assert answer.status_code == status, (address, answer.text)
        schema = operation["responses"][str(status)]["content"]["application/json"]["schema"]
        jsonschema.validate(answer.json(), {**schema, "components": document["components"]})
        if body is not None and status < 400 and "many" not in str(body):
            jsonschema.validate(body, operation["requestBody"]["content"]["application/json"]["schema"])
    token = client.post("/v1/orders", json=order("A-5")).json()["tracking_token"]
    seen = client.get("/v1/orders/A-5", headers={"authorization": f"Bearer {token}"}).json()
    schema = document["paths"]["/v1/orders/{order_id}"]["get"]["responses"]["200"]["content"]["application/json"][
        "schema"
    ]
    jsonschema.validate(seen, schema["anyOf"][1])


@pytest.mark.parametrize(
    ("kind", "path", "method", "own"),
    [
        (CUSTOMERS, "/v1/customers/{subject_id}", "put", {"customer_id", VALID_FROM}),
        (ITEMS, "/v1/items/{subject_id}", "put", {"item_id", VALID_FROM}),
        (VEHICLES, "/v1/vehicles/{subject_id}", "put", {"truck_id", VALID_FROM}),
    ],
)
def test_every_field_of_a_register_is_in_it(kind: Kind, path: str, method: str, own: set[str]) -> None:
    body = openapi.document()["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["properties"]) == {*kind.fields, *own}


def test_the_fields_of_a_service_are_in_it() -> None:
    body = openapi.document()["paths"]["/v1/vehicles/{subject_id}/services"]["post"]["requestBody"]
    assert set(body["content"]["application/json"]["schema"]["properties"]) == set(SERVICES.fields) - {"truck_id"}
