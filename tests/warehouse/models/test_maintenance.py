"""What is due on a truck, by the limits of contract/thresholds.toml, and how a recorded service clears it."""

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from alerts.rules import load_rules
from commerce.http.access import KeyedAccess
from commerce.http.registers import RegisterDoors
from commerce.registers.documents import SERVICES, VEHICLES
from commerce.registers.register import Register
from commerce.registers.services import read_service
from contract import timestamps
from contract.errors import Rejected
from contract.thresholds import items, thresholds
from tests.milepost_here import run
from tests.warehouse.fleet import Fleet, drive
from warehouse.rendering import METRICS

START = "2024-06-02T08:00:00.000Z"


def _due(fleet: Fleet) -> list[list[Any]]:
    fleet.build()
    fleet.build_marts()
    rows = fleet.query("SELECT truck_id, item, since FROM maintenance_due ORDER BY ALL")
    return [list(row.values()) for row in rows]


def _service(fleet: Fleet, item: str, at: str, **more: Any) -> None:
    read = read_service("T1", {"item": item, "at": at, **more}, received_ms=timestamps.to_ms(START))
    Register(fleet.shop, SERVICES).put(read, received_ms=timestamps.to_ms(START))


def _hot(truck: str, hour: int, above: float) -> dict[str, Any]:
    (sample,) = drive(truck, f"2024-06-02T{hour:02}:00:00.000Z", [50], seq=hour)
    sample["engine_diagnostics"]["engine_temperature"] = (thresholds()["coolant"].limit or 0) + above
    return sample


def test_coolant_is_due_after_three_hours_over_the_limit_and_a_service_clears_what_was_before(fleet: Fleet) -> None:
    fleet.take(_hot("T1", hour, 1) for hour in (8, 9, 11))
    fleet.take(_hot("T2", hour, above) for hour, above in ((8, 1), (9, 1), (11, 0)))
    assert _due(fleet) == [["T1", "coolant", START]]
    _service(fleet, "coolant", "2024-06-02T08:30:00.000Z")
    assert _due(fleet) == []
    fleet.take([_hot("T1", 12, 1)])
    assert _due(fleet) == [["T1", "coolant", "2024-06-02T09:00:00.000Z"]]


def test_a_worn_brake_is_due_until_a_service_and_again_when_it_is_worn_again(fleet: Fleet) -> None:
    fleet.take(drive("T1", START, [50], brakes="worn"))
    assert _due(fleet) == [["T1", "brakes", START]]
    _service(fleet, "brakes", "2024-06-02T09:00:00.000Z")
    assert _due(fleet) == []
    fleet.take(drive("T1", "2024-06-02T10:00:00.000Z", [50], seq=2))
    fleet.take(drive("T1", "2024-06-02T11:00:00.000Z", [50], seq=3, brakes="worn"))
    assert _due(fleet) == [["T1", "brakes", "2024-06-02T11:00:00.000Z"]]


def test_the_service_interval_starts_anew_at_a_service_that_does_not_say_the_odometer(fleet: Fleet) -> None:
    vehicle = {"truck_id": "T1", "service_every_km": 100, "last_service_km": 900, "valid_from": "2024-01-01T00:00:00Z"}
    Register(fleet.shop, VEHICLES).put(VEHICLES.read(vehicle), received_ms=timestamps.to_ms(START))
    fleet.take(drive("T1", START, [0], odometer=1000))
    assert _due(fleet) == [["T1", "service", START]]
    _service(fleet, "service", "2024-06-02T08:30:00.000Z")
    fleet.take(drive("T1", "2024-06-02T20:00:00.000Z", [0], odometer=1099, seq=2))
    assert _due(fleet) == []
    fleet.take(drive("T1", "2024-06-03T20:00:00.000Z", [0], odometer=1100, seq=3))
    assert _due(fleet) == [["T1", "service", "2024-06-03T20:00:00.000Z"]]


def test_a_service_is_not_due_by_an_odometer_that_leapt(fleet: Fleet) -> None:
    vehicle = {"truck_id": "T1", "service_every_km": 100, "last_service_km": 950, "valid_from": "2024-01-01T00:00:00Z"}
    Register(fleet.shop, VEHICLES).put(VEHICLES.read(vehicle), received_ms=timestamps.to_ms(START))
    samples = drive("T1", START, [0] * 4)
    for sample in samples[2:]:
        sample["odometer_reading"] = 900_000.0
    fleet.take(samples)
    fleet.take(drive("T1", "2024-06-02T20:00:00.000Z", [0] * 2, odometer=1001, seq=5))
    fleet.take(drive("T1", "2024-06-03T20:00:00.000Z", [0] * 2, odometer=1002, seq=7))
    assert _due(fleet) == []


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "item"),
        ({"item": "wheel"}, "item"),
        ({"item": "oil", "at": "soon"}, "at"),
        ({"item": "oil", "km": 5}, "km"),
    ],
)
def test_a_service_with_a_wrong_field_is_refused_whole(document: dict[str, Any], field: str) -> None:
    with pytest.raises(Rejected) as refused:
        read_service("T1", document, received_ms=0)
    assert refused.value.field == field


def test_the_command_records_a_service_once(fleet: Fleet) -> None:
    command = ["fleet", "service", "T1", "--item", "oil", "--at", START, "--data-dir", str(fleet.folder)]
    assert run(*command).out == b"accepted: T1:oil\n"
    assert run(*command).out == b"duplicate: T1:oil\n"
    wrong = run("fleet", "service", "T1", "--item", "wheel", "--data-dir", str(fleet.folder))
    assert "item: must be one of service, brakes" in wrong.err


def test_the_door_takes_a_service_by_key_and_names_a_wrong_field(fleet: Fleet) -> None:
    doors = RegisterDoors(fleet.shop, KeyedAccess({"a-key-of-the-workshop": "workshop"}))
    client, path = TestClient(Starlette(routes=doors.routes)), "/v1/vehicles/T1/services"
    keyed = {"authorization": "Bearer a-key-of-the-workshop"}
    service = {"item": "tyre_fl", "at": START, "odometer": 1000}
    answers = [client.post(path, json=service, headers=keyed) for _ in range(2)]
    assert [(each.status_code, each.json()["status"]) for each in answers] == [(201, "accepted"), (200, "duplicate")]
    assert client.post(path, json=service).status_code in (401, 403)
    refused = client.post(path, json={"item": "wheel"}, headers=keyed)
    assert (refused.status_code, refused.json()["field"]) == (422, "item")


def test_alerts_and_the_documentation_have_the_same_limits() -> None:
    rules = {rule.name: rule for rule in load_rules()}
    assert rules["overheating"].value == thresholds()["coolant"].limit
    assert rules["low_oil_pressure"].value == thresholds()["oil"].limit
    assert rules["brakes_need_service"].words == thresholds()["brakes"].words
    assert rules["transmission_needs_service"].words == thresholds()["transmission"].words
    table = METRICS.read_text(encoding="utf-8")
    assert [name for name, line in thresholds().items() if f"| {name} | " not in table or line.ends not in table] == []
    assert {"tyre_fl", "oil", "service"} <= set(items())
