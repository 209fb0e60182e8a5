"""What is told of control units that contradict each other, and how often."""

import json
from datetime import UTC, datetime, timedelta

from agent.sensors.plausibility import Disagreement
from agent.sensors.source_conflicts import MAX_DISPUTES, TELL_SECONDS, Disputes

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
RPM = Disagreement("engine_diagnostics.engine_rpm", 0, 3)
FUEL = Disagreement("engine_diagnostics.fuel_level", 0, 49)


def test_a_new_dispute_is_told_at_once_and_its_count_now_and_then() -> None:
    disputes = Disputes()
    assert disputes.news(0) is None
    disputes.add([RPM], NOON)
    assert json.loads(disputes.news(0) or "") == [
        {
            "field": "engine_diagnostics.engine_rpm",
            "taken": 0,
            "differs": 3,
            "samples": 1,
            "last_at": "2026-01-31T12:00:00.000Z",
        }
    ]
    disputes.add([RPM], NOON + timedelta(minutes=1))
    assert disputes.news(60) is None
    disputes.add([FUEL], NOON + timedelta(minutes=2))
    assert disputes.news(120) is not None
    disputes.add([RPM], NOON + timedelta(minutes=3))
    assert disputes.news(121) is None
    told = json.loads(disputes.news(120 + TELL_SECONDS) or "")
    assert {each["field"].rpartition(".")[2]: each["samples"] for each in told} == {"engine_rpm": 3, "fuel_level": 1}
    assert disputes.news(9 * TELL_SECONDS) is None


def test_a_bus_of_liars_is_told_of_within_bounds() -> None:
    disputes = Disputes()
    disputes.add([Disagreement("vehicle_speed", 0, other) for other in range(1, 200)], NOON)
    assert len(json.loads(disputes.news(0) or "")) == MAX_DISPUTES
