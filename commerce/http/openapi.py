"""The OpenAPI 3.1 document of the doors of orders, customers, items, vehicles, routes and recommendations.

`python -m commerce.http.openapi` rewrites openapi.json beside this module; a test fails when it drifts from this one,
when a route is missing in it, or when an answer does not fit its schema.
"""

import json
import sys
from pathlib import Path
from typing import Any

from commerce.orders.wire import EVENT_TYPES
from commerce.recommendations.serving import MOST
from contract import thresholds

FILE = Path(__file__).with_name("openapi.json")

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_ID: Schema = {"type": "string", "minLength": 1, "maxLength": 128}
_TRUCK: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_TIME_OR_DAY: Schema = {"type": "string", "description": "RFC 3339, or a day such as 2026-11-01: 00:00 UTC of it"}
_NUMBER: Schema = {"type": "number"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_TRUTH: Schema = {"type": "boolean"}
_MONEY: Schema = {"type": "string", "description": "Decimal text, such as 12.5", "pattern": r"^\d+(\.\d{1,4})?$"}
_PRICE: Schema = {"type": ["number", "string"], "description": '0 to 10^12 with at most 4 decimals: 12.5 or "12.50"'}
_CURRENCY: Schema = {"type": "string", "description": "ISO 4217, such as EUR"}
_STATES = ("waiting", *(kind for kind in EVENT_TYPES if kind != "paid"))


def _maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _all(schema: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": schema, **more}


def _object(_required: tuple[str, ...] | None = None, _open: bool = False, **properties: Schema) -> Schema:
    closed = {} if _open else {"additionalProperties": False}
    required = list(properties) if _required is None else list(_required)
    return {"type": "object", "properties": properties, "required": required, **closed}


def _sent(*required: str, **properties: Schema) -> Schema:
    """What a producer sends: what else it names is kept too, and any field but the required ones may be null."""
    read = {name: schema if name in required else _maybe(schema) for name, schema in properties.items()}
    return _object(required, _open=True, **read)


_WARNINGS: Schema = {
    "type": "object",
    "description": "field → why it was set to null; the rest of the document counts",
    "additionalProperties": _TEXT,
}
_ERROR = _object(("error",), _open=True, error=_TEXT, field=_maybe(_TEXT))
_LINE = _sent(
    "item_id", "price", item_id=_ID, price=_PRICE, quantity={**_COUNT, "minimum": 1}, item_name=_TEXT, category=_TEXT
)
_ORDER = _sent(
    "order_id",
    "currency",
    "lines",
    order_id=_ID,
    currency=_CURRENCY,
    lines=_all(_LINE, minItems=1, maxItems=1000),
    customer_id=_ID,
    session_id=_ID,
    shipping=_object((), _open=True, postcode=_TEXT, country=_TEXT, latitude=_NUMBER, longitude=_NUMBER),
    payment_method=_TEXT,
    promised_at=_TIME,
    placed_at=_TIME,
    total=_PRICE,
)
_EVENT = _sent("event_id", "type", event_id=_ID, type={"enum": list(EVENT_TYPES)}, at=_TIME, truck_id=_TRUCK)
_POSITION = _object(
    ("sampled_at", "latitude", "longitude"),
    _open=True,
    sampled_at=_TIME,
    latitude=_maybe(_NUMBER),
    longitude=_maybe(_NUMBER),
)
_ARRIVAL = _object(
    ("arrive_at", "earliest", "latest", "basis", "last_heard_at"),
    arrive_at=_TIME,
    earliest=_TIME,
    latest=_TIME,
    basis={"enum": ["plan and position", "plan", "position"]},
    last_heard_at=_maybe(_TIME),
    missing_samples=_maybe(_COUNT),
    stops_before=_maybe(_COUNT),
)
_TIMES: dict[str, Any] = {f"{kind}_at": _maybe(_TIME) for kind in EVENT_TYPES if kind != "paid"}
_STATE = _object(
    order_id=_ID,
    customer_id=_maybe(_ID),
    session_id=_maybe(_ID),
    state={"enum": list(_STATES)},
    paid_at=_maybe(_TIME),
    **_TIMES,
    promised_at=_maybe(_TIME),
    truck_id=_maybe(_TRUCK),
    currency=_maybe(_CURRENCY),
    total=_maybe(_MONEY),
    lines=_all({"type": "object"}),
    shipping=_maybe({"type": "object"}),
    payment_method=_maybe(_TEXT),
    out_of_sequence=_all(_object(event_id=_ID, type={"enum": list(EVENT_TYPES)}, at=_TIME)),
    conflicts=_all(_TEXT),
)
_WHOLE = _object(
    (*_STATE["required"], "position", "arrival"),
    **_STATE["properties"],
    position=_maybe(_POSITION),
    arrival=_maybe(_ARRIVAL),
    then=_object(at=_TIME, state=_maybe({"enum": list(_STATES)}), truck_id=_maybe(_TRUCK)),
)
_TRACKED = _object(
    order_id=_ID,
    state={"enum": list(_STATES)},
    **_TIMES,
    promised_at=_maybe(_TIME),
    arrival=_maybe(_ARRIVAL),
    position=_maybe(_POSITION),
)
_PROFILE = _sent(
    customer_id=_ID,
    email=_TEXT,
    email_hash=_TEXT,
    name=_TEXT,
    birth_year={"type": "integer", "minimum": 1880, "maximum": 2100},
    gender=_TEXT,
    country=_TEXT,
    postcode=_TEXT,
    language=_TEXT,
    loyalty_tier=_TEXT,
    loyalty_points=_COUNT,
    loyalty_since=_TIME_OR_DAY,
    marketing_consent=_TRUTH,
    segments=_all(_TEXT),
    created_at=_TIME_OR_DAY,
    valid_from=_TIME_OR_DAY,
)
_ITEM = _sent(
    item_id=_ID,
    item_name=_TEXT,
    category=_TEXT,
    price=_PRICE,
    currency=_CURRENCY,
    active=_TRUTH,
    stock=_COUNT,
    valid_from=_TIME_OR_DAY,
)
_VEHICLE = _sent(
    truck_id=_TRUCK,
    plate=_TEXT,
    name=_TEXT,
    group=_TEXT,
    fuel_type={"enum": ["diesel", "petrol", "gas", "electric", "hydrogen"]},
    **dict.fromkeys(("tank_litres", "capacity", "depot_latitude", "depot_longitude"), _NUMBER),
    **dict.fromkeys(("service_every_km", "last_service_km"), _NUMBER),
    last_service_at=_TIME_OR_DAY,
    driver_id=_ID,
    valid_from=_TIME_OR_DAY,
)
_SERVICE = _object(
    ("item",), item={"enum": list(thresholds.items())}, at=_maybe(_TIME_OR_DAY), odometer=_maybe(_NUMBER)
)
_VERSION = _object(
    subject_id=_ID,
    effective_start_date=_TIME,
    effective_end_date=_maybe(_TIME),
    is_current=_TRUTH,
    document={"type": "object"},
)
_CUSTOMER = _object(
    customer_id=_ID,
    profile=_maybe(_PROFILE),
    loyalty_tier=_maybe(_TEXT),
    segment={"enum": ["champion", "loyal", "new", "occasional", "at_risk", "lost", "prospect"]},
    rfm=_maybe({"type": "string", "pattern": "^[1-5]{3}$"}),
    recency_days=_maybe({"type": "integer"}),
    visits=_maybe(_object(users=_all(_TEXT), sessions=_COUNT, first_seen=_TIME, last_seen=_TIME)),
    versions=_all(_VERSION),
    orders=_all(_STATE, description="the newest 1,000"),
    order_count=_COUNT,
    revenue={"type": "object", "description": "by currency", "additionalProperties": _MONEY},
)
_RECOMMENDED = _object(("item_id",), item_id=_ID, item_name=_TEXT, category=_TEXT, price=_MONEY, currency=_CURRENCY)
_RECOMMENDATIONS = _object(model_version=_maybe(_TEXT), items=_all(_RECOMMENDED))
_ROUTE = _object(
    truck_id=_TRUCK,
    plan_id=_TEXT,
    day={"type": "string", "format": "date"},
    version=_COUNT,
    made_at=_TIME,
    depot=_object(latitude=_NUMBER, longitude=_NUMBER),
    km=_NUMBER,
    hours=_NUMBER,
    stops=_all(
        _object(
            ("stop_no", "order_id", "arrive_at", "leave_at", "done_at", "state"),
            _open=True,
            stop_no=_COUNT,
            order_id=_ID,
            arrive_at=_TIME,
            leave_at=_TIME,
            done_at=_maybe(_TIME),
            state=_maybe({"enum": list(_STATES)}),
        )
    ),
    next={"anyOf": [{"type": "string", "pattern": "^geo:"}, {"type": "null"}]},
)


def _receipt(id_name: str, *statuses: str) -> Schema:
    named: dict[str, Any] = {id_name: _ID}
    return _object(**named, status={"enum": list(statuses)}, warnings=_WARNINGS)


def _answer(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_ORDERED = _receipt("order_id", "accepted", "duplicate", "conflict")
_PLACED = {**_ORDERED, "properties": {**_ORDERED["properties"], "tracking_token": _TEXT}}
_SAID = _receipt("event_id", "accepted", "duplicate", "conflict", "waiting")
_SEEN = ("n", f"How many, 1 to {MOST}; 10 if left out", {"type": "integer", "minimum": 1, "maximum": MOST})

Operation = tuple[str, tuple[tuple[str, str, Schema], ...], Schema | None, dict[str, Schema]]
"""Summary, parameters of the query, body, answers."""


def _register(name: str, id_name: str, body: Schema, got: Schema) -> dict[str, Operation]:
    put = {
        "201": _answer("Kept", _receipt(id_name, "accepted")),
        "200": _answer("Says nothing new", _receipt(id_name, "duplicate")),
    }
    return {
        "put": (f"What holds of {name} from now on, or from valid_from", (), body, put),
        "get": (f"What holds of {name} now", (), None, {"200": _answer("It", got)}),
    }


PATHS: dict[str, dict[str, Operation]] = {
    "/v1/orders": {
        "post": (
            "Place an order",
            (),
            _ORDER,
            {
                "201": _answer("New; with the tracking token, given this once", _PLACED),
                "200": _answer("Known, or another content has this order_id: both are kept", _ORDERED),
            },
        )
    },
    "/v1/orders/{order_id}/events": {
        "post": (
            "Say what happened to an order, also before it has come; `loaded` needs a truck_id",
            (),
            _EVENT,
            {
                "201": _answer("New", _SAID),
                "200": _answer("Known, or another content has this event_id: both are kept", _SAID),
                "202": _answer("New, and waits for its order", _SAID),
            },
        )
    },
    "/v1/orders/{order_id}": {
        "get": (
            "Where an order is: whole with a key, less with its tracking token as Bearer",
            (("at", "The truck's position at a past instant, with a key", _TIME),),
            None,
            {"200": _answer("The order", {"anyOf": [_WHOLE, _TRACKED]})},
        )
    },
    "/v1/customers/{subject_id}": _register("a customer", "customer_id", _PROFILE, _CUSTOMER),
    "/v1/items/{subject_id}": _register("an item", "item_id", _ITEM, _ITEM),
    "/v1/items": {"get": ("The catalogue", (), None, {"200": _answer("Every item", _all(_ITEM))})},
    "/v1/vehicles/{subject_id}": _register("a vehicle", "truck_id", _VEHICLE, _VEHICLE),
    "/v1/vehicles": {"get": ("The vehicles", (), None, {"200": _answer("Every vehicle", _all(_VEHICLE))})},
    "/v1/vehicles/{subject_id}/services": {
        "post": (
            "Record a service",
            (),
            _SERVICE,
            {
                "201": _answer("Kept", _receipt("service_id", "accepted")),
                "200": _answer("Known", _receipt("service_id", "duplicate")),
            },
        )
    },
    "/v1/trucks/{truck_id}/route": {
        "get": (
            "A driver's stops in the plan in force",
            (("at", "Of a past or later day", _TIME), ("format", "json or gpx", {"enum": ["json", "gpx"]})),
            None,
            {"200": _answer("The stops; as application/gpx+xml where it is asked for", _ROUTE)},
        )
    },
    "/v1/recommendations": {
        "get": (
            "Items for somebody who has just looked at some; by session or customer with a key, else for everybody",
            (
                ("items", "item_ids, the newest last, with commas between", _TEXT),
                ("item_id", "The same", _TEXT),
                ("session_id", "By what a session looked at", _TEXT),
                ("customer_id", "By what a customer looked at lately, without what was bought lately", _TEXT),
                _SEEN,
            ),
            None,
            {"200": _answer("The best first; none, and no version, before a model was trained", _RECOMMENDATIONS)},
        )
    },
    "/ping": {"get": ("SageMaker's health check", (), None, {"200": {"description": "A model is there"}})},
    "/invocations": {
        "post": (
            "SageMaker's inference: the same by id alone",
            (),
            _object((), items=_all(_ID), n=_SEEN[2]),
            {"200": _answer("The best first", _object(model_version=_maybe(_TEXT), items=_all(_ID)))},
        )
    },
}
_PUBLIC = ("/ping",)
_REFUSALS = {
    "400": "Not JSON",
    "401": "No key that is known",
    "403": "No keys are set, and this is not the machine itself",
    "404": "Not known, or no right to see it",
    "413": "Over 1 MB",
    "422": "It cannot be taken: field and error say why, and it is kept to be mended (`milepost orders refused`)",
    "429": "Too many refused requests from this address",
    "503": "Try again after Retry-After seconds; nothing was kept",
}


def document() -> Schema:
    """The document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Milepost orders, customers, catalogue, routes and recommendations", "version": "1"},
        "paths": {
            path: {method: _operation(path, *operation) for method, operation in operations.items()}
            for path, operations in PATHS.items()
        },
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}, {}],
    }


def _operation(
    path: str,
    summary: str,
    query: tuple[tuple[str, str, Schema], ...],
    body: Schema | None,
    answers: dict[str, Schema],
) -> Schema:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    places = [{"name": name, "in": "path", "required": True, "schema": _ID} for name in names]
    asked = [{"name": name, "in": "query", "description": text, "schema": schema} for name, text, schema in query]
    refused = {"$ref": "#/components/schemas/Error"}
    refusals = {} if path in _PUBLIC else {code: _answer(text, refused) for code, text in _REFUSALS.items()}
    found: Schema = {"summary": summary, "parameters": [*places, *asked], "responses": {**answers, **refusals}}
    if body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return found


if __name__ == "__main__":
    FILE.write_text(json.dumps(document(), indent=1) + "\n", "utf-8")
    sys.stdout.write(f"{FILE} written\n")
