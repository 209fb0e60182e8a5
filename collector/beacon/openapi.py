"""The OpenAPI 3.1 document of the HTTP doors, generated from the models.

`python -m collector.beacon.openapi` rewrites it. It is checked in beside this module as openapi.json; a test fails
when it drifts from the models.
"""

import json
import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from collector.beacon.http import MAX_BODY
from contract.click_schema import Click, ClickBatch
from contract.telemetry import Telemetry, TelemetryBatch

FILE = Path(__file__).with_name("openapi.json")
_REF = "#/components/schemas/{model}"


class _Receipt(BaseModel):
    status: Literal["accepted", "duplicate", "rejected"]
    field: str | None
    reason: str | None


class ClickReceipt(_Receipt):
    """What became of one event; field and reason only if it was rejected."""

    event_id: str | None
    warnings: dict[str, str] = {}


class TelemetryReceipt(_Receipt):
    """What became of one sample; field and reason only if it was rejected."""

    seq: int | None


class ClickReceipts(BaseModel):
    """In the order of the request."""

    receipts: list[ClickReceipt]


class TelemetryReceipts(BaseModel):
    """In the order of the request."""

    receipts: list[TelemetryReceipt]


class Error(BaseModel):
    """Why the request as a whole was refused, and the remedy."""

    error: str
    field: str | None


class Health(BaseModel, extra="allow"):
    """Whether records can become durable; a deployment adds figures of its own."""

    status: Literal["ok", "failing"]
    reason: str | None = None


MODELS: tuple[type[BaseModel], ...] = (
    Click,
    ClickBatch,
    Telemetry,
    TelemetryBatch,
    ClickReceipts,
    TelemetryReceipts,
    Error,
    Health,
)


def document() -> dict[str, Any]:
    """The whole document, as JSON values."""
    _, schemas = models_json_schema([(model, "validation") for model in MODELS], ref_template=_REF)
    schemes = {"truckKey": {"type": "http", "scheme": "bearer", "description": "A key bound to one truck."}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Milepost beacon",
            "version": "1",
            "description": "200 means durable, or wrong for good; after anything else, send it again: "
            "identities make a repeat harmless.",
        },
        "paths": {
            "/v1/clicks": {"post": _door("Shop events, one or a batch", (Click, ClickBatch), ClickReceipts)},
            "/v1/telemetry": {"post": _telemetry()},
            "/v1/pixel.gif": {"get": _pixel()},
            "/healthz": {"get": _healthz()},
        },
        "components": {"schemas": schemas["$defs"], "securitySchemes": schemes},
    }


def generate() -> str:
    """The text of openapi.json."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _reply(description: str, model: type[BaseModel]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ref(model)}}}


def _unavailable() -> dict[str, Any]:
    retry = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
    return {**_reply("Not durable: send it again", Error), "headers": retry}


def _door(summary: str, forms: tuple[type[BaseModel], ...], receipts: type[BaseModel]) -> dict[str, Any]:
    schema = {"schema": {"anyOf": [_ref(form) for form in forms]}}
    lines = {"application/x-ndjson": {"schema": {"type": "string", "description": "One of these on each line"}}}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": schema, "text/plain": schema, **lines}},
        "responses": {
            "200": _reply("A receipt for each record; given when they are durable", receipts),
            "400": _reply("Not JSON (says where; the body is kept), no object, or the batch is no list", Error),
            "413": _reply(f"Over {MAX_BODY} bytes", Error),
            "503": _unavailable(),
        },
    }


def _telemetry() -> dict[str, Any]:
    door = _door("A truck's samples, one or a batch", (Telemetry, TelemetryBatch), TelemetryReceipts)
    door["responses"]["401"] = _reply("Keys are configured, and the request has none of them", Error)
    door["security"] = [{}, {"truckKey": []}]
    return door


def _pixel() -> dict[str, Any]:
    fields = Click.model_json_schema()["properties"]
    rejected = {"description": "field: reason, if the event was rejected", "schema": {"type": "string"}}
    warnings = {"description": "field: reason, for fields that were set aside", "schema": {"type": "string"}}
    return {
        "summary": "One event in a query string; what is missing is filled in",
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": schema} for name, schema in fields.items()
        ],
        "responses": {
            "200": {
                "description": "A transparent pixel, also for an event that was rejected",
                "headers": {"X-Milepost-Rejected": rejected, "X-Milepost-Warnings": warnings},
                "content": {"image/gif": {}},
            },
            "503": _unavailable(),
        },
    }


def _healthz() -> dict[str, Any]:
    return {
        "summary": "Can records become durable",
        "responses": {"200": _reply("Yes", Health), "503": _reply("No", Health)},
    }


if __name__ == "__main__":
    FILE.write_text(generate(), encoding="utf-8")
    sys.stderr.write(f"wrote {FILE.name}\n")
