"""Records as producers send them, for the tests of the contract and of the collector."""

from typing import Any

from contract import timestamps
from contract.codec import Json
from contract.records import Sample, read_sample

RECEIVED = "2024-06-01T12:00:00.000Z"
RECEIVED_MS = timestamps.to_ms(RECEIVED)


def sample(**changes: Json) -> dict[str, Any]:
    """A whole sample of today; `changes` replace or add top-level keys."""
    record: dict[str, Any] = {
        "schema_version": 1,
        "truck_id": "T1",
        "stream_id": "s1",
        "seq": 1,
        "sampled_at": "2024-06-01T11:59:00.000Z",
        "time_quality": "gps",
        "gps_location": {"latitude": 41.25791, "longitude": -95.99604, "altitude": 346.9, "speed": 51.1},
        "vehicle_speed": 51,
        "engine_diagnostics": {
            "engine_rpm": 1605,
            "fuel_level": 62.5,
            "engine_temperature": 88,
            "oil_pressure": 42.1,
            "battery_voltage": 13.8,
        },
        "odometer_reading": 120034.7,
        "fuel_consumption": 18.2,
        "vehicle_health_and_maintenance": {
            "brake_status": "ok",
            "tire_pressure": {"front_left": 102, "front_right": 101.5, "rear_left": 99, "rear_right": None},
            "transmission_status": "normal",
            "active_faults": [{"spn": 100, "fmi": 1, "count": 3, "source": 0}],
        },
        "environmental_conditions": {"temperature": 21.5, "humidity": 40, "atmospheric_pressure": 1013.2},
        "quality": {"vehicle_health_and_maintenance.tire_pressure.rear_right": "not_available"},
    }
    return {**record, **changes}


def flat(**changes: Json) -> dict[str, Any]:
    """A record of the earliest producer: flat, upper-case, with the columns that its store had added."""
    record: dict[str, Any] = {
        "TRUCK_ID": "T1",
        "LOAD_TIMESTAMP": "2024-05-01 08:30:00.123456",
        "GPS_LATITUDE": 41.25791,
        "GPS_LONGITUDE": -95.99604,
        "GPS_ALTITUDE": 346.9,
        "GPS_SPEED": 51.1,
        "VEHICLE_SPEED": 51,
        "ENGINE_RPM": 1605,
        "FUEL_LEVEL": 62.5,
        "ENGINE_TEMPERATURE": 88,
        "OIL_PRESSURE": 42.1,
        "BATTERY_VOLTAGE": 13.8,
        "ODOMETER_READING": 120034.7,
        "FUEL_CONSUMPTION": 18.2,
        "BRAKE_STATUS": "ok",
        "TIRE_PRESSURE_FRONT_LEFT": 102,
        "TIRE_PRESSURE_FRONT_RIGHT": 101.5,
        "TIRE_PRESSURE_REAR_LEFT": 99,
        "TIRE_PRESSURE_REAR_RIGHT": None,
        "TRANSMISSION_STATUS": "normal",
        "TEMPERATURE": 21.5,
        "HUMIDITY": 40,
        "ATMOSPHERIC_PRESSURE": 1013.2,
    }
    return {**record, **changes}


def click(**changes: Json) -> dict[str, Any]:
    """One shop event of today."""
    record: dict[str, Any] = {
        "event_id": "e1",
        "event_type": "click",
        "timestamp": "2024-06-01T11:58:30.000Z",
        "user_id": "u1",
        "session_id": "v1",
        "page": "/shoes",
        "item_id": "A13",
        "item_name": "Boots",
    }
    return {**record, **changes}


def put(record: dict[str, Any], path: str, value: Json) -> dict[str, Any]:
    """The record with a value at a dotted path; its groups are made where they are missing."""
    *groups, leaf = path.split(".")
    copy = dict(record)
    home = copy
    for group in groups:
        home[group] = dict(home.get(group) or {})
        home = home[group]
    home[leaf] = value
    return copy


def read(record: Json, *, date_by_arrival: bool = True) -> Sample:
    """`read_sample` as a door calls it at RECEIVED."""
    return read_sample(record, received_ms=RECEIVED_MS, date_by_arrival=date_by_arrival)
