"""The fleet's marts against hand calculations of small drives."""

import itertools
from typing import Any

from tests.warehouse.fleet import Fleet, drive

START = "2024-06-01T23:50:00.000Z"
#        0  1   2   3  4  5  6   7   8  9  10  11  12  13 14 15 16 17 18 19  20  21 22 23
SPEEDS = [0, 50, 60, 0, 0, 0, 70, 30, 0, 0, 40, 50, 60, 0, 0, 0, 0, 0, 0, 20, 20, 0, 0, 0]


def _rows(fleet: Fleet, sql: str) -> list[dict[str, Any]]:
    fleet.build()
    fleet.build_marts()
    return fleet.query(sql)


def test_trips_end_before_a_stop_of_five_minutes(fleet: Fleet) -> None:
    """Minutes 1 to 13 are one trip (the rests in it last 3 and 2 minutes), 19 to 21 another; midnight is nothing."""
    fleet.take(drive("T1", START, SPEEDS))
    first, second = _rows(fleet, "SELECT * FROM truck_trip ORDER BY trip_start")
    assert (first["trip_start"], first["trip_end"]) == ("2024-06-01T23:51:00.000Z", "2024-06-02T00:03:00.000Z")
    assert (first["moving_min"], first["idle_min"], first["unobserved_min"]) == (7, 5, 0)
    assert abs(first["distance_km"] - (50 + 60 + 70 + 30 + 40 + 50 + 60) / 60) < 1e-6
    assert (first["distance_source"], first["max_speed_kmh"], first["fuel_source"]) == ("odometer", 70, "rate")
    # rates at the ends of each minute: 24 L/h moving, 2 L/h idling
    rates = [24.0 if speed else 2.0 for speed in SPEEDS[1:14]]
    assert abs(first["fuel_l"] - sum((a + b) / 2 for a, b in itertools.pairwise(rates)) / 60) < 1e-9
    assert (second["trip_start"], second["moving_min"]) == ("2024-06-02T00:09:00.000Z", 2)


def test_a_trip_ends_where_nothing_is_observed_for_ten_minutes(fleet: Fleet) -> None:
    samples = drive("T1", START, [50] * 40)
    fleet.take(samples[:10] + samples[15:20] + samples[31:])
    first, second = _rows(fleet, "SELECT * FROM truck_trip ORDER BY trip_start")
    assert (first["moving_min"], first["unobserved_min"], first["idle_min"]) == (9 + 4, 6, 0)
    assert (first["trip_end"], second["trip_start"]) == ("2024-06-02T00:09:00.000Z", "2024-06-02T00:21:00.000Z")
    assert abs(first["distance_km"] - 50 * 19 / 60) < 0.01


def test_distance_by_gps_where_the_odometer_falls(fleet: Fleet) -> None:
    samples = drive("T1", START, [60] * 11)
    samples[5]["odometer_reading"] = 3.0
    fleet.take(samples)
    (trip,) = _rows(fleet, "SELECT * FROM truck_trip")
    assert trip["distance_source"] == "gps"
    assert abs(trip["distance_km"] - 10 / 1e4 * 111.195) < 0.001  # ten steps of 1e-4 degrees of latitude


def test_an_odometer_that_leaps_is_not_believed(fleet: Fleet) -> None:
    """A reading that no truck can have driven to: while it drives, where it stands, and from another unit for good."""
    driving = drive("T1", START, [60] * 11)
    driving[5]["odometer_reading"] = 99_999_999.0  # there and back
    ending = drive("T2", START, [60] * 10 + [0])
    ending[10]["odometer_reading"] = 99_999_999.0
    swapped = drive("T3", START, [60] * 5) + drive("T3", "2024-06-01T23:55:00.000Z", [60] * 6, seq=6, odometer=50_000)
    fleet.take([*driving, *ending, *swapped])
    days = _rows(fleet, "SELECT truck_id, SUM(distance_km) AS km FROM truck_day GROUP BY truck_id ORDER BY truck_id")
    assert all(0 < day["km"] <= 12 for day in days), days
    trips = fleet.query("SELECT truck_id, distance_km, distance_source FROM truck_trip ORDER BY truck_id")
    assert [(trip["truck_id"], trip["distance_source"]) for trip in trips] == [
        ("T1", "gps"),
        ("T2", "gps"),
        ("T3", "gps"),
    ]
    assert all(0 < trip["distance_km"] <= 12 for trip in trips), trips


def test_a_position_that_no_truck_can_reach_adds_no_way(fleet: Fleet) -> None:
    """Half the world away for a minute, without an odometer: the way of the other minutes counts."""
    samples = drive("T1", START, [60] * 11)
    for sample in samples:
        sample["odometer_reading"] = None
    samples[5]["gps_location"] |= {"latitude": -33.9, "longitude": 151.2}
    fleet.take(samples)
    (trip,) = _rows(fleet, "SELECT * FROM truck_trip")
    assert trip["distance_source"] == "gps"
    assert abs(trip["distance_km"] - 8 / 1e4 * 111.195) < 0.001


def test_stops_last_five_minutes_or_more(fleet: Fleet) -> None:
    fleet.take(drive("T1", START, SPEEDS))
    (stop,) = _rows(fleet, "SELECT * FROM truck_stop")
    assert (stop["stop_start"], stop["stop_end"]) == ("2024-06-02T00:03:00.000Z", "2024-06-02T00:09:00.000Z")
    assert stop["idle_min"] == 6


def test_refuels_and_drops_that_stay(fleet: Fleet) -> None:
    fleet.take(drive("T1", "2024-06-01T08:00:00.000Z", [50] * 10, fuel=40))
    noise = drive("T1", "2024-06-01T08:10:00.000Z", [50], fuel=90, seq=11)
    fleet.take([*noise, *drive("T1", "2024-06-01T08:11:00.000Z", [50] * 10, fuel=39, seq=12)])
    fleet.take(drive("T1", "2024-06-02T08:00:00.000Z", [0] * 5, fuel=95, seq=22))
    stolen = drive("T1", "2024-06-03T08:00:00.000Z", [0] * 5, fuel=60, seq=27)
    for sample in stolen:
        sample["engine_diagnostics"]["engine_rpm"] = 0
    fleet.take(stolen)
    refuel, drop = _rows(fleet, "SELECT * FROM fuel_event ORDER BY at")
    assert (refuel["kind"], refuel["at"], round(refuel["level_after"])) == ("refuel", "2024-06-02T08:00:00.000Z", 95)
    assert (drop["kind"], drop["at"], drop["suspicious"]) == ("drop", "2024-06-03T08:00:00.000Z", True)
    assert drop["litres"] is None  # no tank is known


def test_completeness_counts_holes_on_the_day_before_them(fleet: Fleet) -> None:
    samples = drive("T1", START, [50] * 30)
    fleet.take([*samples[:8], *samples[11:20], *samples[25:]])
    fleet.take([{"truck_id": "T1", "vehicle_speed": "fast"}], received="2024-06-02T12:00:00.000Z")
    rows = _rows(fleet, "SELECT * FROM completeness_day ORDER BY day")
    assert [(row["day"], row["expected"], row["received"], row["refused"]) for row in rows] == [
        ("2024-06-01", 11, 8, 0),
        ("2024-06-02", 19, 14, 1),
    ]
    days = fleet.query("SELECT * FROM truck_day ORDER BY day")
    assert [(row["samples_expected"], row["samples_received"]) for row in days] == [(11, 8), (19, 14)]
