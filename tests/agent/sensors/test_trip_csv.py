"""Trip tables: which column is which leaf, and what a missing cell or a lost fix means."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.sensors.trip_csv import CSS_CAR, DRIVEPLOTR, TripState, layout_of, rows

CAR_ROW = {
    "unix_s": "100", "alt_m": "127.0", "fix_type": "3", "gnss_speed_kmh": "67.4", "lat": "56.103392", "lon": "10.20247",
    "obd_baro_kpa": "99", "obd_coolant_c": "69", "obd_fuel_level_pct": "53.333", "obd_module_v": "13.34",
    "obd_rpm": "1154.5", "obd_speed_kmh": "68",
}  # fmt: skip
DRIVE_ROW = {
    "drive": "2", "time_utc": "1558708711", "gps_lat": "41.25791", "gps_long": "-95.99604", "gps_elevation": "346.9",
    "gps_fix": "3", "speed_mph": "31.73343", "speed_source": "gps", "engine_rpm": "1605",
}  # fmt: skip


def car(*changes: dict[str, str]) -> TripState:
    state = TripState(CSS_CAR)
    for at, change in enumerate(changes or ({},)):
        state.feed(at, CAR_ROW | change)
    return state


def drive(**change: str) -> tuple[dict, dict]:
    state = TripState(DRIVEPLOTR)
    state.feed(0, DRIVE_ROW | change)
    return state.snapshot(0)


def test_a_car_row_in_wire_units() -> None:
    assert car().snapshot(0) == (
        {
            "gps_location.latitude": 56.103392,
            "gps_location.longitude": 10.20247,
            "gps_location.altitude": 127.0,
            "gps_location.speed": 67.4,
            "vehicle_speed": 68.0,
            "engine_diagnostics.engine_rpm": 1154.5,
            "engine_diagnostics.engine_temperature": 69.0,
            "engine_diagnostics.fuel_level": 53.33,
            "engine_diagnostics.battery_voltage": 13.34,
            "environmental_conditions.atmospheric_pressure": 990.0,
        },
        {},
    )


def test_miles_an_hour_become_kilometres() -> None:
    assert drive()[0]["gps_location.speed"] == 51.07


def test_a_speed_of_the_satellites_is_not_the_vehicles() -> None:
    values, quality = drive()
    assert "vehicle_speed" not in values
    assert quality["vehicle_speed"] == "not_available"


def test_a_speed_of_the_vehicle_is_not_the_satellites() -> None:
    values, quality = drive(speed_source="obd")
    assert values["vehicle_speed"] == 51.07
    assert quality["gps_location.speed"] == "not_available"


def test_without_a_fix_there_is_no_position_at_once() -> None:
    values, quality = car({}, {"fix_type": "0"}).snapshot(1)
    assert not any(leaf.startswith("gps_location") for leaf in values)
    assert quality["gps_location.latitude"] == "not_available"


def test_a_flat_fix_has_no_altitude() -> None:
    values, quality = car({"fix_type": "2"}).snapshot(0)
    assert "gps_location.latitude" in values
    assert quality["gps_location.altitude"] == "not_available"


def test_an_empty_cell_keeps_the_value_until_it_is_stale() -> None:
    state = car({}, {"obd_rpm": ""})
    assert state.snapshot(5)[0]["engine_diagnostics.engine_rpm"] == 1154.5
    assert state.snapshot(5.1)[1]["engine_diagnostics.engine_rpm"] == "stale"


def test_a_slow_column_may_be_empty_for_longer() -> None:
    assert "engine_diagnostics.fuel_level" in car().snapshot(50)[0]


@pytest.mark.parametrize(("cell", "reason"), [("abc", "error"), ("nan", "implausible"), ("91", "implausible")])
def test_a_cell_that_is_no_latitude_has_a_reason(cell: str, reason: str) -> None:
    assert car({"lat": cell}).snapshot(0)[1]["gps_location.latitude"] == reason


def test_a_trip_odometer_is_no_odometer() -> None:
    assert not any(column.leaf == "odometer_reading" for column in (*CSS_CAR.columns, *DRIVEPLOTR.columns))


def test_an_unknown_header_has_no_layout() -> None:
    assert layout_of("time,speed\n") is None


def test_rows_that_are_broken_are_passed_over() -> None:
    header = ",".join(CAR_ROW)
    lines = [header, ",".join(CAR_ROW.values()), "x,,", "", "nan,1", "101,,", '"' + "9" * 200_000, "\n"]
    assert [stamp for stamp, _ in rows(lines, CSS_CAR)] == [100, 101]


@pytest.mark.parametrize(
    ("name", "layout"),
    [("trips/driveplotr_nds_drives.csv", DRIVEPLOTR), ("obd2/css_car_3BA199E2_0164_1hz.csv", CSS_CAR)],
)
def test_the_real_tables_are_recognised_and_read_whole(
    recording: Callable[[str], Path], name: str, layout: object
) -> None:
    with recording(name).open() as file:
        found = layout_of(file.readline())
        assert found is layout
        file.seek(0)
        assert len([*rows(file, found)]) == len([*csv.reader(recording(name).open())]) - 1


@pytest.mark.parametrize("lacking", ["lat", "lon"])
def test_half_a_position_is_not_made_whole_by_the_row_before(lacking: str) -> None:
    values, quality = car({}, {"lat": "56.2", "lon": "10.3", lacking: ""}).snapshot(1)
    assert not values.keys() & {"gps_location.latitude", "gps_location.longitude"}
    assert quality["gps_location.latitude"] == quality["gps_location.longitude"] == "not_available"
