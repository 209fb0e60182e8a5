"""Units as DBC files write them, and the way from there to the wire's. Pure."""

from collections.abc import Mapping

from agent.sensors.fields import KM_PER_MILE, PSI_PER_KPA, TIRES

_PERCENT = {"%": 1.0}
_KMH = {"km/h": 1.0, "kph": 1.0, "kmh": 1.0, "mph": KM_PER_MILE, "m/s": 3.6, "knots": 1.852}
_PSI = {"psi": 1.0, "kpa": PSI_PER_KPA, "bar": 100 * PSI_PER_KPA, "mpa": 1000 * PSI_PER_KPA}
_HPA = {"hpa": 1.0, "mbar": 1.0, "kpa": 10.0, "pa": 0.01}
_DEGREES = {"deg": 1.0, "°": 1.0, "degrees": 1.0}
_CELSIUS = {"°c": 1.0, "degc": 1.0, "c": 1.0, "celsius": 1.0, "°f": 5 / 9, "degf": 5 / 9, "f": 5 / 9, "k": 1.0}
_ZERO = {"°f": -160 / 9, "degf": -160 / 9, "f": -160 / 9, "k": -273.15}
"""°C where the number is 0."""

UNITS: dict[str, Mapping[str, float]] = {
    "vehicle_speed": _KMH,
    "gps_location.speed": _KMH,
    "gps_location.latitude": _DEGREES,
    "gps_location.longitude": _DEGREES,
    "gps_location.altitude": {"m": 1.0, "ft": 0.3048, "km": 1000.0},
    "engine_diagnostics.engine_rpm": {"rpm": 1.0, "1/min": 1.0},
    "engine_diagnostics.fuel_level": _PERCENT,
    "engine_diagnostics.engine_temperature": _CELSIUS,
    "engine_diagnostics.oil_pressure": _PSI,
    "engine_diagnostics.battery_voltage": {"v": 1.0, "volt": 1.0, "mv": 0.001},
    "odometer_reading": {"km": 1.0, "m": 0.001, "mi": KM_PER_MILE, "miles": KM_PER_MILE},
    "fuel_consumption": {"l/h": 1.0, "gal/h": 3.785411784, "ml/s": 3.6},
    "environmental_conditions.temperature": _CELSIUS,
    "environmental_conditions.humidity": _PERCENT,
    "environmental_conditions.atmospheric_pressure": _HPA,
    **{f"{TIRES}.{corner}": _PSI for corner in ("front_left", "front_right", "rear_left", "rear_right")},
}
"""Field → units that may feed it, in lower case, and their factors."""


def factor_and_offset(target: str, unit: str) -> tuple[float, float]:
    """What a number in a unit is multiplied by, and what is then added, to be in the wire's unit.

    Args:
        target: a field of the wire; every other target takes numbers as they are.
        unit: as the DBC says; empty where it says none, and then the number is taken to be in the wire's unit.

    Returns:
        (factor, offset).

    Raises:
        ValueError: a unit that cannot be the field's.
    """
    known = UNITS.get(target)
    if known is None or not unit.strip():
        return 1.0, 0.0
    name = unit.strip().lower()
    if name not in known:
        raise ValueError(f"the DBC's unit is {unit!r}, and the field takes {', '.join(known)}")
    return known[name], _ZERO.get(name, 0.0) if known is _CELSIUS else 0.0
