"""How several readings become one document, and what a `Reading` refuses."""

import pytest

from agent.sensors import Reading
from agent.sensors.fields import LAMPS, LEAVES
from agent.sensors.merge import merge
from contract.telemetry import Telemetry

RPM = "engine_diagnostics.engine_rpm"
FAULTS = "vehicle_health_and_maintenance.active_faults"
GPS = {f"gps_location.{leaf}": 1.0 for leaf in ("latitude", "longitude", "altitude", "speed")}


def leaf_of(document: dict, leaf: str) -> object:
    for name in leaf.split("."):
        document = document[name]
    return document


def test_without_any_sensor_every_leaf_is_null_and_every_group_not_available() -> None:
    document, quality = merge([])
    assert all(leaf_of(document, leaf) is None for leaf in LEAVES)
    assert quality == dict.fromkeys(
        (
            "gps_location",
            "vehicle_speed",
            "engine_diagnostics",
            "odometer_reading",
            "fuel_consumption",
            "vehicle_health_and_maintenance",
            "environmental_conditions",
        ),
        "not_available",
    )


def test_the_document_has_the_shape_of_the_wire() -> None:
    document, _ = merge([Reading({RPM: 650.5}, {})])
    assert list(document) == [
        "gps_location",
        "vehicle_speed",
        "engine_diagnostics",
        "odometer_reading",
        "fuel_consumption",
        "vehicle_health_and_maintenance",
        "environmental_conditions",
    ]
    assert document["engine_diagnostics"]["engine_rpm"] == 650.5
    assert set(document["vehicle_health_and_maintenance"]["tire_pressure"]) == {
        "front_left",
        "front_right",
        "rear_left",
        "rear_right",
    }


def test_the_first_sensor_listed_wins() -> None:
    document, _ = merge([Reading({RPM: 1.0}, {}), Reading({RPM: 2.0}, {})])
    assert document["engine_diagnostics"]["engine_rpm"] == 1.0


def test_a_later_sensor_fills_what_an_earlier_one_lacks() -> None:
    document, quality = merge([Reading({}, {RPM: "stale"}), Reading({RPM: 2.0}, {})])
    assert document["engine_diagnostics"]["engine_rpm"] == 2.0
    assert RPM not in quality


def test_a_measured_zero_wins_over_a_later_value() -> None:
    document, _ = merge([Reading({"vehicle_speed": 0.0}, {}), Reading({"vehicle_speed": 9.0}, {})])
    assert document["vehicle_speed"] == 0.0


def test_a_measured_empty_fault_list_stays_an_empty_list() -> None:
    document, quality = merge([Reading({FAULTS: []}, {})])
    assert document["vehicle_health_and_maintenance"]["active_faults"] == []
    assert FAULTS not in quality


def test_unmeasured_faults_are_null_with_a_reason() -> None:
    document, quality = merge([Reading({}, {FAULTS: "stale"})])
    assert document["vehicle_health_and_maintenance"]["active_faults"] is None
    assert quality[FAULTS] == "stale"


def test_the_most_telling_reason_stands() -> None:
    _, quality = merge([Reading({}, {RPM: "not_available"}), Reading({}, {RPM: "error"}), Reading({}, {RPM: "stale"})])
    assert quality[RPM] == "error"


def test_a_partly_measured_group_names_its_missing_leaves() -> None:
    _, quality = merge([Reading({"environmental_conditions.temperature": 13.5}, {})])
    assert "environmental_conditions" not in quality
    assert quality["environmental_conditions.humidity"] == "not_available"


def test_a_group_missing_for_one_reason_stands_once() -> None:
    _, quality = merge([Reading({}, dict.fromkeys(GPS, "stale"))])
    assert quality["gps_location"] == "stale"
    assert not any(name.startswith("gps_location.") for name in quality)


def test_a_group_missing_for_several_reasons_names_each_leaf() -> None:
    _, quality = merge([Reading({}, {"gps_location.speed": "implausible"})])
    assert quality["gps_location.speed"] == "implausible"
    assert quality["gps_location.latitude"] == "not_available"


def test_missing_tyres_collapse_inside_a_group_that_is_partly_known() -> None:
    _, quality = merge([Reading({FAULTS: []}, {})])
    assert quality["vehicle_health_and_maintenance.tire_pressure"] == "not_available"


def test_a_sensor_may_give_the_reason_of_a_whole_group() -> None:
    _, quality = merge([Reading({}, {"gps_location": "error"})])
    assert quality["gps_location"] == "error"


@pytest.mark.parametrize(
    ("values", "quality"),
    [({"engine_rpm": 1}, {}), ({}, {"gps": "stale"}), ({}, {RPM: "broken"})],
    ids=["unknown leaf", "unknown quality name", "unknown reason"],
)
def test_a_reading_refuses_what_the_wire_does_not_have(values: dict, quality: dict) -> None:
    with pytest.raises(ValueError):
        Reading(values, quality)


def test_own_signals_are_a_group_of_their_own_and_what_is_too_many_is_said() -> None:
    one = Reading({"custom.a": 1.5, "custom.b": None}, {"custom.c": "stale"})
    two = Reading({"custom.a": 2.5, "custom.b": True} | {f"custom.n{n}": n for n in range(40)}, {})
    document, quality = merge([one, two])
    assert {name: document["custom"][name] for name in "abc"} == {"a": 1.5, "b": True, "c": None}
    assert quality["custom.c"] == "stale"
    assert len(document["custom"]) == 32
    left_out = [name for name in quality if name.startswith("custom.n")]
    assert len(left_out) == 43 - 32
    Telemetry.model_validate({"truck_id": "T1", **document, "quality": quality})
    assert "custom" not in merge([Reading({}, {})])[0]


@pytest.mark.parametrize("order", [1, -1])
def test_trouble_codes_of_two_buses_stand_together(order: int) -> None:
    one = {"spn": 980, "fmi": 9, "count": 1, "source": 0}
    other = {"spn": 100, "fmi": 3, "count": 2, "source": 0}
    buses = [Reading({FAULTS: []}, {}), Reading({FAULTS: [one]}, {}), Reading({FAULTS: [one, other]}, {})][::order]
    document, quality = merge(buses)
    assert sorted(leaf_of(document, FAULTS), key=str) == sorted([one, other], key=str)  # type: ignore[call-overload]
    assert FAULTS not in quality


@pytest.mark.parametrize("order", [1, -1])
def test_no_fault_on_one_bus_says_nothing_of_another_that_is_not_known(order: int) -> None:
    document, quality = merge([Reading({FAULTS: []}, {}), Reading({}, {FAULTS: "stale"})][::order])
    assert (leaf_of(document, FAULTS), quality[FAULTS]) == (None, "stale")
    document, _ = merge([Reading({FAULTS: []}, {}), Reading({}, {FAULTS: "not_available"})][::order])
    assert leaf_of(document, FAULTS) == []


def test_a_warning_lamp_is_on_where_any_bus_says_so() -> None:
    document, _ = merge([Reading({LAMPS[0]: False, LAMPS[1]: False}, {}), Reading({LAMPS[0]: True}, {})])
    assert document["custom"] == {"lamp_protect": True, "lamp_amber_warning": False}
