"""Samples whose every value is of the plainest kind and within its bounds: most of them, known in a few microseconds.

The model (contract.telemetry) is the definition, and these checks are made of it. They say yes only where it would
accept; whatever else comes is the model's to judge, which also words the refusal.
"""

from collections.abc import Callable
from typing import get_args

from pydantic import BaseModel

from contract.codec import Json
from contract.telemetry import (
    EngineDiagnostics,
    EnvironmentalConditions,
    GpsLocation,
    QualityReason,
    Telemetry,
    TirePressure,
)
from contract.topics import ID

Check = Callable[[Json], bool]
_REASONS = frozenset(get_args(QualityReason))
_MOST_SEQ = 2**63 - 1


def is_plain(wire: dict[str, Json]) -> bool:
    """Whether the model is certain to accept a record under the wire's names; False where it must be asked."""
    if not _is_identifier(wire.get("truck_id")):
        return False
    for key, value in wire.items():
        check = _TOP.get(key)
        if check is None or (value is not None and not check(value)):
            return False
    return True


def _number(model: type[BaseModel], name: str) -> Check:
    bounds = {type(each).__name__: each for each in model.model_fields[name].metadata}
    low, high = bounds["Ge"].ge, bounds["Le"].le
    return lambda value: (type(value) is float or type(value) is int) and low <= value <= high


def _group(checks: dict[str, Check]) -> Check:
    def check(group: Json) -> bool:
        if type(group) is not dict:
            return False
        for key, value in group.items():
            known = checks.get(key)
            if known is None or (value is not None and not known(value)):
                return False
        return True

    return check


def _numbers(model: type[BaseModel]) -> Check:
    return _group({name: _number(model, name) for name in model.model_fields})


def _is_text(value: Json) -> bool:
    return type(value) is str and value.isascii()


def _is_identifier(value: Json) -> bool:
    return type(value) is str and ID.fullmatch(value) is not None


def _whole(low: int, high: int) -> Check:
    return lambda value: type(value) is int and low <= value <= high


_FAULT: dict[str, Check] = {
    "spn": _whole(0, 524_287),
    "fmi": _whole(0, 31),
    "count": _whole(0, _MOST_SEQ),
    "source": lambda value: _is_text(value) or (type(value) is int and -_MOST_SEQ <= value <= _MOST_SEQ),
}


def _is_fault(value: Json) -> bool:
    if type(value) is not dict or value.get("spn") is None or value.get("fmi") is None:
        return False
    return all(key in _FAULT and (each is None or _FAULT[key](each)) for key, each in value.items())


def _are_reasons(value: Json) -> bool:
    return type(value) is dict and all(
        key.isascii() and type(reason) is str and reason in _REASONS for key, reason in value.items()
    )


_TOP: dict[str, Check] = {
    "schema_version": _whole(1, _MOST_SEQ),
    "truck_id": _is_identifier,
    "stream_id": _is_identifier,
    "seq": _whole(1, _MOST_SEQ),
    "sampled_at": _is_text,
    "time_quality": lambda value: type(value) is str and value in ("gps", "ntp", "cloud", "estimated"),
    "gps_location": _numbers(GpsLocation),
    "engine_diagnostics": _numbers(EngineDiagnostics),
    "vehicle_health_and_maintenance": _group(
        {
            "brake_status": _is_text,
            "transmission_status": _is_text,
            "tire_pressure": _numbers(TirePressure),
            "active_faults": lambda value: type(value) is list and all(map(_is_fault, value)),
        }
    ),
    "environmental_conditions": _numbers(EnvironmentalConditions),
    "quality": _are_reasons,
    **{name: _number(Telemetry, name) for name in ("vehicle_speed", "odometer_reading", "fuel_consumption")},
}
