"""Samples whose every value is of the plainest kind and within its bounds: most of them, known in a few microseconds.

The model (contract.telemetry) is the definition, and this schema is made of it. It says yes only where the model would
accept, and no key is unknown; whatever else comes is the model's to judge, which also words the refusal.
"""

from typing import get_args

from pydantic import BaseModel
from pydantic_core import CoreSchema, SchemaValidator
from pydantic_core import core_schema as schema

from contract.codec import Json
from contract.telemetry import (
    CUSTOM_NAME,
    MOST_CUSTOM,
    EngineDiagnostics,
    EnvironmentalConditions,
    GpsLocation,
    HarshEvent,
    QualityReason,
    Telemetry,
    TirePressure,
)
from contract.topics import ID

_MOST_SEQ = 2**63 - 1


def is_plain(wire: dict[str, Json]) -> bool:
    """Whether the model is certain to accept a record under the wire's names; False where it must be asked."""
    return _PLAIN.isinstance_python(wire)


def _number(model: type[BaseModel], name: str) -> CoreSchema:
    bounds = {type(each).__name__: each for each in model.model_fields[name].metadata}
    return schema.float_schema(ge=bounds["Ge"].ge, le=bounds["Le"].le, allow_inf_nan=False, strict=True)


def _numbers(model: type[BaseModel]) -> CoreSchema:
    return _group({name: _number(model, name) for name in model.model_fields})


def _whole(low: int, high: int) -> CoreSchema:
    return schema.int_schema(ge=low, le=high, strict=True)


def _group(fields: dict[str, CoreSchema], *required: str) -> CoreSchema:
    """An object of these fields and no other; all but the required ones may be null or missing."""
    found = {
        name: schema.typed_dict_field(each, required=True)
        if name in required
        else schema.typed_dict_field(schema.nullable_schema(each), required=False)
        for name, each in fields.items()
    }
    return schema.typed_dict_schema(found, extra_behavior="forbid", strict=True)


def _dict(keys: CoreSchema, values: CoreSchema, most: int | None = None) -> CoreSchema:
    return schema.dict_schema(keys, values, max_length=most, strict=True)


def _list(items: CoreSchema) -> CoreSchema:
    return schema.list_schema(items, strict=True)


def _one_of(literal: object) -> CoreSchema:
    return schema.literal_schema(list(get_args(literal)))


_TEXT = schema.str_schema(strict=True)
_FLOAT = schema.float_schema(allow_inf_nan=False, strict=True)
_AMOUNT = schema.float_schema(ge=0, allow_inf_nan=False, strict=True)
_IDENTIFIER = schema.str_schema(strict=True, pattern=f"^{ID.pattern}$")
_CODE = {
    "spn": _whole(0, 524_287),
    "fmi": _whole(0, 31),
    "source": schema.union_schema([_TEXT, _whole(-_MOST_SEQ, _MOST_SEQ)]),
}
_FAULT = _group({**_CODE, "count": _whole(0, _MOST_SEQ)}, "spn", "fmi")
_HEALTH = _group(
    {
        "brake_status": _TEXT,
        "transmission_status": _TEXT,
        "tire_pressure": _numbers(TirePressure),
        "active_faults": _list(_FAULT),
    }
)
_HARSH = _group(
    {
        "kind": _one_of(HarshEvent.model_fields["kind"].annotation),
        "at": _TEXT,
        "peak": _number(HarshEvent, "peak"),
    },
    *("kind", "at", "peak"),
)
_SINCE_LAST = _group(
    {
        **dict.fromkeys(("seconds", "moving_seconds", "idle_seconds", "distance_km", "fuel_l"), _AMOUNT),
        **dict.fromkeys(("min", "max", "mean"), _dict(_TEXT, _FLOAT)),
        "readings": _whole(0, _MOST_SEQ),
        "harsh": _list(_HARSH),
        "faults": _list(_group({**_CODE, "first": _TEXT, "last": _TEXT}, "spn", "fmi", "first", "last")),
    }
)
_CUSTOM = _dict(
    schema.str_schema(strict=True, pattern=CUSTOM_NAME),
    schema.nullable_schema(schema.union_schema([_FLOAT, schema.bool_schema(strict=True), _TEXT])),
    MOST_CUSTOM,
)
_PLAIN = SchemaValidator(
    _group(
        {
            "schema_version": _whole(1, _MOST_SEQ),
            "truck_id": _IDENTIFIER,
            "stream_id": _IDENTIFIER,
            "seq": _whole(1, _MOST_SEQ),
            "sampled_at": _TEXT,
            "time_quality": schema.literal_schema(["gps", "ntp", "cloud", "estimated"]),
            "gps_location": _numbers(GpsLocation),
            "engine_diagnostics": _numbers(EngineDiagnostics),
            "vehicle_health_and_maintenance": _HEALTH,
            "environmental_conditions": _numbers(EnvironmentalConditions),
            "quality": _dict(_TEXT, _one_of(QualityReason)),
            "since_last": _SINCE_LAST,
            "custom": _CUSTOM,
            **{name: _number(Telemetry, name) for name in ("vehicle_speed", "odometer_reading", "fuel_consumption")},
        },
        "truck_id",
    )
)
