"""Earlier producers keep working: the one file that knows their spellings (docs/wire.md, "Earlier producers").

Known are the flat upper-case record (`TRUCK_ID, LOAD_TIMESTAMP, GPS_LATITUDE, …`), the nested record with groups or
fields missing (also with `Truck_ID`, and `temperature` among the engine's readings), the click record
`{Item_ID, Item_Name, Click_Counts, Timestamp}`, and the event schema with `product_id`. What a mapping does not name
stays under the producer's own key.
"""

from typing import Any

from contract.codec import Json
from contract.telemetry import Telemetry

_HEALTH = "vehicle_health_and_maintenance"
FLAT: dict[str, str] = {
    "TRUCK_ID": "truck_id",
    "GPS_LATITUDE": "gps_location.latitude",
    "GPS_LONGITUDE": "gps_location.longitude",
    "GPS_ALTITUDE": "gps_location.altitude",
    "GPS_SPEED": "gps_location.speed",
    "VEHICLE_SPEED": "vehicle_speed",
    "ENGINE_RPM": "engine_diagnostics.engine_rpm",
    "FUEL_LEVEL": "engine_diagnostics.fuel_level",
    "ENGINE_TEMPERATURE": "engine_diagnostics.engine_temperature",
    "OIL_PRESSURE": "engine_diagnostics.oil_pressure",
    "BATTERY_VOLTAGE": "engine_diagnostics.battery_voltage",
    "ODOMETER_READING": "odometer_reading",
    "FUEL_CONSUMPTION": "fuel_consumption",
    "BRAKE_STATUS": f"{_HEALTH}.brake_status",
    "TRANSMISSION_STATUS": f"{_HEALTH}.transmission_status",
    "TIRE_PRESSURE_FRONT_LEFT": f"{_HEALTH}.tire_pressure.front_left",
    "TIRE_PRESSURE_FRONT_RIGHT": f"{_HEALTH}.tire_pressure.front_right",
    "TIRE_PRESSURE_REAR_LEFT": f"{_HEALTH}.tire_pressure.rear_left",
    "TIRE_PRESSURE_REAR_RIGHT": f"{_HEALTH}.tire_pressure.rear_right",
    "TEMPERATURE": "environmental_conditions.temperature",
    "AMBIENT_TEMPERATURE": "environmental_conditions.temperature",
    "ENVIRONMENT_TEMPERATURE": "environmental_conditions.temperature",
    "ENVIRONMENTAL_TEMPERATURE": "environmental_conditions.temperature",
    "HUMIDITY": "environmental_conditions.humidity",
    "ENVIRONMENT_HUMIDITY": "environmental_conditions.humidity",
    "ENVIRONMENTAL_HUMIDITY": "environmental_conditions.humidity",
    "ATMOSPHERIC_PRESSURE": "environmental_conditions.atmospheric_pressure",
    "ENVIRONMENT_PRESSURE": "environmental_conditions.atmospheric_pressure",
    "ENVIRONMENTAL_PRESSURE": "environmental_conditions.atmospheric_pressure",
    "ENVIRONMENTAL_ATMOSPHERIC_PRESSURE": "environmental_conditions.atmospheric_pressure",
}
"""Key of the flat record → dotted wire field."""

NESTED: dict[str, dict[str, str]] = {
    "gps_location": {"lat": "latitude", "lon": "longitude", "lng": "longitude"},
    "engine_diagnostics": {"RPM": "engine_rpm", "rpm": "engine_rpm", "temperature": "engine_temperature"},
    _HEALTH: {"tire_pressures": "tire_pressure"},
    "environmental_conditions": {"pressure": "atmospheric_pressure"},
}
"""Group of a nested record → earlier producers' name in it → the wire's name."""

TIME_KEYS = ("sampled_at", "timestamp", "LOAD_TIMESTAMP")
"""Where a sample's own time may stand, in the order of preference."""

_TODAYS = frozenset(Telemetry.model_fields)
_IGNORED = {"EFFECTIVE_START_DATE", "EFFECTIVE_END_DATE", "EFFECTIVE_DATE", "IS_CURRENT"}
_CLICK = {
    "Item_ID": "item_id",
    "Item_Name": "item_name",
    "Click_Counts": "click_count",
    "Timestamp": "timestamp",
    "UUID": "event_id",
    "product_id": "item_id",
    "product_name": "item_name",
    "product_category": "category",
}
_CLICK_KEYS_AS_TEXT = ("item_id", "user_id", "session_id", "order_id", "event_id")


def without_bookkeeping(record: dict[str, Json]) -> dict[str, Json]:
    """The record without the validity columns that earlier stores added to it: they are no part of the content."""
    if _TODAYS.issuperset(record) or _IGNORED.isdisjoint(map(str.upper, record)):
        return record
    return {key: value for key, value in record.items() if key.upper() not in _IGNORED}


def telemetry(record: dict[str, Json]) -> dict[str, Json]:
    """A record of any known producer under the wire's names; a record of today comes back as it is.

    Args:
        record: parsed; of today's form, the flat upper-case one, or the nested one of the earlier producers.

    Returns:
        A record of today comes back as the same object; others as a copy. Nothing is judged.
    """
    if "TRUCK_ID" in record:
        record = _nested(record)
    elif "Truck_ID" in record and "truck_id" not in record:
        record = {"truck_id" if key == "Truck_ID" else key: value for key, value in record.items()}
    elif "stream_id" in record:
        return record
    return _todays_names(record)


def _nested(record: dict[str, Json]) -> dict[str, Json]:
    """The wire's names win over flat ones, and FLAT's order decides among those: the order of keys means nothing."""
    nested: dict[str, Any] = {key: value for key, value in record.items() if key not in FLAT}
    for key, path in FLAT.items():
        if key in record:
            _place(nested, path, record[key])
    return nested


def _place(nested: dict[str, Any], path: str, value: Json) -> None:
    *groups, leaf = path.split(".")
    home = nested
    for group in groups:
        inner = home.get(group)
        if inner is not None and not isinstance(inner, dict):
            return  # the model will say what is wrong there
        inner = dict(inner or {})  # the producer's own record stays as it came
        home[group] = inner
        home = inner
    if home.get(leaf) is None:
        home[leaf] = value


def _todays_names(record: dict[str, Json]) -> dict[str, Json]:
    """The names within the groups of a nested record; a value under today's name wins."""
    for group, names in NESTED.items():
        inner = record.get(group)
        if not isinstance(inner, dict) or names.keys().isdisjoint(inner):
            continue
        renamed = {key: value for key, value in inner.items() if key not in names}
        for key, name in names.items():
            if key in inner and renamed.get(name) is None:
                renamed[name] = inner[key]
        record = {**record, group: renamed}
    return record


def flat_name(field: str, record: dict[str, Json]) -> str:
    """The key of a flat record for a dotted wire field, for error messages in the producer's own words."""
    return next((key for key, path in FLAT.items() if path == field and key in record), field)


def click(record: dict[str, Json]) -> dict[str, Json]:
    """An event of any known producer under the wire's names, `click` where it has no type."""
    if _CLICK.keys().isdisjoint(record):
        return record
    renamed = dict(record)
    for key, name in _CLICK.items():
        if key in renamed and renamed.get(name) is None:
            renamed[name] = renamed.pop(key)
    for key in _CLICK_KEYS_AS_TEXT:
        if isinstance(renamed.get(key), int) and not isinstance(renamed[key], bool):
            renamed[key] = str(renamed[key])
    renamed.setdefault("event_type", "click")
    return renamed
