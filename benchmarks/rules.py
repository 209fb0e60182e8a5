"""Messages a second through our rules, against plain Python that makes the same bytes, and against ministack's engine.

Plain Python is what one would write by hand: json.loads, a dict picked, json.dumps. It knows no types beyond floats,
no Undefined, no errors: it is the floor, not a rival. ministack's rule engine runs in this process on the statements
that it can run, and is held to the same output. All take turns in each round; figures are medians, per CPU second, so
that other work on the machine does not count. Exit 1 if the rule that is deployed for every sample makes less than AIM
of what plain Python does.
"""

import base64
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from iot_rules.engine import PublishedMessage, Rules, TopicRule, load_documents, read_rule

ROUNDS, SECONDS = 5, 0.15
AIM = 0.35
"""Of the deployed rule: ours by plain Python."""
TOPIC, CLIENT, NOW = "fleet/TRUCK-001/telemetry", "TRUCK-001", 1_700_000_000_000
SAMPLE = {
    "truck_id": "TRUCK-001", "schema_version": 1, "stream_id": "s-1", "seq": 4711,
    "sampled_at": "2025-06-01T12:00:00.000Z", "time_quality": "gps", "vehicle_speed": 81.5,
    "gps_location": {"latitude": 48.137154, "longitude": 11.576124, "altitude": 519.5, "speed": 81.25},
    "engine_diagnostics": {"engine_rpm": 1850, "fuel_level": 63.5, "engine_temperature": 92.5, "oil_pressure": 44.5,
                           "battery_voltage": 13.75},
    "odometer_reading": 182345.5, "fuel_consumption": 24.25,
    "vehicle_health_and_maintenance": {
        "brake_status": "ok", "transmission_status": "ok", "active_faults": [],
        "tire_pressure": {"front_left": 101.5, "front_right": 102.5, "rear_left": 99.5, "rear_right": 100.5}},
    "environmental_conditions": {"temperature": 21.5, "humidity": 55.5, "atmospheric_pressure": 1013.25},
    "quality": {},
}  # fmt: skip
PAYLOAD = json.dumps(SAMPLE, separators=(",", ":")).encode()
MESSAGE = PublishedMessage(TOPIC, PAYLOAD, client_id=CLIENT, timestamp_ms=NOW)

Work = Callable[[], bytes | None]


@dataclass(frozen=True)
class Figure:
    """A statement, and the same by hand; other: whether ministack is asked too."""

    name: str
    sql: str
    by_hand: Work
    other: bool = True


def _written(output: dict[str, Any]) -> bytes:
    return json.dumps(output, separators=(",", ":")).encode()


def _wrapped() -> bytes:
    return _written({
        "data": base64.b64encode(PAYLOAD).decode(), "truck_id": TOPIC.split("/")[1], "client_id": CLIENT,
        "received_at": NOW,
    })  # fmt: skip


def _picked() -> bytes:
    sample = json.loads(PAYLOAD)
    gps = sample["gps_location"]
    return _written({
        "truck_id": sample["truck_id"], "speed": sample["vehicle_speed"], "latitude": gps["latitude"],
        "longitude": gps["longitude"],
    })  # fmt: skip


def _filtered() -> bytes | None:
    sample = json.loads(PAYLOAD)
    if not (sample["vehicle_speed"] > 80 and sample["time_quality"] != "estimated"):
        return None
    return _written({"truck": TOPIC.split("/")[1], "rpm": sample["engine_diagnostics"]["engine_rpm"]})


def _computed() -> bytes:
    sample = json.loads(PAYLOAD)
    tyres = sample["vehicle_health_and_maintenance"]["tire_pressure"]
    return _written({
        "id": sample["truck_id"].lower(),
        "mean": (tyres["front_left"] + tyres["front_right"] + tyres["rear_left"] + tyres["rear_right"]) / 4,
        "brakes": {"ok": "good", "worn": "soon"}.get(sample["vehicle_health_and_maintenance"]["brake_status"], "?"),
    })  # fmt: skip


