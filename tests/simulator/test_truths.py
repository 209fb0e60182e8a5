"""The planted truths are what the trucks really do: each is found again in the samples that a truck would send."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contract import timestamps
from simulator import truths
from simulator.cli import app
from simulator.vehicle import TANK_L, Vehicle

START = datetime(2026, 11, 1, tzinfo=UTC)
END = START + timedelta(days=6)
FUEL = "engine_diagnostics.fuel_level"
TRUCKS = [Vehicle(f"TRUCK-{number:03}", 1) for number in range(1, 5)]


def moment(text: object) -> datetime:
    return timestamps.to_datetime(str(text))


def found(kind: str) -> list[tuple[Vehicle, truths.Truth]]:
    """Every truth of a kind that lies whole within the span."""
    return [
        (truck, truth)
        for truck, truth in everything()
        if truth["kind"] == kind and moment(truth["from"]) > START and moment(truth["to"]) < END
    ]


@cache
def everything() -> list[tuple[Vehicle, truths.Truth]]:
    return [(truck, truth) for truck in TRUCKS for truth in truths.of_truck(truck, START, END)]


def value(truck: Vehicle, at: datetime, field: str) -> float:
    return float(str(truck.at(at).values[field]))


def test_a_trip_has_the_odometers_kilometres_and_the_rates_litres() -> None:
    for truck, trip in found("trip")[:5]:
        start, end = moment(trip["from"]), moment(trip["to"])
        driven = value(truck, end, "odometer_reading") - value(truck, start, "odometer_reading")
        assert trip["distance_km"] == pytest.approx(driven, abs=0.03)
        seconds = int((end - start).total_seconds())
        litres = sum(value(truck, start + timedelta(seconds=s), "fuel_consumption") for s in range(0, seconds, 5)) / 720
        assert trip["fuel_l"] == pytest.approx(litres, rel=0.03, abs=0.1)


def test_a_truck_moves_at_a_trips_ends_and_stands_through_a_stop() -> None:
    second = timedelta(seconds=1)
    for truck, trip in found("trip")[:40]:
        assert value(truck, moment(trip["from"]) + second, "vehicle_speed") >= 5
        assert value(truck, moment(trip["to"]) - second, "vehicle_speed") >= 5
    for truck, stop in found("stop")[:40]:
        start, end = moment(stop["from"]) + second, moment(stop["to"]) - second
        assert end - start >= timedelta(seconds=truths.STOP_S - 3)
        for share in (0.0, 0.3, 0.6, 1.0):
            at = start + (end - start) * share
            assert value(truck, at, "vehicle_speed") <= 5
            assert value(truck, at, "gps_location.latitude") == pytest.approx(stop["latitude"], abs=1e-3)


def test_a_refuel_and_a_theft_stand_in_the_level_that_is_sent() -> None:
    refuels, thefts = found("refuel"), found("fuel_drop")
    assert refuels
    assert thefts
    for truck, refuel in refuels[:20]:
        before, after = (value(truck, moment(refuel[key]), FUEL) for key in ("from", "to"))
        assert before == pytest.approx(refuel["level_before"], abs=0.1)
        assert after == pytest.approx(refuel["level_after"], abs=0.1)
        assert refuel["litres"] == pytest.approx((after - before) / 100 * TANK_L, abs=0.2)
    for truck, theft in thefts[:10]:
        start, end = moment(theft["from"]), moment(theft["to"])
        assert not truck.at(start + (end - start) / 2).engine_on
        dropped = (value(truck, start, FUEL) - value(truck, end, FUEL)) / 100 * TANK_L
        assert dropped == pytest.approx(theft["litres"], abs=0.1)
        assert dropped / TANK_L >= 0.05  # a mart calls it a drop from 5 points on


def test_faults_are_active_from_their_beginning_to_their_end() -> None:
    health = "vehicle_health_and_maintenance.active_faults"
    for truck, fault in found("fault")[:30]:
        code = {key: fault[key] for key in ("spn", "fmi", "source")}
        start, end, tick = moment(fault["from"]), moment(fault["to"]), timedelta(seconds=1)
        seen = [truck.at(at).values[health] for at in (start - tick, start + tick, end - tick, end + tick)]
        active = [any(code.items() <= each.items() for each in faults) for faults in seen]  # type: ignore[attr-defined]
        assert active == [False, True, True, False]


def test_a_slow_puncture_loses_what_the_ledger_says() -> None:
    punctures = found("slow_puncture")
    assert punctures
    for truck, truth in punctures:
        field = f"vehicle_health_and_maintenance.tire_pressure.{truth['wheel']}"
        before_end = moment(truth["to"]) - timedelta(seconds=1)
        mended = moment(truth["to"]) + timedelta(seconds=1)
        lost = value(truck, mended, field) - value(truck, before_end, field)
        assert lost == pytest.approx(truth["worst_psi"], abs=1.5) or value(truck, mended, field) < 40  # flat besides


def test_the_days_of_a_span_add_up_whatever_it_is_cut_into() -> None:
    truck = TRUCKS[2]
    whole = [truth for each, truth in everything() if each is truck and truth["kind"] == "day"]
    half = START + timedelta(days=2, hours=7, minutes=3)
    cut = [truth for span in ((START, half), (half, END)) for truth in truths.of_truck(truck, *span)]
    for key in ("distance_km", "fuel_l", "engine_min", "idle_min"):
        parts = sum(truth[key] for truth in cut if truth["kind"] == "day")
        assert parts == pytest.approx(sum(truth[key] for truth in whole), abs=0.1)


def test_the_command_prints_a_truth_a_line_and_again_the_same(tmp_path: Path) -> None:
    span = ["--count", "2", "--from", "2026-11-01", "--to", "2026-11-02", "--seed", "1", "--data-dir", str(tmp_path)]
    first, again = (CliRunner().invoke(app, ["truths", *span]) for _ in range(2))
    assert first.exit_code == 0, first.output
    assert first.stdout == again.stdout
    lines = [json.loads(line) for line in first.stdout.splitlines()]
    assert {line["truck_id"] for line in lines} == {"TRUCK-001", "TRUCK-002"}
    assert {"trip", "stop", "day", "fault"} <= {line["kind"] for line in lines}
    document = CliRunner().invoke(app, ["truths", *span, "--json"])
    assert json.loads(document.stdout) == lines


@pytest.mark.parametrize(
    ("given", "named"),
    [(["--from", "2026-11-02", "--to", "2026-11-01"], "--to"), (["--from", "soon", "--to", "2026-11-01"], "--from")],
)
def test_a_span_that_is_none_is_refused_by_name(given: list[str], named: str) -> None:
    result = CliRunner().invoke(app, ["truths", "--count", "1", *given])
    assert result.exit_code != 0
    assert named in str(result.exception) + result.output
