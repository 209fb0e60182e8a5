"""`since_last` on the wire: valid, small enough for one write unit, and dated with its sample."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.buffer import Dated
from agent.buffer.sqlite import SqliteBuffer
from agent.sampling.event_detection import Events
from agent.sampling.recorder import Recorder
from agent.sampling.sampler import Sampler
from agent.sampling.since_last import MOST_BYTES, fitted, group, joined
from agent.sensors import Reading, Sensor
from agent.sensors.replay import ReplaySensor
from agent.sensors.since_last import SPEED, Driven, FieldSpread, Interval, Manoeuvre
from collector.history import TrackingPolicy
from collector.ingest.history_writer import HistoryWriter
from collector.rows import StoredSample
from collector.stores.dynamodb import items
from contract.codec import dump
from contract.records import read_sample
from contract.telemetry import Telemetry
from simulator.sensor import SimulatedSensor
from simulator.vehicle import Vehicle
from tests import recordings
from tests.agent.fakes import TruckClock

START = datetime(2026, 6, 1, 8, tzinfo=UTC)
DRIVES = (
    "j1939/css_truck_idle_11111111.log.gz",
    "j1939/css_24v_keyon_FCBF0606_2058.log.gz",
    "obd2/css_car_3BA199E2_0164_part1.log.gz",
    "obd2/css_car_3BA199E2_0164_part3.log.gz",
    "trips/driveplotr_nds_drives.csv.gz",
)


def _samples(sensor: Sensor, folder: Path, count: int) -> Iterator[dict[str, Any]]:
    clock = TruckClock(START)
    clock.synchronised = True
    with SqliteBuffer(folder / "b.db", "TRUCK-001") as buffer:
        recorder = Recorder(Sampler("TRUCK-001", [sensor], clock), clock, buffer)
        for _ in range(count):
            for row in recorder.tick():
                yield json.loads(row.body)
            clock.passes(60)
    sensor.close()


def _sensors() -> dict[str, Callable[[], Sensor]]:
    drives = {name: lambda name=name: ReplaySensor(recordings.recording(name), interval=60) for name in DRIVES}
    return {**drives, "simulated": lambda: SimulatedSensor(Vehicle("TRUCK-001", 1))}  # type: ignore[dict-item]


@pytest.mark.parametrize("name", [*DRIVES, "simulated"])
def test_every_sample_of_a_drive_is_valid_and_takes_no_write_unit_more(name: str, ram: Path) -> None:
    told = 0
    for sample in _samples(_sensors()[name](), ram, 12):
        Telemetry.model_validate(sample)
        since = sample.get("since_last", {})
        told += bool(since)
        assert len(dump(since).encode()) <= MOST_BYTES
        plain = {name: value for name, value in sample.items() if name != "since_last"}
        assert _units(sample) == _units(plain)
    assert told


def _units(sample: dict[str, Any]) -> int:
    """DynamoDB's write units of its item, a kilobyte each."""
    return -(-items.size(items.sample_item("TRUCK-001", _stored(sample))) // 1024)


def _stored(sample: dict[str, Any]) -> StoredSample:
    """The row that ingest makes of it."""
    read = read_sample(sample, received_ms=1_780_300_860_000, date_by_arrival=False)
    return HistoryWriter._row(HistoryWriter(None, TrackingPolicy.of()), read, None, 1_780_300_860_000)  # type: ignore[arg-type]


def _crowded() -> Interval:
    spreads = {f"engine_diagnostics.{name}": FieldSpread(1.237, 98.765, 43.21) for name in ("engine_rpm", "fuel_level")}
    spreads |= {f"engine_diagnostics.{name}": FieldSpread(11.117, 14.987, 12.345) for name in ("battery_voltage",)}
    spreads |= {SPEED: FieldSpread(0.13, 88.91, 51.37)}
    manoeuvres = tuple(Manoeuvre("braking", 3.3 * number, 3.0 + number / 7) for number in range(6))
    codes = {(100 + number * 37, number, number): (50.1 + number, 2.2 * number) for number in range(5)}
    return Interval(60.0, 4000, spreads, {SPEED: Driven(40.1, 19.9, 0.8123)}, 0.0123, manoeuvres, codes)


def test_means_go_first_then_what_history_does_not_track_and_what_happened_stays() -> None:
    names = ("gps_location.speed", "gps_location.altitude", "environmental_conditions.temperature", "fuel_consumption")
    more = {name: FieldSpread(1.37 + number, 87.13 - number, 43.19) for number, name in enumerate(names)}
    small, left_out = fitted(_crowded()._replace(spreads={**_crowded().spreads, **more}), {})
    assert left_out == ("mean", "min", "max")
    found = group(small, START)
    assert "mean" not in found
    assert set(found["min"]) == {"engine_diagnostics.battery_voltage"}
    assert (len(found["harsh"]), len(found["faults"])) == (6, 5)
    assert found["distance_km"] == 0.8123


def test_of_a_hundred_active_codes_the_one_that_went_away_is_told() -> None:
    active = [{"spn": number, "fmi": 3, "source": 0} for number in range(99)]
    codes = {(number, 3, 0): (60.0, 0.5) for number in range(99)} | {(5000, 1, 0): (30.0, 29.0)}
    document: Any = {"vehicle_health_and_maintenance": {"active_faults": active}}
    small, left_out = fitted(_crowded()._replace(codes=codes, manoeuvres=()), document)
    assert (set(small.codes), left_out) == ({(5000, 1, 0)}, ("faults",))


def test_what_fits_is_left_as_it_is() -> None:
    spare = _crowded()._replace(manoeuvres=(), codes={})
    assert fitted(spare, {}) == (spare, ())


def test_instants_move_with_a_sample_that_is_dated_later(ram: Path) -> None:
    """The clock stood in 1970; when time came, the braking is still 20 s before its sample."""
    found = group(_crowded(), datetime(1970, 1, 1, 12, tzinfo=UTC))
    draft = {"sampled_at": "1970-01-01T12:00:00.000Z", "time_quality": "estimated", "since_last": found}
    with SqliteBuffer(ram / "b.db", "T1") as buffer:
        row = buffer.append(draft, waits=True)
        buffer.release([Dated(row.seq, START, "gps")])
        [sent] = buffer.pending(after=0, through=1, limit=1)
    sample = json.loads(sent.body)
    assert sample["sampled_at"] == "2026-06-01T08:00:00.000Z"
    before = [
        (START - datetime.fromisoformat(each["at"])) / timedelta(seconds=1) for each in sample["since_last"]["harsh"]
    ]
    assert before == pytest.approx([each.ago for each in _crowded().manoeuvres], abs=0.002)
    first = [
        (START - datetime.fromisoformat(each["first"])) / timedelta(seconds=1)
        for each in sample["since_last"]["faults"]
    ]
    assert first == pytest.approx([first for first, _ in _crowded().codes.values()], abs=0.002)
    last = [
        (START - datetime.fromisoformat(each["last"])) / timedelta(seconds=1) for each in sample["since_last"]["faults"]
    ]
    assert last == pytest.approx([last for _, last in _crowded().codes.values()], abs=0.002)


class OneInterval:
    """A sensor with one account to tell."""

    def __init__(self) -> None:
        self.interval: Interval | None = None

    def read(self, now: datetime) -> Reading:
        """Nothing but the account."""
        return Reading({}, {}, interval=self.interval)

    def close(self) -> None:
        """Nothing to release."""


def test_it_can_be_switched_off_while_it_runs() -> None:
    sensor = OneInterval()
    sensor.interval = _crowded()
    sampler = Sampler("T1", [sensor], TruckClock(START))
    assert sampler.sample().interval
    sampler.since_last = False
    assert sampler.sample().interval is None


def test_several_sensors_are_one_account() -> None:
    bus = Interval(60, 10, {SPEED: FieldSpread(1, 2, 1.5)}, {SPEED: Driven(1, 2, 3)}, None, (), {(1, 2, 0): (5, 4)})
    receiver = Interval(
        50, 5, {SPEED: FieldSpread(8, 9, 8.5)}, {}, 0.5, (Manoeuvre("cornering", 3, 4),), {(1, 2, 0): (9, 1)}
    )
    one = joined([bus, receiver])
    assert one
    assert (one.seconds, one.readings, one.litres) == (60, 15, 0.5)
    assert (one.spreads[SPEED], one.driven[SPEED]) == (FieldSpread(1, 2, 1.5), Driven(1, 2, 3))
    assert (one.manoeuvres, one.codes) == (receiver.manoeuvres, {(1, 2, 0): (9, 1)})
    assert joined([]) is None


def test_a_burst_of_a_fault_code_and_a_hard_braking_are_events() -> None:
    quiet = _crowded()._replace(manoeuvres=(), codes={})
    events = Events()
    assert events.is_event({}, quiet)
    assert not events.is_event({}, quiet)
    assert events.is_event({}, quiet._replace(codes={(1, 2, 0): (5.0, 4.0)}))
    assert events.is_event({}, quiet)
    assert events.is_event({}, quiet._replace(manoeuvres=_crowded().manoeuvres))
    assert not events.is_event({"quality": {"since_last.mean": "not_available"}}, quiet)


def test_a_virtual_truck_accounts_for_what_it_really_drove() -> None:
    vehicle = Vehicle("TRUCK-001", 1)
    sensor, at = SimulatedSensor(vehicle), START
    sensor.read(at)
    told = []
    for _ in range(240):
        at += timedelta(seconds=60)
        interval = sensor.read(at).interval
        assert interval
        told.append(interval)
    driven = vehicle.kilometres(at.timestamp()) - vehicle.kilometres(START.timestamp())
    assert sum(one.driven[SPEED].kilometres for one in told) == pytest.approx(driven)
    assert driven > 10
    assert all(one.driven[SPEED].moving + (one.driven[SPEED].idle or 0) <= 60.001 for one in told)
    assert any(one.manoeuvres for one in told)
