"""The replay sensor on real recordings: complete from the first sample, honest at the end, the same every lap."""

import gzip
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from agent.sensors import Reading
from agent.sensors.fields import LAMPS
from agent.sensors.merge import merge
from agent.sensors.replay import LEAD_IN, ReplaySensor
from contract.telemetry import Telemetry

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TRUCK = "j1939/css_truck_idle_11111111.log"
KEY_ON = "j1939/css_24v_keyon_FCBF0606_2058.log"
BENCH = "j1939/css_dm1_lfc_00000048.log"
CAR = "obd2/css_car_3BA199E2_0164_1hz.csv"
DRIVES = "trips/driveplotr_nds_drives.csv"
PART = "obd2/css_car_3BA199E2_0164_part1.log.gz"

ENGINE = "engine_diagnostics"
RPM = f"{ENGINE}.engine_rpm"
FAULTS = "vehicle_health_and_maintenance.active_faults"
TRUCK_LEAVES = {
    RPM,
    f"{ENGINE}.fuel_level",
    f"{ENGINE}.engine_temperature",
    f"{ENGINE}.oil_pressure",
    f"{ENGINE}.battery_voltage",
    "vehicle_speed",
    "odometer_reading",
    "fuel_consumption",
    "environmental_conditions.temperature",
    "environmental_conditions.atmospheric_pressure",
    FAULTS,
}


def play(path: Path, reads: int, interval: float = 60) -> list[Reading]:
    sensor = ReplaySensor(path, interval=interval)
    try:
        return [sensor.read(NOW) for _ in range(reads)]
    finally:
        sensor.close()


def engine_log(tmp_path: Path, *spans: tuple[float, float], name: str = "a.log") -> Path:
    """A log of engine speed ten times a second in each span of seconds, the speed being the second."""
    lines = []
    for start, end in spans:
        for tenth in range(int(start * 10), int(end * 10)):
            raw = int(tenth / 10) * 8
            lines.append(f"({1000 + tenth / 10:.1f}) can0 0CF00400#FFFFFF{raw.to_bytes(2, 'little').hex()}FFFFFF")
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("interval", [1, 5, 60, 600])
def test_the_first_read_has_every_signal_of_the_capture(recording: Callable[[str], Path], interval: float) -> None:
    lamps = set(LAMPS) - {"custom.lamp_protect"}  # of which its engine says nothing
    assert set(play(recording(TRUCK), 1, interval)[0].values) == TRUCK_LEAVES | lamps


def test_the_truck_ends_on_the_last_figures_of_its_capture(recording: Callable[[str], Path]) -> None:
    (reading,) = play(recording(TRUCK), 1, interval=600)
    assert reading.values[RPM] == 649.0
    assert reading.values["vehicle_speed"] == 0.0
    assert reading.values["fuel_consumption"] == 2.65
    assert reading.values["odometer_reading"] == 13832.875
    assert reading.values[f"{ENGINE}.oil_pressure"] == round(248 * 0.1450377377, 2)
    assert reading.values[f"{ENGINE}.engine_temperature"] == 72.0
    assert reading.values[f"{ENGINE}.battery_voltage"] == 13.25
    assert reading.values[f"{ENGINE}.fuel_level"] == 74.8


def test_the_trucks_faults_are_those_of_its_multi_packet_dm1(recording: Callable[[str], Path]) -> None:
    assert play(recording(TRUCK), 1)[0].values[FAULTS] == [
        {"spn": 980, "fmi": 9, "count": 126, "source": 0},
        {"spn": 3216, "fmi": 20, "count": 2, "source": 0},
        {"spn": 609, "fmi": 9, "count": 1, "source": 0},
        {"spn": 609, "fmi": 12, "count": 3, "source": 0},
    ]


def test_what_the_truck_lacks_has_its_reason(recording: Callable[[str], Path]) -> None:
    _, quality = merge(play(recording(TRUCK), 1))
    assert quality == {
        "vehicle_health_and_maintenance.brake_status": "not_available",
        "vehicle_health_and_maintenance.transmission_status": "not_available",
        "vehicle_health_and_maintenance.tire_pressure": "not_available",
        "environmental_conditions.humidity": "not_available",
        "gps_location": "not_available",
    }


