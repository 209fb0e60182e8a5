"""Alerts against the simulator's planted truths: precision and recall per rule, printed (`make prove`)."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts.alert import Alert
from alerts.engine import Ordered, evaluate
from alerts.rules import load_rules
from contract import timestamps
from simulator import truths
from simulator.vehicle import Vehicle

SEED = 7
DAYS, TRUCKS = 21, 12
START = datetime(2026, 3, 2, tzinfo=UTC)
SLACK = timedelta(minutes=30)
MINUTE = timedelta(minutes=1)


def observed(vehicle: Vehicle, start: datetime, end: datetime) -> Iterator[Ordered]:
    """Its samples, one a minute."""
    moment, seq = start, 0
    while moment < end:
        seq += 1
        instant = timestamps.from_datetime(moment)
        yield f"{instant}#s#{seq:012}#", {"sampled_at": instant, **document(vehicle, moment)}
        moment += MINUTE


def document(vehicle: Vehicle, moment: datetime) -> dict[str, Any]:
    """What the truck's sensors say at a moment, in the wire's shape."""
    whole: dict[str, Any] = {}
    for path, value in vehicle.at(moment).values.items():
        *groups, name = path.split(".")
        home = whole
        for group in groups:
            home = home.setdefault(group, {})
        home[name] = value
    return whole


RULES_FOR = {
    "fault": ("fault_code",),
    "fuel_drop": ("fuel_drop",),
    "slow_puncture": ("leaking_tyre", "low_tyre"),
    "coolant_leak": ("overheating",),
    "weak_battery": ("weak_battery",),
}
"""Planted truth → the rules that should find it."""

SHOWN_BY = {168: ("weak_battery",), 110: ("overheating",), 100: ("low_oil_pressure",)}
"""SPN of a planted fault → the rules that its signal gives, too."""


def is_of(alert: Alert, truth: dict[str, Any]) -> bool:
    """Whether an alert is about a truth: the rule fits, and their times overlap, give or take half an hour."""
    rules = RULES_FOR[truth["kind"]]
    if truth["kind"] == "fault" and alert.rule != "fault_code":  # a fault that the signals show as well
        rules = RULES_FOR["slow_puncture"] if "wheel" in truth else SHOWN_BY.get(truth["spn"], ())
    if alert.subject != truth["truck_id"] or alert.rule not in rules:
        return False
    if alert.rule == "fault_code" and alert.name != f"fault {truth['spn']}/{truth['fmi']}":
        return False
    first = timestamps.to_datetime(truth["from"]) - SLACK
    last = timestamps.to_datetime(truth["to"]) + SLACK
    ended = timestamps.to_datetime(alert.end) if alert.end else last
    return timestamps.to_datetime(alert.start) <= last and ended >= first


@pytest.mark.skipif(not os.environ.get("MILEPOST_PROVE"), reason="a long form: make prove")
@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_planted_faults_are_found() -> None:
    """Three weeks of twelve trucks. What is asserted is only that no planted code and no theft of fuel is missed."""
    end = START + timedelta(days=DAYS)
    rules = [rule for rule in load_rules() if rule.kind != "silent"]
    planted: list[dict[str, Any]] = []
    found: list[Alert] = []
    for number in range(1, TRUCKS + 1):
        vehicle = Vehicle(f"TRUCK-{number:03}", SEED)
        planted += [truth for truth in truths.of_truck(vehicle, START, end) if truth["kind"] in RULES_FOR]
        samples = list(observed(vehicle, START, end))
        found += evaluate(rules, {vehicle.truck_id: samples}, now=timestamps.from_datetime(end))
    print(f"\n{'truth':15} planted found recall   rules, with alerts, of which true, precision")
    for kind, names in RULES_FOR.items():
        mine = [truth for truth in planted if truth["kind"] == kind]
        hit = [truth for truth in mine if any(is_of(alert, truth) for alert in found)]
        raised = [alert for alert in found if alert.rule in names]
        true = [alert for alert in raised if any(is_of(alert, truth) for truth in planted)]
        recall = f"{len(hit) / len(mine):.2f}" if mine else "-"
        precision = f"{len(true) / len(raised):.2f}" if raised else "-"
        counts = f"{','.join(names)} {len(raised)} {len(true)} {precision}"
        print(f"{kind:15} {len(mine):7} {len(hit):5} {recall:>6}   {counts}")
        if kind in ("fault", "fuel_drop"):
            assert len(hit) == len(mine)
