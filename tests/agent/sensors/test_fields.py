"""The agent's copy of the wire's leaves agrees with the contract, and numbers leave it clean."""

import math

import pytest

from agent.sensors.fields import GROUPS, LEAVES, MEASURES, settle
from contract import telemetry


def bounds(leaf: str) -> tuple[float, float]:
    model: type = telemetry.Telemetry
    *groups, name = leaf.split(".")
    for group in groups:
        model = next(a for a in model.model_fields[group].annotation.__args__ if a is not type(None))
    constraints = model.model_fields[name].metadata
    return (
        next(c.ge for c in constraints if hasattr(c, "ge")),
        next(c.le for c in constraints if hasattr(c, "le")),
    )


def test_the_leaves_are_those_of_the_contract() -> None:
    assert set(LEAVES) == set(telemetry.LEAVES)


def test_the_groups_are_those_of_the_contract() -> None:
    assert set(GROUPS) == set(telemetry.GROUPS)


@pytest.mark.parametrize("leaf", MEASURES)
def test_the_bounds_are_those_of_the_contract(leaf: str) -> None:
    assert bounds(leaf) == (MEASURES[leaf].low, MEASURES[leaf].high)


@pytest.mark.parametrize("value", [90.0000001, -91, math.nan, math.inf])
def test_what_cannot_be_is_implausible(value: float) -> None:
    assert settle("gps_location.latitude", value) == "implausible"


def test_no_float_noise_goes_out() -> None:
    assert settle("engine_diagnostics.oil_pressure", 248 * 0.1450377377) == 35.97


def test_no_minus_zero_goes_out() -> None:
    assert math.copysign(1, settle("environmental_conditions.temperature", -0.001)) == 1
