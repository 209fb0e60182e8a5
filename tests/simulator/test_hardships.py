"""What the road does to a gateway is planted: the samples and the truths tell the same story."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contract import codec
from simulator import hardships, truths
from simulator.fleet.ledger import FleetLedger
from simulator.fleet.truck import FleetTruck
from simulator.powertrain import PAYLOAD_T, litres_per_hour
from simulator.routes import all_routes
from simulator.vehicle import Vehicle

START = datetime(2026, 11, 20, tzinfo=UTC)
DAYS = 4


def planted(vehicle: Vehicle, kind: str) -> list[tuple[datetime, datetime, dict[str, Any]]]:
    found = [truth for truth in truths.of_truck(vehicle, START, START + timedelta(days=DAYS)) if truth["kind"] == kind]
    return [(datetime.fromisoformat(each["from"]), datetime.fromisoformat(each["to"]), each) for each in found]


def truck(folder: Path, **options: bool) -> FleetTruck:
    ledger = FleetLedger(folder / "fleet.db")
    return FleetTruck("TRUCK-003", 1, ledger, ledger.enter(["TRUCK-003"])[0], **options)


def test_a_restart_costs_its_samples_and_a_lost_clock_is_told(tmp_path: Path) -> None:
    """No sample while there is no power; after it the wrong time, marked, for as long as the truth says."""
    virtual = truck(tmp_path)
    vehicle = Vehicle("TRUCK-003", 1)
    restarts, losses = planted(vehicle, "restart"), planted(vehicle, "clock_loss")
    assert len(restarts) > len(losses) > 0
    for start, end, _ in restarts:
        assert virtual.sample(start + (end - start) / 2) is None
        assert not virtual.has_power
    for start, end, truth in losses:
        middle = start + (end - start) / 2
        taken = virtual.sample(middle)
        assert taken is not None
        sample = codec.parse(taken[2])
        assert sample["time_quality"] == "estimated"
        off = (datetime.fromisoformat(sample["sampled_at"]) - middle).total_seconds()
        assert off == pytest.approx(truth["off_s"], abs=0.002)
        after = virtual.sample(end + timedelta(seconds=1))
        assert after is not None
        assert codec.parse(after[2])["time_quality"] in ("gps", "ntp")


def test_without_hardships_every_tick_is_a_sample_with_the_right_time(tmp_path: Path) -> None:
    virtual = truck(tmp_path, hardships=False)
    for minute in range(0, DAYS * 1440, 7):
        at = START + timedelta(minutes=minute)
        taken = virtual.sample(at)
        assert taken is not None
        assert datetime.fromisoformat(codec.parse(taken[2])["sampled_at"]) == at


def test_a_truck_goes_on_after_its_last_right_time(tmp_path: Path) -> None:
    """An estimated time may lie hours ahead: a fleet that starts again must not wait for it."""
    ledger = FleetLedger(tmp_path / "fleet.db")
    [state] = ledger.enter(["TRUCK-003"])
    bodies: list[dict[str, Any]] = [
        {"seq": 1, "sampled_at": "2026-11-20T00:00:00.000Z", "time_quality": "gps"},
        {"seq": 2, "sampled_at": "2026-11-20T03:00:00.000Z", "time_quality": "estimated"},
    ]
    ledger.append([(state[0], body["seq"], codec.dump(body).encode()) for body in bodies], ())
    assert ledger.enter(["TRUCK-003"]) == [(*state[:2], 2, "2026-11-20T00:00:00.000Z")]


@pytest.mark.parametrize("route", all_routes(), ids=lambda route: route.name)
def test_there_is_no_network_in_a_tunnel_and_there_is_one_at_the_depot(route: Any) -> None:
    assert hardships.has_network(route, 0.0)
    for piece in route.pieces:
        if piece.tunnel:
            assert not hardships.has_network(route, piece.start + piece.length / 2)
    dark = sum(end - start for start, end in hardships.dead_zones(route))
    assert dark < 0.5 * route.length


def test_dead_zones_are_where_the_truths_say() -> None:
    vehicle = Vehicle("TRUCK-003", 1)
    zones = planted(vehicle, "dead_zone")
    assert zones
    for start, end, _ in zones:
        assert not vehicle.at(start + (end - start) / 2).has_network


def test_a_load_gets_less_at_each_delivery_and_costs_fuel() -> None:
    vehicle = Vehicle("TRUCK-003", 1)
    tours = list(vehicle.shifts(START.timestamp(), (START + timedelta(days=DAYS)).timestamp()))
    assert len({driver.name for _, _, driver, _ in tours}) > 1
    begin, end, _, tonnes = tours[1]
    loads = [phase.load_t for _, phase in vehicle.phases(begin + 1, end - 1)]
    assert 0.4 * PAYLOAD_T <= tonnes == loads[0] <= PAYLOAD_T
    assert loads == sorted(loads, reverse=True)
    assert loads[-1] == pytest.approx(0, abs=1e-9)
    assert litres_per_hour(15, 0.3, 0.02, 0) < litres_per_hour(15, 0.3, 0.02, PAYLOAD_T)


def test_the_same_seed_has_the_same_troubles() -> None:
    first, again, other = (Vehicle("TRUCK-009", seed) for seed in (4, 4, 5))
    spans = [(START, START + timedelta(days=DAYS))] * 3
    told = [truths.of_truck(each, *span) for each, span in zip((first, again, other), spans, strict=True)]
    assert told[0] == told[1] != told[2]
