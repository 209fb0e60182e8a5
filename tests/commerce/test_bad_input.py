"""Whatever is sent to any door is answered by its fault or taken whole: no error of ours, nothing counted twice."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from commerce.orders.service import Orders
from commerce.queries import order_list
from commerce.storage.database import Database, open_database
from commerce.storage.dead_letters import dead_letter_rows
from contract import timestamps
from tests.budget import budget
from tests.commerce.examples import NOW_MS, event, order

YEAR_MS = 365 * 86_400_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = open_database(f"sqlite:///{tmp_path}/commerce.db")
    yield found
    found.close()


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["EUR", "2026-01-01", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "TRUCK-001", "x" * 3000]),
    st.just("\ud800"),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    "order_id", "customer_id", "currency", "lines", "shipping", "payment_method", "promised_at", "placed_at", "total",
    "event_id", "type", "at", "truck_id", "item_id", "price", "stock", "email", "birth_year", "loyalty_tier",
    "valid_from", "tank_litres", "segments",
)  # fmt: skip
documents = st.one_of(
    values,
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=6),
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=3).map(lambda more: {**order(), **more}),
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=3).map(lambda more: {**event("loaded"), **more}),
    st.lists(st.dictionaries(st.sampled_from(["item_id", "price", "quantity"]), values), max_size=3).map(
        lambda lines: order(lines=lines)
    ),
)
doors = st.sampled_from(
    [
        ("POST", "/v1/orders"),
        ("POST", "/v1/orders/A-1/events"),
        ("PUT", "/v1/customers/C-1"),
        ("PUT", "/v1/items/MOB001"),
        ("PUT", "/v1/vehicles/TRUCK-001"),
    ]
)


@budget(60, 1500)
def test_every_door_answers_everything(client: TestClient, database: Database, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(doors, documents)
    def check(door: tuple[str, str], document: Any) -> None:
        method, path = door
        body = json.dumps(document).encode("utf-8", "surrogatepass")
        answer = client.request(method, path, content=body)
        assert answer.status_code in (200, 201, 202, 400, 422), answer.text
        if answer.status_code >= 400:
            assert answer.json()["error"]
        for state in order_list(database, most=3):
            assert client.get("/v1/orders/" + state["order_id"].replace("/", "%2F")).status_code in (200, 404)

    check()
    assert Orders(database).recompute() == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"order_id": NaN}',
        b'"\\ud800"',
        b"[" * 5000 + b"]" * 5000,
        b'{"a":' + b"9" * 5000 + b"}",
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize("path", ["/v1/orders", "/v1/orders/A-1/events"])
def test_what_is_no_json_is_answered(client: TestClient, path: str, body: bytes) -> None:
    assert client.post(path, content=body).status_code in (400, 422)


NUMBERS = ("1" * 5000, "0." + "1" * 5000, "1e400", "1e40", "1e" + "9" * 30, "NaN", "-Infinity", "1" * 41 + ".0")
OPTIONAL = (
    ("PUT", "/v1/items/MOB001", '{"price":%s}', "price"),
    ("PUT", "/v1/customers/C-1", '{"more":{"of":[0,%s]}}', "more.of.1"),
    ("PUT", "/v1/vehicles/TRUCK-001", '{"capacity":%s}', "capacity"),
    ("POST", "/v1/orders/A-1/events", '{"event_id":"E","type":"paid","fee":%s}', "fee"),
)


@pytest.mark.parametrize("place", OPTIONAL)
def test_a_number_out_of_all_bounds_costs_its_own_field(
    client: TestClient, database: Database, place: tuple[str, str, str, str]
) -> None:
    """A few bytes of it may be a megabyte in full; `sNaN` is no number in JSON."""
    method, path, body, field = place
    for number in NUMBERS:
        answer = client.request(method, path, content=(body % number).encode())
        assert answer.status_code in (200, 201, 202), number[:9]
        assert "send null or text" in answer.json()["warnings"][field]
    assert list(dead_letter_rows(database)) == []
    assert client.request(method, path, content=(body % "sNaN").encode()).status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/orders", '{"order_id":"A-1","currency":"EUR","lines":[{"item_id":"M","price":%s}]}', "lines.0.price"),
        ("/v1/vehicles/TRUCK-001/services", '{"item":"battery","odometer":%s}', "odometer"),
    ],
)
def test_what_cannot_do_without_such_a_number_is_refused(
    client: TestClient, database: Database, path: str, body: str, field: str
) -> None:
    for number in NUMBERS:
        answer = client.post(path, content=(body % number).encode())
        assert (answer.status_code, answer.json()["field"]) == (422, field), number[:9]
    assert [letter["field"] for letter in dead_letter_rows(database)] == [field] * len(NUMBERS)


def test_a_document_of_such_numbers_is_refused(client: TestClient) -> None:
    """It would have a warning for each."""
    answer = client.put("/v1/items/MOB001", content=b'{"more":[%s]}' % b",".join([b"1e400"] * 1000))
    assert (answer.status_code, answer.json()["field"]) == (422, "more.100")


@pytest.mark.parametrize("text", ["sNaN", "NaN", "Infinity", "1" * 5000, "1e400"])
def test_what_is_no_amount_as_text_is_named(client: TestClient, text: str) -> None:
    kept = client.put("/v1/items/MOB001", json={"price": text})
    assert (kept.status_code, list(kept.json()["warnings"])) == (201, ["price"])
    refused = client.post("/v1/orders", json=order(lines=[{"item_id": "M", "price": text}]))
    assert (refused.status_code, refused.json()["field"]) == (422, "lines.0.price")


def test_a_truck_that_does_not_exist_is_kept_and_said(client: TestClient) -> None:
    client.post("/v1/orders", json=order())
    answer = client.post("/v1/orders/A-1/events", json=event("loaded", truck_id="TRUCK-999"))
    assert (answer.status_code, list(answer.json()["warnings"])) == (201, ["truck_id"])
    found = client.get("/v1/orders/A-1").json()
    assert (found["state"], found["position"], found["arrival"]) == ("loaded", None, None)
    assert client.get("/v1/trucks/TRUCK-999/route").status_code == 404
    assert client.get("/v1/trucks/.../route").status_code == 422


def test_a_wrong_total_costs_no_sale_and_an_unknown_currency_is_kept_to_be_mended(
    client: TestClient, database: Database
) -> None:
    assert list(client.post("/v1/orders", json=order(total="1.00")).json()["warnings"]) == ["total"]
    refused = client.post("/v1/orders", json=order("A-2", currency="EURO"))
    assert (refused.status_code, refused.json()["field"]) == (422, "currency")
    (letter,) = dead_letter_rows(database)
    assert json.loads(letter["payload"])["order_id"] == "A-2"


def test_a_year_that_is_replayed_changes_nothing(client: TestClient, database: Database) -> None:
    """Each order of a year and all its events once more, in the opposite order."""
    sent: list[tuple[str, dict[str, Any]]] = []
    for number in range(60):
        name, at_ms = f"Y-{number}", NOW_MS - YEAR_MS + number * YEAR_MS // 60
        sent.append(("/v1/orders", order(name, placed_at=timestamps.from_ms(at_ms))))
        for step, kind in enumerate(("paid", "packed", "loaded", "delivered"), start=1):
            said = event(kind, at_ms=at_ms + step * 3_600_000)
            sent.append((f"/v1/orders/{name}/events", said))
    assert {client.post(path, json=body).status_code for path, body in sent} == {201}
    before = order_list(database, most=1000)
    assert {state["state"] for state in before} == {"delivered"}
    answers = [client.post(path, json=body) for path, body in reversed(sent)]
    assert {(answer.status_code, answer.json()["status"]) for answer in answers} == {(200, "duplicate")}
    assert order_list(database, most=1000) == before


@pytest.mark.parametrize(
    ("method", "path", "source"),
    [
        ("POST", "/v1/orders", "http:orders"),
        ("POST", "/v1/orders/O-1/events", "http:order-events"),
        ("PUT", "/v1/items/A", "http:item"),
        ("POST", "/v1/vehicles/T1/services", "http:service"),
    ],
)
def test_what_is_no_json_is_kept_and_the_answer_says_where_it_breaks_off(
    client: TestClient, database: Database, method: str, path: str, source: str
) -> None:
    """But for what may be card data: a number, or a field that is named so."""
    answer = client.request(method, path, content=b'{"order_id": "O-1",\n "lines": [}')
    assert answer.status_code == 400
    assert "at line 2, column 12: send one JSON document" in answer.json()["error"]
    for text in (b'{"order_id": "O-1", "cvv": 123', b'{"note": "4111 1111 1111 1111"', b""):
        assert client.request(method, path, content=text).status_code == 400
    letters = [(letter["source"], letter["payload"], letter["times"]) for letter in dead_letter_rows(database)]
    assert letters == [(source, '{"order_id": "O-1",\n "lines": [}', 1), (source, "", 2)]
