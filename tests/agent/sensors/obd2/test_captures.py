"""A real drive decodes, frame by frame, to what another decoder wrote down second by second (the 1 Hz CSV)."""

import csv
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from agent.sensors.candump import Candump
from agent.sensors.canmod import Canmod
from agent.sensors.mixed_recording import Mixed
from agent.sensors.obd2.isotp import IsoTp
from agent.sensors.obd2.pids import PIDS, answers
from agent.sensors.replay import ReplaySensor, open_recording

PARTS = tuple(f"obd2/css_car_3BA199E2_0164_part{part}.log.gz" for part in (1, 2, 3))
TABLE = "obd2/css_car_3BA199E2_0164_1hz.csv"
NOW = datetime(2030, 1, 1, tzinfo=UTC)

COLUMNS = {
    0x04: "obd_load_pct",
    0x05: "obd_coolant_c",
    0x0B: "obd_map_kpa",
    0x0C: "obd_rpm",
    0x0D: "obd_speed_kmh",
    0x11: "obd_throttle_pct",
    0x2F: "obd_fuel_level_pct",
    0x33: "obd_baro_kpa",
    0x42: "obd_module_v",
    0x62: "obd_act_torque_pct",
}
POSITION = {
    "gps_location.latitude": "lat",
    "gps_location.longitude": "lon",
    "gps_location.altitude": "alt_m",
    "gps_location.speed": "gnss_speed_kmh",
}

Seconds = dict[int, dict[str, float]]


@cache
def table(path: Path) -> dict[int, dict[str, str]]:
    with path.open(newline="") as file:
        return {int(row["unix_s"]): row for row in csv.DictReader(file)}


@cache
def drive(*paths: Path) -> tuple[Seconds, Seconds]:
    """Second → the last value in it: (each parameter by its column, each leaf of the receiver)."""
    asked: Seconds = defaultdict(dict)
    seen: Seconds = defaultdict(dict)
    for path in paths:
        isotp, receiver = IsoTp(), Canmod()
        with open_recording(path) as lines:
            for now, frame in Candump(lines):
                for pid, data in answers(isotp.feed(now, frame) or b""):
                    asked[int(now)][COLUMNS[pid]] = PIDS[pid].value(data)
                receiver.feed(now, frame)
                if not frame.extended and frame.can_id == 8:  # the last one of each second's burst
                    seen[int(now)] |= receiver.snapshot(now)[0]  # type: ignore[arg-type]
    return asked, seen


@pytest.fixture
def paths(recording: Callable[[str], Path]) -> list[Path]:
    return [recording(name) for name in PARTS]


@pytest.mark.parametrize("column", COLUMNS.values())
def test_every_parameter_of_every_second_is_that_of_the_table(
    recording: Callable[[str], Path], paths: list[Path], column: str
) -> None:
    rows = table(recording(TABLE))
    compared = 0
    for second, values in drive(*paths)[0].items():
        if column in values and rows[second][column]:
            assert values[column] == pytest.approx(float(rows[second][column]), abs=0.001), second
            compared += 1
    assert compared >= (170 if column == "obd_fuel_level_pct" else 500)


@pytest.mark.parametrize(("leaf", "column"), POSITION.items())
def test_every_position_is_that_of_the_table(
    recording: Callable[[str], Path], paths: list[Path], leaf: str, column: str
) -> None:
    rows = table(recording(TABLE))
    near = {"lat": 1e-6, "lon": 1e-6}.get(column, 0.1)
    compared = 0
    for second, values in drive(*paths)[1].items():
        if leaf in values and rows[second][column]:
            assert values[leaf] == pytest.approx(float(rows[second][column]), abs=near), second
            compared += 1
    assert compared > 1000


def test_no_position_where_the_table_has_none(recording: Callable[[str], Path], paths: list[Path]) -> None:
    rows = table(recording(TABLE))
    without = [second for second, row in rows.items() if row["fix_type"] == "0"]
    found = drive(*paths)[1]
    assert sum(second in found for second in without) > 50
    assert not any("gps_location.latitude" in found.get(second, {}) for second in without)


@pytest.mark.parametrize("name", PARTS)
def test_the_replay_sensor_plays_the_drive(recording: Callable[[str], Path], name: str) -> None:
    """Every leaf that the car answers is there at each read, and as it stands in the table at that second."""
    rows = table(recording(TABLE))
    sensor = ReplaySensor(recording(name), interval=60)
    readings = [sensor.read(NOW) for _ in range(8)]
    sensor.close()
    with open_recording(recording(name)) as lines:
        start = next(now for now, _ in Candump(lines))
    for number, reading in enumerate(readings, 1):
        window = [rows[second] for second in range(int(start) + 60 * number - 15, int(start) + 60 * number + 2)]
        for leaf, column in (
            ("engine_diagnostics.engine_rpm", "obd_rpm"),
            ("vehicle_speed", "obd_speed_kmh"),
            ("engine_diagnostics.engine_temperature", "obd_coolant_c"),
            ("engine_diagnostics.battery_voltage", "obd_module_v"),
            ("engine_diagnostics.fuel_level", "obd_fuel_level_pct"),
        ):
            said = [float(row[column]) for row in window if row[column]]
            assert min(said) - 0.01 <= reading.values[leaf] <= max(said) + 0.01, (number, leaf)  # type: ignore[operator]


def test_j1939_finds_nothing_in_a_van(recording: Callable[[str], Path]) -> None:
    """The 29-bit frames of this car are its maker's own."""
    mixed: Any = Mixed()
    with open_recording(recording(PARTS[0])) as lines:
        for now, frame in Candump(lines):
            if frame.extended:
                mixed.feed(now, frame)
    assert mixed.snapshot(now)[0] == {}
