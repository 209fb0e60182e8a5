"""A virtual truck is a function of its name, its seed and the time, and says only what the wire accepts."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.sensors import Reading
from agent.sensors.merge import merge
from contract import codec, timestamps
from contract.records import at, read_sample
from contract.telemetry import LEAVES
from simulator.routes import all_routes
from simulator.sensor import SimulatedSensor
from simulator.vehicle import Vehicle

START = datetime(2026, 11, 20, 6, tzinfo=UTC)
HEALTH = "vehicle_health_and_maintenance"
trucks = st.builds(Vehicle, st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True), st.integers(0, 2**32))
moments = st.datetimes(datetime(2026, 1, 2), datetime(2036, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def _sample(truck: Vehicle, moment: datetime) -> dict[str, codec.Json]:
    document, quality = merge([SimulatedSensor(truck).read(moment)])
    head = {"truck_id": truck.truck_id, "stream_id": "s1", "seq": 1, "sampled_at": timestamps.from_datetime(moment)}
    return {**head, **document, "quality": quality}


@given(trucks, moments)
@settings(max_examples=100)
def test_every_sample_is_one_that_the_contract_accepts(truck: Vehicle, moment: datetime) -> None:
    """And every leaf has a value, or stands with a reason."""
    wire = codec.parse(codec.dump(_sample(truck, moment)))
    sample = read_sample(wire, received_ms=int(moment.timestamp() * 1000), date_by_arrival=False)
    assert sample.unknown == ()
    for leaf in LEAVES:
        assert at(sample.record, leaf) is not None or leaf.split(".")[0] in sample.record["quality"]


@given(trucks, moments, st.lists(st.integers(0, 14_400), min_size=1, max_size=12))
@settings(max_examples=50)
def test_odometer_never_falls_and_fuel_stays_in_the_tank(truck: Vehicle, moment: datetime, steps: list[int]) -> None:
    """Whatever the pauses between two looks."""
    before = -1.0
    for step in steps:
        moment += timedelta(seconds=step)
        values = truck.at(moment).values
        assert values["odometer_reading"] >= before
        assert 10 <= values["engine_diagnostics.fuel_level"] <= 100
        before = values["odometer_reading"]


@given(st.integers(0, 1000), st.lists(moments, min_size=2, max_size=5))
@settings(max_examples=25)
def test_two_trucks_of_one_name_and_seed_agree_for_ever(seed: int, asked: list[datetime]) -> None:
    """In whatever order they are asked: a restarted simulator finds the truck where it would have been."""
    first, second = Vehicle("TRUCK-007", seed), Vehicle("TRUCK-007", seed)
    assert [first.at(moment) for moment in asked] == [second.at(moment) for moment in asked[::-1]][::-1]


def test_another_seed_is_another_truck() -> None:
    """Else a second fleet would drive in the first one's tracks."""
    assert Vehicle("TRUCK-001", 1).at(START).values != Vehicle("TRUCK-001", 2).at(START).values


def test_what_belongs_together_agrees() -> None:
    """Distance with speed, fuel level with fuel rate, engine speed with gear, nothing with the engine off."""
    truck, litres, metres = Vehicle("TRUCK-002", 1), 0.0, 0.0
    first = last = truck.at(START).values
    for second in range(5, 3600, 5):
        state = truck.at(START + timedelta(seconds=second))
        values = state.values
        metres += (values["vehicle_speed"] + last["vehicle_speed"]) / 2 / 3.6 * 5
        litres += values["fuel_consumption"] / 3600 * 5
        assert abs(values["vehicle_speed"] - last["vehicle_speed"]) <= 3.6 * 5
        assert (values["engine_diagnostics.engine_rpm"] > 600) == state.engine_on
        assert (values["engine_diagnostics.oil_pressure"] > 8) == state.engine_on
        assert (values["engine_diagnostics.battery_voltage"] > 12.65) == state.engine_on or values[
            f"{HEALTH}.active_faults"
        ]
        assert values["engine_diagnostics.engine_rpm"] < 2200
        assert state.gear == 0 or values["vehicle_speed"] > 1
        last = values
    assert abs(metres / 1000 - (last["odometer_reading"] - first["odometer_reading"])) < 0.5
    used = (first["engine_diagnostics.fuel_level"] - last["engine_diagnostics.fuel_level"]) * 1.2
    assert 1 < used < 25
    assert abs(litres - used) < 0.15 * used


def _tracked(truck: Vehicle, moment: datetime) -> tuple[object, ...]:
    values = truck.at(moment).values
    tires = [psi >= 80 for leaf, psi in values.items() if "tire_pressure" in leaf]  # type: ignore[operator]
    return (
        values[f"{HEALTH}.brake_status"],
        values[f"{HEALTH}.transmission_status"],
        str(values[f"{HEALTH}.active_faults"]),
        tires,
    )


def test_history_moves_a_few_times_an_hour() -> None:
    """Between one and ten changes of what is tracked by default, per truck and simulated hour, on average."""
    hours, changes = 24, 0
    fleet = [Vehicle(f"TRUCK-{number:03}", 1) for number in range(1, 6)]
    for truck in fleet:
        keys = [_tracked(truck, START + timedelta(minutes=minute)) for minute in range(hours * 60)]
        changes += sum(before != after for before, after in pairwise(keys))
    assert 1 <= changes / len(fleet) / hours <= 10


def test_a_tunnel_takes_the_fix_and_nothing_else() -> None:
    """Without a fix the position is not available and the receiver knows no time; the engine is still read."""
    sensor = SimulatedSensor(Vehicle("TRUCK-001", 1))  # round the ring road, with its tunnels
    readings: list[Reading] = [sensor.read(START + timedelta(minutes=minute)) for minute in range(180)]
    dark = [reading for reading in readings if reading.time is None]
    assert 3 <= len(dark) <= 30
    for reading in dark:
        assert reading.quality == {"gps_location": "not_available"}
        assert not any(leaf.startswith("gps_location") for leaf in reading.values)
        assert "engine_diagnostics.engine_rpm" in reading.values
    assert all(reading.quality == {} for reading in readings if reading.time is not None)


def test_routes_are_drivable() -> None:
    """Each starts and ends at the depot, and each piece is long enough to speed up and slow down in."""
    for route in all_routes():
        assert route.points[0] == route.points[-1] == all_routes()[0].points[0]
        assert route.stops >= 3
        assert min(piece.length for piece in route.pieces) > 800
        assert sum(piece.length for piece in route.pieces) - route.length < 1e-6