_TYRES = " + ".join(f"t.{place}" for place in ("front_left", "front_right", "rear_left", "rear_right"))
_HEALTH = "vehicle_health_and_maintenance"
FIGURES = (
    Figure("milepost_telemetry, as deployed", "", _wrapped),
    Figure(
        "four keys picked",
        "SELECT truck_id, vehicle_speed AS speed, gps_location.latitude AS latitude, gps_location.longitude AS "
        "longitude FROM 'fleet/+/telemetry'",
        _picked,
    ),
    Figure(
        "two keys WHERE two conditions",
        "SELECT topic(2) AS truck, engine_diagnostics.engine_rpm AS rpm FROM 'fleet/+/telemetry' "
        "WHERE vehicle_speed > 80 AND time_quality <> 'estimated'",
        _filtered,
    ),
    Figure(
        "SET, arithmetic, CASE",
        f"SET @t = {_HEALTH}.tire_pressure SELECT lower(truck_id) AS id, ({_TYRES.replace('t.', '@t.')}) / 4 AS mean, "
        f"CASE {_HEALTH}.brake_status WHEN 'ok' THEN 'good' WHEN 'worn' THEN 'soon' ELSE '?' END AS brakes "
        "FROM 'fleet/+/telemetry'",
        _computed,
        other=False,
    ),
)


def _rule(figure: Figure) -> TopicRule:
    if not figure.sql:
        return next(rule for rule in load_documents() if rule.name == "milepost_telemetry")
    payload = {"sql": figure.sql, "awsIotSqlVersion": "2016-03-23", "actions": [{"sqs": {"queueUrl": "q"}}]}
    return read_rule({"ruleName": "r", "topicRulePayload": payload})


def _ours(rule: TopicRule) -> Work:
    """The whole way: topic index, statement, action's parameters and payload."""
    rules = Rules([rule])
    return lambda: rules.run(MESSAGE)[0].payload


def _ministack() -> Any:
    os.environ.setdefault("IOT_MTLS_ENABLED", "0")
    try:
        module = importlib.import_module("ministack.services.iot")
        if not all(hasattr(module, name) for name in ("_rule_event", "_rule_message", "_eval_where")):
            return None
    except ImportError:
        return None
    return module


def _theirs(engine: Any, sql: str) -> Work:
    """What ministack does for one matching rule, without its dispatch."""

    def work() -> bytes | None:
        if not engine._topic_matches(engine._rule_topic_filter(sql), TOPIC):
            return None
        message = engine._rule_message(PAYLOAD)
        event = engine._rule_event(sql, TOPIC, PAYLOAD, CLIENT, message=message)
        predicate = engine._rule_where_clause(sql)
        if predicate and not engine._eval_where(predicate, TOPIC, PAYLOAD, message, CLIENT):
            return None
        return _written(event)

    return work


def rates(*works: Work) -> list[float]:
    """Calls a CPU second of each, the median of several rounds in which they take turns."""
    found: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for each, work in zip(found, works, strict=True):
            calls, started = 0, time.process_time()
            while (taken := time.process_time() - started) < SECONDS:
                for _ in range(50):
                    work()
                calls += 50
            each.append(calls / taken)
    return [median(each) for each in found]


def _same(left: bytes | None, right: bytes | None, but: tuple[str, ...] = ()) -> bool:
    if left is None or right is None:
        return left is right
    first, second = json.loads(left), json.loads(right)
    return all(first.get(key) == second.get(key) for key in {*first, *second} - set(but))


def main() -> int:
    """Print the figures; 1 if the aim is missed."""
    engine = _ministack()
    print(
        f"{'messages a CPU second':<34}{'ours':>10}{'by hand':>10}{'ours/hand':>11}{'ministack':>11}{'ours/theirs':>13}"
    )
    shares = {}
    for figure in FIGURES:
        shares[figure.name], line = _line(engine, figure)
        print(line)
    print("ministack: its statement engine alone, in this process; a dash where it cannot run the statement.")
    met = all(shares[figure.name] >= AIM for figure in FIGURES if not figure.sql)
    print(f"as deployed, ours/hand (aim >= {AIM}): {'met' if met else 'missed'}")
    return 0 if met else 1


def _line(engine: Any, figure: Figure) -> tuple[float, str]:
    rule = _rule(figure)
    works = [_ours(rule), figure.by_hand]
    if not _same(works[0](), works[1]()):
        sys.exit(f"{figure.name}: not the same output: {works[0]()!r} {works[1]()!r}")
    theirs = _theirs(engine, rule.sql) if engine is not None and figure.other else None
    # ministack's timestamp() is the clock's.
    if theirs is not None and _same(theirs(), works[1](), but=("received_at",)):
        works.append(theirs)
    mine, floor, *other = rates(*works)
    line = f"{figure.name:<34}{mine:>10,.0f}{floor:>10,.0f}{mine / floor:>11.2f}"
    if not other:
        return mine / floor, line + f"{'–' if theirs is None else 'differs':>11}{'–':>13}"
    return mine / floor, line + f"{other[0]:>11,.0f}{mine / other[0]:>13.2f}"


if __name__ == "__main__":
    sys.exit(main())
