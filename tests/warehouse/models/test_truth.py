"""The fleet's marts against what the simulator planted: distance, fuel, refuels and stolen fuel."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.sensors.merge import merge
from contract import timestamps
from simulator import truths
from simulator.sensor import SimulatedSensor
from simulator.vehicle import Vehicle
from tests.warehouse.fleet import Fleet

START = datetime(2026, 3, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def _driven(fleet: Fleet, trucks: list[str], seed: int, days: int) -> list[dict[str, Any]]:
    """A sample a minute of each truck, ingested and built; what was planted."""
    planted = []
    for truck in trucks:
        sensor = SimulatedSensor(Vehicle(truck, seed))
        moments = [START + minute * MINUTE for minute in range(days * 1440)]
        fleet.take(_sample(truck, seq, moment, sensor) for seq, moment in enumerate(moments, 1))
        planted += truths.of_truck(Vehicle(truck, seed), START, START + timedelta(days=days))
    fleet.build()
    fleet.build_marts()
    return planted


def _sample(truck: str, seq: int, moment: datetime, sensor: SimulatedSensor) -> dict[str, Any]:
    document, quality = merge([sensor.read(moment)])
    head = {"truck_id": truck, "stream_id": "s1", "seq": seq, "sampled_at": timestamps.from_datetime(moment)}
    return {**head, "time_quality": "gps", **document, "quality": quality}


def _judge(fleet: Fleet, planted: list[dict[str, Any]]) -> None:
    burnt: dict[str, list[float]] = defaultdict(list)
    days = {(row["truck_id"], row["day"]): row for row in fleet.query("SELECT * FROM truck_day")}
    for truth in planted:
        if truth["kind"] == "day":
            found = days[truth["truck_id"], truth["day"]]
            assert found["distance_km"] == pytest.approx(truth["distance_km"], rel=0.02), truth
            burnt[truth["truck_id"]] += (truth["fuel_l"], found["fuel_l"])
    for truck, litres in burnt.items():  # a rate a minute errs by up to 4 % on one day
        assert sum(litres[1::2]) == pytest.approx(sum(litres[::2]), rel=0.03), truck
    trips = fleet.query("SELECT truck_id, count(*) AS trips FROM truck_trip GROUP BY 1")
    for row in trips:
        mine = [truth for truth in planted if truth["kind"] == "trip" and truth["truck_id"] == row["truck_id"]]
        assert row["trips"] == pytest.approx(len(mine), abs=2)  # the first and the last are cut
    for kind, name in (("refuel", "refuel"), ("drop", "fuel_drop")):
        events = fleet.query(f"SELECT * FROM fuel_event WHERE kind = '{kind}'")
        _matched(events, [truth for truth in planted if truth["kind"] == name])


def _matched(events: list[dict[str, Any]], planted: list[dict[str, Any]]) -> None:
    """Each planted event that ends within the span is found once, and nothing else is."""
    end = max(event["at"] for event in events)
    for truth in planted:
        first, last = (timestamps.to_datetime(truth[name]) for name in ("from", "to"))
        mine = [
            event
            for event in events
            if event["truck_id"] == truth["truck_id"]
            and first - MINUTE <= timestamps.to_datetime(event["at"]) <= last + 3 * MINUTE
        ]
        assert len(mine) == 1 or truth["to"] > end, (truth, mine)
        events = [event for event in events if event not in mine]
    assert events == []


def test_planted_truths_are_found(fleet: Fleet) -> None:
    _judge(fleet, _driven(fleet, ["TRUCK-008"], 1, 2))
    assert {row["kind"] for row in fleet.query("SELECT kind FROM fuel_event")} == {"refuel", "drop"}


@pytest.mark.prove
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_planted_truths_of_thirty_truck_days_are_found(fleet: Fleet, seed: int) -> None:
    _judge(fleet, _driven(fleet, [f"TRUCK-{n:03}" for n in range(1, 11)], seed, 3))
