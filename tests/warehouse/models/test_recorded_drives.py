"""Trips, km and idle minutes of real drives, against a calculation by hand of the same seconds."""

import csv
import math
from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import pytest

from contract import timestamps
from tests.recordings import recording
from tests.warehouse.fleet import Fleet

KM_PER_MILE = 1.609344


class Second(NamedTuple):
    """A second of a drive: Unix s, km/h, rpm (None: not known), degrees."""

    time: int
    speed: float
    rpm: float | None
    latitude: float
    longitude: float

    @property
    def moving(self) -> bool:
        return self.speed >= 5

    @property
    def idle(self) -> bool:
        return not self.moving and self.rpm is not None and self.rpm > 0


def _drives() -> dict[str, list[Second]]:
    with recording("trips/driveplotr_nds_drives.csv").open(encoding="utf-8") as lines:
        rows = groupby(csv.DictReader(lines), key=lambda row: row["drive"])
        return {f"D{drive}": [_second(row) for row in seconds] for drive, seconds in rows}


def _second(row: dict[str, str]) -> Second:
    speed, rpm = float(row["speed_mph"]) * KM_PER_MILE, row["engine_rpm"]
    place = float(row["gps_lat"]), float(row["gps_long"])
    return Second(int(row["time_utc"]), speed, float(rpm) if rpm else None, *place)


def _samples(truck: str, drive: list[Second]) -> Iterator[dict[str, Any]]:
    for each in drive:
        yield {
            "truck_id": truck,
            "sampled_at": timestamps.from_ms(each.time * 1000),
            "gps_location": {"latitude": each.latitude, "longitude": each.longitude, "speed": each.speed},
            "engine_diagnostics": {"engine_rpm": each.rpm},
        }


def _trips(drive: list[Second]) -> list[list[Second]]:
    """From the first moving second to the first at rest of a stop of 300 s, or after which nothing moves any more."""
    trips: list[list[Second]] = []
    opened: int | None = None
    for number, each in enumerate(drive):
        if each.moving and opened is None:
            opened = number
        if each.moving or opened is None:
            continue
        again = next((later.time for later in drive[number:] if later.moving), math.inf)
        if again - each.time >= 300:
            trips.append(drive[opened : number + 1])
            opened = None
    return trips if opened is None else [*trips, drive[opened:]]


def _km(path: list[Second]) -> float:
    """On a plane that touches the earth at each step: exact to millimetres over a second."""
    steps = []
    for a, b in pairwise(path):
        east = math.radians(b.longitude - a.longitude) * math.cos(math.radians((a.latitude + b.latitude) / 2))
        steps.append(6371.0088 * math.hypot(east, math.radians(b.latitude - a.latitude)))
    return sum(steps)


def _idle(path: list[Second]) -> float:
    return sum(b.time - a.time for a, b in pairwise(path) if a.idle) / 60


def test_trips_of_real_drives(fleet: Fleet) -> None:
    drives = _drives()
    for truck, drive in drives.items():
        fleet.take(_samples(truck, drive), received="2019-07-01T00:00:00.000Z")
    fleet.build()
    fleet.build_marts()
    rows = fleet.query("SELECT * FROM truck_trip ORDER BY truck_id, trip_start")
    expected = [(truck, path) for truck in sorted(drives) for path in _trips(drives[truck])]
    assert [(row["truck_id"], row["trip_start"], row["trip_end"]) for row in rows] == [
        (truck, *(timestamps.from_ms(each.time * 1000) for each in (path[0], path[-1]))) for truck, path in expected
    ]
    assert len(rows) >= len(drives)
    for row, (truck, path) in zip(rows, expected, strict=True):
        assert row["distance_km"] == pytest.approx(_km(path), rel=1e-5), truck
        assert row["idle_min"] == pytest.approx(_idle(path), abs=1e-6), truck
    assert sum(row["idle_min"] for row in rows) > 5
    # speed by time, which no position enters
    driven = sum((a.speed + b.speed) / 2 * (b.time - a.time) / 3600 for _, path in expected for a, b in pairwise(path))
    assert sum(row["distance_km"] for row in rows) == pytest.approx(driven, rel=0.02)