def test_the_loggers_receiver_is_not_the_trucks(recording: Callable[[str], Path]) -> None:
    """CANmod.gps frames stand on the second interface; the truck's own bus says no position."""
    for reading in play(recording(TRUCK), 3):
        assert "gps_location.latitude" not in reading.values
        assert reading.quality["gps_location.latitude"] == "not_available"


def test_broken_sensors_of_a_stopped_engine_are_errors(recording: Callable[[str], Path]) -> None:
    (reading,) = play(recording(KEY_ON), 1)
    leaves = ("vehicle_speed", f"{ENGINE}.engine_temperature", f"{ENGINE}.oil_pressure")
    assert {leaf: reading.quality[leaf] for leaf in leaves} == dict.fromkeys(leaves, "error")


@pytest.mark.parametrize("name", [TRUCK, KEY_ON])
@pytest.mark.parametrize("interval", [7, 60])
def test_nothing_is_ever_stale_in_a_capture_without_pauses(
    recording: Callable[[str], Path], name: str, interval: float
) -> None:
    assert not any("stale" in reading.quality.values() for reading in play(recording(name), 25, interval))


def test_faults_are_the_last_that_the_bench_node_sent(recording: Callable[[str], Path]) -> None:
    assert play(recording(BENCH), 1, interval=54.3)[0].values[FAULTS] != []
    assert play(recording(BENCH), 1, interval=60)[0].values[FAULTS] == []


@pytest.mark.parametrize(("name", "reads"), [(TRUCK, 3), (KEY_ON, 2), (CAR, 40)])
def test_every_lap_gives_the_same_readings(recording: Callable[[str], Path], name: str, reads: int) -> None:
    readings = play(recording(name), 2 * reads)
    assert readings[:reads] == readings[reads:]


@pytest.mark.parametrize("name", [TRUCK, KEY_ON, BENCH, CAR, DRIVES, PART])
def test_every_reading_makes_a_sample_that_the_contract_accepts(recording: Callable[[str], Path], name: str) -> None:
    for reading in play(recording(name), 8):
        document, quality = merge([reading])
        Telemetry.model_validate({"truck_id": "t1", "quality": quality, **document})


@pytest.mark.parametrize("name", [TRUCK, CAR])
def test_a_replay_never_claims_to_know_the_time(recording: Callable[[str], Path], name: str) -> None:
    assert {reading.time for reading in play(recording(name), 4)} == {None}


def test_a_table_plays_on_by_its_interval(recording: Callable[[str], Path]) -> None:
    """The row 120 s in, then the one 180 s in, as they stand in the table."""
    readings = play(recording(CAR), 3)
    assert readings[1].values["vehicle_speed"] == 36.0
    assert (readings[2].values["gps_location.latitude"], readings[2].values[RPM]) == (56.101765, 959.5)


def test_each_drive_of_a_table_begins_anew(recording: Callable[[str], Path]) -> None:
    """Drives lie days apart: no sample falls between them, and none mixes two."""
    readings = play(recording(DRIVES), 30)
    known = [r.values["gps_location.latitude"] for r in readings if "gps_location.latitude" in r.values]
    assert len(known) >= 27
    assert all(abs(a - b) < 0.2 for a, b in pairwise(known))


def test_a_gzipped_capture_plays_like_a_plain_one(recording: Callable[[str], Path], tmp_path: Path) -> None:
    packed = tmp_path / "capture.dat"
    packed.write_bytes(gzip.compress(recording(BENCH).read_bytes()))
    assert play(packed, 5) == play(recording(BENCH), 5)


def test_a_capture_is_streamed_not_held(recording: Callable[[str], Path]) -> None:
    sensor = ReplaySensor(recording(TRUCK), interval=20)
    sensor.read(NOW)
    tracemalloc.start()
    sensor.read(NOW)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    sensor.close()
    assert peak < 200_000


