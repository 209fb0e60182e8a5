"""The measured fields of the wire (docs/wire.md) as a sensor needs them: name, bounds, decimals.

The bounds are those of contract/telemetry.py, read in the schema that is generated from it. `settle` is the one gate
through which every measured number passes on its way to the wire.
"""

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from contract.wire_documents import schema

Reason = Literal["not_available", "error", "stale", "implausible"]
"""Why a leaf has no value."""

REASONS: tuple[Reason, ...] = ("not_available", "stale", "error", "implausible")
"""From the least to the most telling: when several sources fail, the last of these is reported."""

PSI_PER_KPA = 0.1450377377
KM_PER_MILE = 1.609344


class FieldBounds(NamedTuple):
    """Bounds that no vehicle on earth leaves (inclusive), and the decimals that carry meaning."""

    low: float
    high: float
    digits: int


HEALTH = "vehicle_health_and_maintenance"
TIRES = f"{HEALTH}.tire_pressure"
ACTIVE_FAULTS = f"{HEALTH}.active_faults"

LEAVES: tuple[str, ...] = (
    "gps_location.latitude",
    "gps_location.longitude",
    "gps_location.altitude",
    "gps_location.speed",
    "vehicle_speed",
    "engine_diagnostics.engine_rpm",
    "engine_diagnostics.fuel_level",
    "engine_diagnostics.engine_temperature",
    "engine_diagnostics.oil_pressure",
    "engine_diagnostics.battery_voltage",
    "odometer_reading",
    "fuel_consumption",
    f"{HEALTH}.brake_status",
    f"{TIRES}.front_left",
    f"{TIRES}.front_right",
    f"{TIRES}.rear_left",
    f"{TIRES}.rear_right",
    f"{HEALTH}.transmission_status",
    ACTIVE_FAULTS,
    "environmental_conditions.temperature",
    "environmental_conditions.humidity",
    "environmental_conditions.atmospheric_pressure",
)
"""Every measured leaf, dotted, in the order of the wire."""

CUSTOM = "custom"
"""The group of what the wire has no field of its own for; `custom.NAME` is a leaf of it."""
CUSTOM_AT_MOST = 32
"""Names in one sample (contract.telemetry.Custom)."""
TEXT_AT_MOST = 256
"""Characters of a text, in it or as a status."""
LAMPS = tuple(f"custom.lamp_{name}" for name in ("protect", "amber_warning", "red_stop", "malfunction"))
"""Warning lamps that control units ask for, in the order of a DM1."""
TROUBLE_CODES, PENDING_CODES = "custom.trouble_codes", "custom.pending_trouble_codes"
"""OBD-II's, such as "P0301 P0420"; "none" where there is none."""
_CUSTOM_NAME = re.compile(r"custom\.[a-z][a-z0-9_]{0,63}")


def is_custom(leaf: str) -> bool:
    """Whether a name is that of a leaf of `custom`: `custom.` and then a-z, 0-9 and _, a letter first.

    Args:
        leaf: any dotted name.

    Returns:
        True also for names that no sensor gives so far.
    """
    return _CUSTOM_NAME.fullmatch(leaf) is not None


def as_float(value: float | Decimal) -> float:
    """A number of any size.

    Args:
        value: anything that a sensor says, also 10 ** 400.

    Returns:
        It; infinity, which no field takes, where it is beyond all floats.
    """
    try:
        return float(value)
    except OverflowError:
        return math.inf


def settle_custom(value: object) -> float | bool | str | Reason:
    """A value of a `custom` leaf as it goes on the wire.

    Args:
        value: anything that a sensor says.

    Returns:
        The value, a number with six decimals at most and a text of TEXT_AT_MOST characters at most; `implausible` for
        what is no number, text or boolean.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float | Decimal):
        number = as_float(value)
        return round(number, 6) + 0.0 if math.isfinite(number) and abs(number) < _LARGEST else "implausible"
    return value[:TEXT_AT_MOST] if isinstance(value, str) else "implausible"


_LARGEST = 1e15

GROUPS: tuple[str, ...] = (
    "gps_location",
    "engine_diagnostics",
    TIRES,
    HEALTH,
    "environmental_conditions",
)
"""Every group, inner before outer."""

_DIGITS = {
    "gps_location.latitude": 7,
    "gps_location.longitude": 7,
    "engine_diagnostics.engine_rpm": 3,
    "odometer_reading": 3,
}
_USUAL_DIGITS = 2


def _measures() -> Iterator[tuple[str, FieldBounds]]:
    """Every field that is a number, with the bounds of the contract."""
    for leaf in LEAVES:
        said = _said_of(leaf)
        if said.get("type") == "number":
            yield leaf, FieldBounds(said["minimum"], said["maximum"], _DIGITS.get(leaf, _USUAL_DIGITS))


def _said_of(leaf: str) -> dict[str, Any]:
    """What the schema says of a leaf where it is not null."""
    whole = schema("telemetry")
    said = whole
    for name in leaf.split("."):
        said = said["properties"][name]["anyOf"][0]
        said = whole["$defs"][said["$ref"].removeprefix("#/$defs/")] if "$ref" in said else said
    return said


MEASURES: dict[str, FieldBounds] = dict(_measures())
"""Every measured field that is a number."""

ON_ROAD: dict[str, tuple[float, float]] = {
    "gps_location.altitude": (-500, 9000),
    "gps_location.speed": (0, 400),
    "engine_diagnostics.engine_rpm": (0, 10_000),
    "engine_diagnostics.battery_voltage": (0, 100),
    "odometer_reading": (0, 10_000_000),
    "fuel_consumption": (0, 1000),
    "environmental_conditions.temperature": (-90, 100),
    "environmental_conditions.atmospheric_pressure": (300, 1200),
}
"""Narrower bounds where a bus can carry what the wire allows, but what is never true of a vehicle on a road."""


def settle(leaf: str, value: float) -> float | Reason:
    """`value` as it goes on the wire: rounded to what it means, or `implausible` where it cannot be true."""
    measure = MEASURES[leaf]
    low, high = ON_ROAD.get(leaf, (measure.low, measure.high))
    if not math.isfinite(value) or not low <= value <= high:
        return "implausible"
    return round(value, measure.digits) + 0.0  # + 0.0: no minus zero
