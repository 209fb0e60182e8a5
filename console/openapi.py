"""The OpenAPI 3.1 document of the console's read API.

`python -m console.openapi` rewrites openapi.json beside this module; a test fails when it drifts from this one, when a
route is missing in it, or when an answer does not fit its schema.
"""

import json
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("openapi.json")

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_NUMBER: Schema = {"type": "number"}
_COUNT: Schema = {"type": "integer"}
_RANGES: Schema = {"type": "array", "items": {"type": "array", "items": _COUNT, "minItems": 2, "maxItems": 2}}


def _maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _all(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _object(_open: bool = False, **properties: Schema) -> Schema:
    closed = {} if _open else {"additionalProperties": False}
    return {"type": "object", "properties": properties, "required": list(properties), **closed}


_FLEET_ROW = _object(
    truck_id=_TEXT,
    state={"enum": ["moving", "idle", "stopped", "silent"]},
    sampled_at=_TIME,
    received_at=_TIME,
    latitude=_maybe(_NUMBER),
    longitude=_maybe(_NUMBER),
    speed_kmh=_maybe(_NUMBER),
    fuel_level=_maybe(_NUMBER),
    faults=_maybe(_COUNT),
    attention=_maybe(_TEXT),
)
_SAMPLE = {"type": "object", "description": "A sample as docs/wire.md describes it, whole, with received_at."}
_VERSION = _object(
    _open=True,
    truck_id=_TEXT,
    effective_start_date=_TIME,
    effective_end_date=_maybe(_TIME),
    is_current={"type": "boolean"},
    load_timestamp=_TIME,
    sample=_SAMPLE,
)
_STREAM = _object(_open=True, truck_id=_TEXT, stream_id=_maybe(_TEXT), received=_COUNT, holes=_RANGES, late=_RANGES)
_LETTER = _object(id=_TEXT, received_at=_TIME, source=_TEXT, reason=_TEXT, field=_maybe(_TEXT), payload={})
_ALERT = _object(
    id=_TEXT,
    rule=_TEXT,
    title=_TEXT,
    severity={"enum": ["info", "warning", "critical"]},
    subject=_TEXT,
    start=_TIME,
    end=_maybe(_TIME),
    evidence=_TEXT,
    kind=_TEXT,
    name=_TEXT,
    samples=_all({"type": "array", "prefixItems": [_TIME, _TEXT]}),
    acknowledged=_maybe(_object(at=_TIME, by=_TEXT, note=_TEXT)),
)
_STOP = _object(
    _open=True,
    stop_no=_COUNT,
    order_id=_TEXT,
    latitude=_NUMBER,
    longitude=_NUMBER,
    arrive_at=_TIME,
    leave_at=_TIME,
    state=_maybe(_TEXT),
    done_at=_maybe(_TIME),
    late_min=_maybe(_NUMBER),
)
_ROUTE = _object(_open=True, truck_id=_TEXT, km=_NUMBER, stops=_all(_STOP))
_COUNTS = _all({"type": "object"})
_CHANGES = _object(cursor=_TEXT, whole={"type": "boolean"}, trucks=_all(_FLEET_ROW))

_AT = ("at", "A past instant, RFC 3339; for operators only", _TIME)
_KNOWN_AT = ("known_at", "As it was known then", _TIME)
_PERIOD = (("from", "RFC 3339", _TIME), ("to", "RFC 3339", _TIME))
_FORMAT = ("format", "A file instead: csv or xlsx; of stops and of a track also gpx or kml", _TEXT)
_FILTERS = tuple(
    (name, f"Only sessions that have this {name}", _TEXT)
    for name in ("page", "source", "campaign", "device", "country", "item")
)
_TOTALS = _object(events=_COUNT, sessions=_COUNT, purchases=_COUNT, conversion=_maybe(_NUMBER))
_PAGE = (("from", "Where the page begins", _COUNT), ("limit", "How many, up to 500", _COUNT))

Path_ = tuple[str, str, tuple[tuple[str, str, Schema], ...], Schema | None]
_GETS: dict[str, Path_] = {
    "/api/v1/fleet": (
        "viewer",
        "Every truck, now or at an instant",
        (_AT, _KNOWN_AT),
        {
            "oneOf": [
                _object(cursor=_TEXT, live={"const": True}, trucks=_all(_FLEET_ROW)),
                _object(at=_TIME, live={"const": False}, trucks=_all(_FLEET_ROW)),
            ]
        },
    ),
    "/api/v1/changes": (
        "viewer",
        "The trucks that changed after a cursor",
        (("since", "The cursor of /fleet or of an earlier answer; all trucks without one", _TEXT),),
        _CHANGES,
    ),
    "/api/v1/map": (
        "viewer",
        "What maps show beside trucks: zones, and where streets come from",
        (),
        _object(
            streets=_maybe(_TEXT),
            attribution=_TEXT,
            zones=_all(_object(id=_TEXT, name=_TEXT, speed_limit_kmh=_maybe(_NUMBER), rings=_all(_all(_all(_NUMBER))))),
            zones_editable={"type": "boolean"},
        ),
    ),
    "/api/v1/vehicles": (
        "viewer",
        "The trucks that the register knows: how they are called, their group and their depot",
        (),
        _all(
            _object(truck_id=_TEXT, plate=_maybe(_TEXT), name=_maybe(_TEXT), group=_maybe(_TEXT), depot=_maybe(_TEXT))
        ),
    ),
    "/api/v1/fault-texts": (
        "viewer",
        "What fault codes say in words",
        (("codes", "SPN/FMI, several separated by commas", _TEXT),),
        {"type": "object", "additionalProperties": _TEXT},
    ),
    "/api/v1/plans": (
        "operator",
        "The route plans that were saved, newest day and version first",
        (),
        _all(_object(plan_id=_TEXT, day=_TEXT, version=_COUNT, made_at=_TIME, in_force={"type": "boolean"})),
    ),
    "/api/v1/plans/{plan_id}": (
        "operator",
        "A route plan, or by its day the one in force, with what became of each stop",
        (),
        _object(_open=True, plan_id=_TEXT, day=_TEXT, version=_COUNT, depot={"type": "object"}, trucks=_all(_ROUTE)),
    ),
    "/api/v1/events": (
        "viewer",
        "The same as server-sent events, one a second at most; at most 64 streams, then 503",
        (("since", "As for /changes; Last-Event-ID goes before it", _TEXT),),
        None,
    ),
    "/api/v1/trucks/{truck_id}": (
        "viewer",
        "A truck's newest sample, current version and completeness, and the words of a status that asks for service",
        (),
        _object(
            truck_id=_TEXT,
            latest=_SAMPLE,
            current=_VERSION,
            completeness=_all(_STREAM),
            service_words=_object(brakes=_all(_TEXT), transmission=_all(_TEXT)),
        ),
    ),
    "/api/v1/trucks/{truck_id}/signals": (
        "operator",
        "A truck's samples over a period, thinned to 2,000; the last six hours without one",
        (*_PERIOD, _FORMAT),
        _all(_SAMPLE),
    ),
    "/api/v1/trucks/{truck_id}/history": (
        "operator",
        "A truck's versions, as `milepost history` shows them; the newest 500",
        (_AT, _KNOWN_AT),
        _object(versions=_all(_VERSION), retained_from=_maybe(_TIME)),
    ),
    **{
        f"/api/v1/trucks/{{truck_id}}/{table}": (
            "operator",
            f"A truck's {table} of the last 30 days, or of a period, as docs/metrics.md has their columns",
            (*_PERIOD, _FORMAT),
            _all({"type": "object"}),
        )
        for table in ("trips", "stops", "fuel")
    },
    "/api/v1/trucks/{truck_id}/track": (
        "operator",
        "Where a truck was in the last six hours, or in a period, as a file: GPX, or another format",
        (*_PERIOD, _FORMAT),
        None,
    ),
    "/api/v1/shop": (
        "viewer",
        "Events by item, funnel, minute and session",
        (),
        _object(item=_COUNTS, funnel=_COUNTS, minute=_COUNTS, session=_COUNTS),
    ),
    "/api/v1/shop/period": (
        "viewer",
        "The shop in the last day, or in a period, beside the one before it",
        (*_PERIOD, *_FILTERS, ("by", "What it is broken down by: one of the filters' names", _TEXT)),
        _object(
            _open=False,
            **{"from": _TIME, "to": _TIME},
            complete_from=_maybe(_TIME),
            now=_TOTALS,
            before=_TOTALS,
            by=_all(_object(value=_maybe(_TEXT), events=_COUNT, sessions=_COUNT, purchases=_COUNT, before=_COUNT)),
            points=_all({"type": "array", "prefixItems": [_TIME, _COUNT, _COUNT]}),
        ),
    ),
    "/api/v1/shop/newest": (
        "viewer",
        "The shop's events that came last, with the fields that were refused, and the events that were",
        (_PAGE[1],),
        _object(events=_COUNTS, refused=_all(_LETTER)),
    ),
    "/api/v1/funnel": (
        "viewer",
        "A funnel of the sessions of the last day, or of a period",
        (("steps", "Two to six event types, separated by commas", _TEXT), *_PERIOD, *_FILTERS),
        _all(_object(step=_TEXT, sessions=_COUNT, share=_maybe(_NUMBER))),
    ),
    "/api/v1/sessions/{session_id}": (
        "operator",
        "What a session did, in order",
        (_FORMAT,),
        _all(
            _object(
                timestamp=_TIME,
                event_type=_TEXT,
                page=_maybe(_TEXT),
                item_id=_maybe(_TEXT),
                item_name=_maybe(_TEXT),
                count=_COUNT,
            )
        ),
    ),
    "/api/v1/orders": ("viewer", "The newest 500 orders", (_FORMAT,), _all({"type": "object"})),
    "/api/v1/alerts": (
        "viewer",
        "Alerts: those that go on, then the others, newest first",
        (*_PAGE, _FORMAT),
        _object(alerts=_all(_ALERT), next=_maybe(_COUNT)),
    ),
    "/api/v1/pipeline": (
        "viewer",
        "Completeness, what was refused, and figures of the service",
        (),
        _object(
            lost=_COUNT, trucks=_all(_STREAM), dead_letters=_all(_LETTER), refused=_COUNT, health={"type": "object"}
        ),
    ),
    "/api/v1/dead-letters": (
        "viewer",
        "What was refused, newest first",
        (*_PAGE, _FORMAT),
        _object(dead_letters=_all(_LETTER), next=_maybe(_COUNT)),
    ),
    "/api/v1/me": (
        "viewer",
        "Who asks",
        (),
        _object(
            name=_TEXT,
            role={"enum": ["viewer", "operator"]},
            can_sign_out={"type": "boolean"},
            poll_seconds=_maybe(_NUMBER),
        ),
    ),
}
_OTHERS = {"/api/v1/events": "text/event-stream", "/api/v1/trucks/{truck_id}/track": "application/gpx+xml"}
_WRITES: dict[tuple[str, str], tuple[str, str, Schema | None, dict[str, str]]] = {
    ("post", "/api/v1/alerts/{alert_id}/acknowledge"): (
        "operator",
        "Acknowledge an alert; ?note= says something of it",
        None,
        {"204": "Acknowledged", "404": "No such alert is kept"},
    ),
    ("post", "/api/v1/sign-in"): (
        "anybody",
        "Begin a session: a cookie that no script can read",
        _object(name=_TEXT, password=_TEXT),
        {"200": "Signed in", "401": "Name or password is wrong", "429": "Over ten tries a minute"},
    ),
    ("post", "/api/v1/sign-out"): ("viewer", "End the session", None, {"204": "Signed out"}),
    ("put", "/api/v1/zones/{zone_id}"): (
        "operator",
        "Make a zone, or change what is said of one: what is left out stays; not on AWS",
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "name": {**_TEXT, "minLength": 1, "maxLength": 100},
                "speed_limit_kmh": _maybe({**_NUMBER, "exclusiveMinimum": 0, "maximum": 1000}),
                "corners": {**_all({**_all(_NUMBER), "minItems": 2, "maxItems": 2}), "minItems": 3, "maxItems": 1000},
            },
        },
        {
            "204": "It stands in the zones' file",
            "409": "The zones' file cannot be read or written",
            "413": "Over 128 KiB",
            "422": "Names the field that is wrong",
        },
    ),
    ("delete", "/api/v1/zones/{zone_id}"): (
        "operator",
        "Take a zone out of the zones' file; not on AWS",
        None,
        {
            "204": "It is gone",
            "404": "No such zone",
            "409": "The zones' file cannot be read or written",
        },
    ),
}
_ERRORS = {"401": "Sign in first", "403": "Not for this role, or not from elsewhere", "503": "Try again in a moment"}


