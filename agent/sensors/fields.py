"""The measured leaves of the wire (docs/wire.md) as a sensor needs them: name, bounds, decimals.

A copy of what contract/telemetry.py says, kept here because the agent's service must not import pydantic; a test holds
the two together. `settle` is the one gate through which every measured number passes on its way to the wire.
"""

import math
from typing import Literal, NamedTuple

Reason = Literal["not_available", "error", "stale", "implausible"]
"""Why a leaf has no value."""

REASONS: tuple[Reason, ...] = ("not_available", "stale", "error", "implausible")
"""From the least to the most telling: when several sources fail, the last of these is reported."""

PSI_PER_KPA = 0.1450377377
KM_PER_MILE = 1.609344


class Measure(NamedTuple):
    """Bounds that no vehicle on earth leaves (inclusive), and the decimals that carry meaning."""

    low: float
    high: float
    digits: int


HEALTH = "vehicle_health_and_maintenance"
TIRES = f"{HEALTH}.tire_pressure"
ACTIVE_FAULTS = f"{HEALTH}.active_faults"

MEASURES: dict[str, Measure] = {
    "gps_location.latitude": Measure(-90, 90, 7),
    "gps_location.longitude": Measure(-180, 180, 7),
    "gps_location.altitude": Measure(-1000, 20_000, 2),
    "gps_location.speed": Measure(0, 1000, 2),
    "vehicle_speed": Measure(0, 1000, 2),
    "engine_diagnostics.engine_rpm": Measure(0, 50_000, 3),
    "engine_diagnostics.fuel_level": Measure(0, 100, 2),
    "engine_diagnostics.engine_temperature": Measure(-273.15, 2000, 2),
    "engine_diagnostics.oil_pressure": Measure(0, 5000, 2),
    "engine_diagnostics.battery_voltage": Measure(0, 2000, 2),
    "odometer_reading": Measure(0, 100_000_000, 3),
    "fuel_consumption": Measure(0, 10_000, 2),
    f"{TIRES}.front_left": Measure(0, 5000, 2),
    f"{TIRES}.front_right": Measure(0, 5000, 2),
    f"{TIRES}.rear_left": Measure(0, 5000, 2),
    f"{TIRES}.rear_right": Measure(0, 5000, 2),
    "environmental_conditions.temperature": Measure(-273.15, 2000, 2),
    "environmental_conditions.humidity": Measure(0, 100, 2),
    "environmental_conditions.atmospheric_pressure": Measure(0, 2000, 2),
}

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

GROUPS: tuple[str, ...] = (
    "gps_location",
    "engine_diagnostics",
    TIRES,
    HEALTH,
    "environmental_conditions",
)
"""Every group, inner before outer."""


def settle(leaf: str, value: float) -> float | Reason:
    """`value` as it goes on the wire: rounded to what it means, or `implausible` where it cannot be true."""
    measure = MEASURES[leaf]
    low, high = ON_ROAD.get(leaf, (measure.low, measure.high))
    if not math.isfinite(value) or not low <= value <= high:
        return "implausible"
    return round(value, measure.digits) + 0.0  # + 0.0: no minus zero
