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
from simulator import developing, truths
from simulator.vehicle import Vehicle

SEED = 7
DAYS, TRUCKS = 21, 12
START = datetime(2026, 3, 2, tzinfo=UTC)
SLACK = timedelta(minutes=30)
MINUTE = timedelta(minutes=1)


def observed(vehicle: Vehicle, start: datetime, end: datetime, step: timedelta = MINUTE) -> Iterator[Ordered]:
    """Its samples, one a step."""
    moment, seq = start, 0
    while moment < end:
        seq += 1
        instant = timestamps.from_datetime(moment)
        yield f"{instant}#s#{seq:012}#", {"sampled_at": instant, **document(vehicle, moment)}
        moment += step


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
    "coolant_leak": ("running_hot", "overheating"),
    "weak_battery": ("weak_battery",),
}
"""Planted truth → the rules that should find it."""

SHOWN_BY = {168: ("weak_battery",), 110: ("running_hot", "overheating"), 100: ("low_oil_pressure",)}
"""SPN of a planted fault → the rules that its signal gives, too."""

ALSO_SHOWN = frozenset(rule for rules in SHOWN_BY.values() for rule in rules)


DEVELOPING = frozenset({"leaking_tyre", "low_tyre", "running_hot", "overheating", "weak_battery"})
"""Rules whose value a truth may never reach: most leaks are mended before the tyre is low or the engine overheats."""


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


@pytest.mark.parametrize(("kind", "rule"), [("coolant_leak", "running_hot"), ("weak_battery", "weak_battery")])
def test_what_develops_slowly_is_found_and_nothing_else(kind: str, rule: str) -> None:
    """A truck's first three such troubles, each with the day before it in which nothing is wrong."""
    watched = [each for each in load_rules() if each.name == rule]
    vehicle = Vehicle("TRUCK-001", SEED)
    first, last = START.timestamp(), (START + timedelta(days=90)).timestamp()
    episodes = [each for each in developing.episodes(vehicle.key, first, last) if each.kind == kind][:3]
    assert len(episodes) == 3
    for episode in episodes:
        begin, end = (datetime.fromtimestamp(each, UTC) for each in (episode.start, episode.end))
        samples = [
            each
            for each in observed(vehicle, begin - timedelta(hours=12), end, step=timedelta(minutes=2))
            if not {110, 168} & {fault["spn"] for fault in each[1]["vehicle_health_and_maintenance"]["active_faults"]}
        ]
        found = evaluate(watched, {vehicle.truck_id: samples}, now=timestamps.from_datetime(end))
        assert found, f"{kind} of {episode.worst:.1f} from {begin} to {end} was missed"
        assert all(alert.start > timestamps.from_datetime(begin) for alert in found)


@pytest.mark.skipif(not os.environ.get("MILEPOST_PROVE"), reason="a long form: make prove")
@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_planted_faults_are_found() -> None:
    """Three weeks of twelve trucks: no planted code and no theft of fuel is missed, nor most that goes far enough."""
    end = START + timedelta(days=DAYS)
    rules = [rule for rule in load_rules() if rule.kind != "silent"]
    at_once = [rule.model_copy(update={"minutes": 0.0, "samples": 1}) for rule in rules if rule.name in DEVELOPING]
    planted: list[dict[str, Any]] = []
    found: list[Alert] = []
    shown: list[Alert] = []
    for number in range(1, TRUCKS + 1):
        vehicle = Vehicle(f"TRUCK-{number:03}", SEED)
        planted += [truth for truth in truths.of_truck(vehicle, START, end) if truth["kind"] in RULES_FOR]
        samples = list(observed(vehicle, START, end))
        found += evaluate(rules, {vehicle.truck_id: samples}, now=timestamps.from_datetime(end))
        shown += evaluate(at_once, {vehicle.truck_id: samples}, now=timestamps.from_datetime(end))
    print(f"\n{'rule':28} {'alerts':>6} {'true':>5} {'precision':>9}   {'of the truths':15} {'found':>7} {'recall':>6}")
    for rule in sorted({rule.name for rule in rules}):
        raised = [alert for alert in found if alert.rule == rule]
        true = [alert for alert in raised if any(is_of(alert, truth) for truth in planted)]
        kinds = [kind for kind, names in RULES_FOR.items() if rule in names]
        precision = f"{len(true) / len(raised):.2f}" if raised and (kinds or rule in ALSO_SHOWN) else "-"
        line = f"{rule:28} {len(raised):6} {len(true):5} {precision:>9}"
        for kind in kinds:
            mine = [truth for truth in planted if truth["kind"] == kind]
            hit = [truth for truth in mine if any(is_of(alert, truth) for alert in raised)]
            recall = f"{len(hit) / len(mine):.2f}" if mine else "-"
            line += f"   {kind:15} {len(hit):3}/{len(mine):<3} {recall:>6}"
            if rule in DEVELOPING:  # one sample past the value, however short
                far = [truth for truth in mine if any(is_of(alert, truth) for alert in shown if alert.rule == rule)]
                line += f"   went so far {len(far)}, recall of them {len(hit) / len(far):.2f}"
                assert 2 * len(hit) >= len(far)
                if rule == "overheating":  # what it leaves out for being short has been told already
                    warmer = [alert for alert in found if alert.rule == "running_hot"]
                    short = [truth for truth in far if truth not in hit]
                    line += f", {len(short)} too short for it"
                    assert all(any(is_of(alert, truth) for alert in warmer) for truth in short)
            else:
                assert len(hit) == len(mine)
        print(line)