def document() -> dict[str, Any]:
    """The document."""
    paths: dict[str, Any] = {}
    for path, (role, summary, query, schema) in _GETS.items():
        kind = "application/json" if schema else _OTHERS[path]
        content = {"content": {kind: {"schema": schema or _TEXT}}}
        answers = {"200": {"description": "The answer", **content}}
        if schema:
            answers["304"] = {"description": "If-None-Match has it already"}
        paths[path] = {"get": _operation(path, role, summary, query, answers)}
    for (method, path), (role, summary, body, answered) in _WRITES.items():
        operation = _operation(
            path, role, summary, (), {code: {"description": text} for code, text in answered.items()}
        )
        if body:
            operation["requestBody"] = {"content": {"application/json": {"schema": body}}}
        header = {"name": "X-Milepost", "in": "header", "required": True, "schema": _TEXT}
        operation["parameters"].append({**header, "description": "Any value: no form of another site can send it"})
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Milepost console", "version": "1"},
        "paths": paths,
        "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
        "security": [{"key": []}, {}],
    }


def _operation(
    path: str, role: str, summary: str, query: tuple[tuple[str, str, Schema], ...], answers: dict[str, Any]
) -> dict[str, Any]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    places = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names]
    asked = [{"name": name, "in": "query", "description": text, "schema": schema} for name, text, schema in query]
    errors = {code: {"description": text} for code, text in _ERRORS.items() if code not in answers}
    return {"summary": f"{summary} ({role})", "parameters": [*places, *asked], "responses": {**answers, **errors}}


if __name__ == "__main__":
    FILE.write_text(json.dumps(document(), indent=1) + "\n", "utf-8")
    sys.stdout.write(f"{FILE} written\n")
