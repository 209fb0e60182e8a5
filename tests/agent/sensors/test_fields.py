"""The agent's fields are those of the contract, and numbers leave it clean."""

import math

import pytest

from agent.sensors.fields import GROUPS, LEAVES, MEASURES, settle
from contract import telemetry


def test_the_leaves_are_those_of_the_contract() -> None:
    assert set(LEAVES) == set(telemetry.LEAVES)


def test_the_groups_are_those_of_the_contract() -> None:
    assert set(GROUPS) == set(telemetry.GROUPS)


def test_every_number_has_the_bounds_of_the_contract() -> None:
    assert MEASURES["gps_location.latitude"] == (-90, 90, 7)
    assert MEASURES["vehicle_health_and_maintenance.tire_pressure.rear_left"] == (0, 5000, 2)
    assert MEASURES["odometer_reading"] == (0, 100_000_000, 3)
    words = {"brake_status", "transmission_status", "active_faults"}
    assert {leaf.split(".")[-1] for leaf in set(LEAVES) - set(MEASURES)} == words


@pytest.mark.parametrize("value", [90.0000001, -91, math.nan, math.inf])
def test_what_cannot_be_is_implausible(value: float) -> None:
    assert settle("gps_location.latitude", value) == "implausible"


def test_no_float_noise_goes_out() -> None:
    assert settle("engine_diagnostics.oil_pressure", 248 * 0.1450377377) == 35.97


def test_no_minus_zero_goes_out() -> None:
    assert math.copysign(1, settle("environmental_conditions.temperature", -0.001)) == 1
