"""Driving events, zones and savings against hand calculations of small drives."""

import pytest

from commerce.registers.documents import VEHICLES
from commerce.registers.register import Register
from contract import timestamps
from contract.fleet import FleetSettings, Zone
from tests.warehouse.fleet import Fleet, at, drive
from warehouse.sources import Terms

START = "2024-06-01T23:50:00.000Z"


def _square(name: str, south: float, north: float, limit: float | None = None) -> Zone:
    corners = ((12.9, south), (13.1, south), (13.1, north), (12.9, north), (12.9, south))
    return Zone(name, name, limit, (corners,))


def test_overspeed_is_one_event_over_midnight(fleet: Fleet) -> None:
    """Over 90 km/h at minutes 8 to 12 and 15; the trip is the one that minute 0 began."""
    fleet.take(drive("T1", START, [60, 60, 60, 60, 60, 60, 60, 60, 95, 99, 100, 97, 91, 60, 60, 92, 90]))
    fleet.build()
    fleet.build_marts()
    rows = fleet.query("SELECT * FROM driving_event ORDER BY at")
    assert [(row["at"], row["kind"], row["peak"]) for row in rows] == [
        (at(START, 8 * 60), "overspeed", 100),
        (at(START, 15 * 60), "overspeed", 92),
    ]
    assert {row["trip_start"] for row in rows} == {START}
    assert rows[0]["latitude"] == pytest.approx(52 + (1000 + 8) / 1e4)


def test_a_limit_that_is_registered_later_is_that_of_the_days_before(fleet: Fleet) -> None:
    """Without a sample since: the day is not written anew, and yet made anew."""
    fleet.take(drive("T1", START, [60, 60, 70, 60]))
    fleet.build()
    fleet.build_marts()
    assert fleet.query("SELECT at FROM driving_event") == []
    vehicle = {"truck_id": "T1", "speed_limit_kmh": 65, "valid_from": "2024-01-01T00:00:00Z"}
    Register(fleet.shop, VEHICLES).put(VEHICLES.read(vehicle), received_ms=timestamps.to_ms(START))
    fleet.build()
    fleet.build_marts()
    assert fleet.query("SELECT at, peak FROM driving_event") == [{"at": at(START, 120), "peak": 70}]


def test_harsh_manoeuvres_belong_to_the_trip_of_their_sample(fleet: Fleet) -> None:
    samples = drive("T1", START, [60] * 4)
    braking = {"kind": "braking", "at": at(START, 90), "peak": 4.5}
    samples[2]["since_last"] = {"seconds": 60, "harsh": [braking, braking, {**braking, "kind": "cornering", "peak": 3}]}
    fleet.take(samples)
    fleet.build()
    fleet.build_marts()
    rows = fleet.query("SELECT kind, at, peak, trip_start FROM driving_event ORDER BY kind")
    assert [list(row.values()) for row in rows] == [
        ["braking", at(START, 90), 4.5, START],
        ["cornering", at(START, 90), 3, START],
    ]


def test_visits_of_zones_and_their_limits(fleet: Fleet) -> None:
    """A truck drives north, 1e-4 degrees a minute, from 52.1: in the inner zone from 52.1003 to below 52.1012."""
    fleet.take(drive("T1", START, [60] * 20))
    fleet.take(
        drive("T1", "2024-06-04T12:00:00.000Z", [60] * 3, odometer=1005, seq=50), received="2024-06-04T13:00:00Z"
    )
    zones = (_square("inner", 52.10025, 52.10115, 50), _square("outer", 52.0, 53.0))
    fleet.build()
    fleet.build_marts(terms=Terms(zones=zones))
    rows = fleet.query("SELECT zone_id, entered_at, left_at, late_data FROM zone_visit ORDER BY zone_id, entered_at")
    assert [list(row.values()) for row in rows] == [
        ["inner", at(START, 3 * 60), at(START, 12 * 60), False],
        ["inner", "2024-06-04T12:00:00.000Z", None, True],
        ["outer", START, None, True],
    ]
    speeding = fleet.query("SELECT at, peak FROM driving_event ORDER BY at")
    assert [row["at"] for row in speeding] == [at(START, 3 * 60), "2024-06-04T12:00:00.000Z"]


def test_savings_leave_idling_out_of_the_comparison(fleet: Fleet) -> None:
    """T1 burns 24 L/h at 60 km/h, 0.4 L/km; T2 half of it, and is the best quarter. Both idle for ten minutes."""
    speeds = [60] * 121 + [0] * 11
    thirsty = drive("T1", "2024-06-10T08:00:00.000Z", speeds)
    frugal = drive("T2", "2024-06-10T08:00:00.000Z", speeds)
    for sample in frugal[:121]:
        sample["fuel_consumption"] = 12.0
    fleet.take([*thirsty, *frugal])
    fleet.build()
    fleet.build_marts(terms=Terms(fleet=FleetSettings(fuel_price=2)))
    one, other = fleet.query("SELECT * FROM fuel_saving ORDER BY truck_id")
    idle = 2.0 * 10 / 60
    assert one["month"] == "2024-06-01"
    assert one["litres_idle"] == pytest.approx(idle)
    # 120 minutes at 24 or 12 L/h, and the minute in which both slow down to a rate of 2
    assert one["litres_over_best_quartile"] == pytest.approx(120 * 12 / 60 + (26 - 14) / 2 / 60)
    assert one["cost"] == pytest.approx(2 * (idle + one["litres_over_best_quartile"]))
    assert (other["litres_over_best_quartile"], other["litres_route"]) == (0, None)