def test_reads_play_on_by_the_interval(tmp_path: Path) -> None:
    readings = play(engine_log(tmp_path, (0, 100)), 4, interval=20)
    assert [reading.values[RPM] for reading in readings] == [20, 40, 60, 80]


def test_the_first_read_covers_the_lead_in(tmp_path: Path) -> None:
    readings = play(engine_log(tmp_path, (0, 100)), 3, interval=1)
    assert [reading.values[RPM] for reading in readings] == [LEAD_IN, LEAD_IN + 1, LEAD_IN + 2]


def test_the_last_read_ends_where_the_recording_ends(tmp_path: Path) -> None:
    readings = play(engine_log(tmp_path, (0, 50)), 4, interval=20)
    assert [reading.values[RPM] for reading in readings] == [20, 40, 49, 20]


def test_a_signal_that_falls_silent_is_stale(tmp_path: Path) -> None:
    path = engine_log(tmp_path, (0, 10))
    with path.open("a") as file:
        file.writelines(f"({1010 + second}) can0 18FEEE00#6F\n" for second in range(30))
    last = play(path, 2, interval=20)[1]
    assert last.quality[RPM] == "stale"


def test_silence_of_the_whole_bus_is_stale_too(tmp_path: Path) -> None:
    readings = play(engine_log(tmp_path, (0, 10), (50, 60)), 3, interval=20)
    assert [reading.quality.get(RPM) for reading in readings] == ["stale", "stale", None]


def test_staleness_does_not_leak_across_the_seam(tmp_path: Path) -> None:
    path = engine_log(tmp_path, (0, 10))
    with path.open("a") as file:
        file.writelines(f"({1010 + second}) can0 18FEEE00#6F\n" for second in range(30))
    readings = play(path, 3, interval=20)
    assert readings[2] == readings[0]


def test_a_value_does_not_leak_across_the_seam(tmp_path: Path) -> None:
    """Coolant is heard only at the end: the next lap begins without it."""
    path = engine_log(tmp_path, (0, 30))
    with path.open("a") as file:
        file.write("(1030.0) can0 18FEEE00#6F\n")
    first, second, third = play(path, 3, interval=20)
    coolant = f"{ENGINE}.engine_temperature"
    assert coolant in second.values
    assert first.quality[coolant] == third.quality[coolant] == "not_available"


def test_a_recorder_switched_off_leaves_no_empty_samples(tmp_path: Path) -> None:
    readings = play(engine_log(tmp_path, (0, 30), (4000, 4030)), 5, interval=20)
    assert [reading.values[RPM] for reading in readings] == [20, 29, 4020, 4029, 20]


def test_garbage_between_frames_does_not_stop_it(tmp_path: Path) -> None:
    path = engine_log(tmp_path, (0, 30))
    path.write_bytes(path.read_bytes().replace(b"(1005.0)", b"\xff\x00 noise\n(99999999999.0)"))
    assert [reading.values.get(RPM) for reading in play(path, 3, interval=20)][-1] is not None


def test_a_cut_off_gzip_file_plays_as_far_as_it_goes(tmp_path: Path) -> None:
    plain = engine_log(tmp_path, (0, 300))
    packed = tmp_path / "a.log.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes())[:-2000])
    readings = play(packed, 30, interval=20)
    assert all(RPM in reading.values for reading in readings)


def test_a_file_that_vanishes_is_an_error_until_it_is_back(tmp_path: Path) -> None:
    path = engine_log(tmp_path, (0, 30))
    sensor = ReplaySensor(path, interval=60)
    first = sensor.read(NOW)
    path.rename(tmp_path / "away.log")
    gone = sensor.read(NOW)
    (tmp_path / "away.log").rename(path)
    assert (gone.values, gone.quality[RPM]) == ({}, "error")
    assert sensor.read(NOW) == first
    sensor.close()


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    sensor = ReplaySensor(engine_log(tmp_path, (0, 30)), interval=5)
    sensor.read(NOW)
    sensor.close()
    sensor.close()
