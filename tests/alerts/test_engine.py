"""Alerts are a function of the samples: any order of arrival gives the same."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.engine import evaluate
from alerts.rules import Rule, load_rules
from contract import timestamps
from contract.errors import Misconfigured
from tests.contract.examples import put
from tests.milepost_process import run

NOON_MS = timestamps.to_ms("2026-01-01T12:00:00.000Z")
HEAT = "engine_diagnostics.engine_temperature"
RULES = {rule.name: rule for rule in load_rules()}


def at(minute: float) -> str:
    return timestamps.from_ms(NOON_MS + round(minute * 60_000))


def sample(minute: float, field: str, value: Any) -> dict[str, Any]:
    return put({"sampled_at": at(minute)}, field, value)


def spans(rule: Rule, samples: list[dict[str, Any]], now: float) -> list[tuple[str, str | None]]:
    return [(alert.start, alert.end) for alert in evaluate(rule, {"T1": samples}, now=at(now))]


def test_it_must_hold_for_its_minutes_and_ends_when_it_is_over() -> None:
    heat = RULES["overheating"]
    values = [100, 112, 100, 112, 113, 114, 100]
    samples = [sample(minute, HEAT, value) for minute, value in enumerate(values)]
    assert spans(heat, samples, 6) == [(at(3), at(6))]
    assert spans(heat, samples[:6], 5) == [(at(3), None)]


def test_what_nobody_measured_neither_begins_nor_ends_one_and_what_nobody_saw_has_not_gone_on() -> None:
    heat = RULES["overheating"]
    assert spans(heat, [sample(m, HEAT, v) for m, v in ((0, 115), (1, None), (2, 115))], 3) == [(at(0), None)]
    assert spans(heat, [sample(m, HEAT, v) for m, v in ((0, 115), (2, 115))], 30) == [(at(0), at(2))]
    apart = [sample(m, HEAT, v) for m, v in ((0, 115), (2, 115), (20, 115), (22, 115))]
    assert spans(heat, apart, 22) == [(at(0), at(2)), (at(20), None)]


def test_each_fault_code_is_an_alert_of_its_own() -> None:
    field = "vehicle_health_and_maintenance.active_faults"
    first, second = {"spn": 100, "fmi": 1}, {"spn": 110, "fmi": 0}
    samples = [
        sample(0, field, [first]),
        sample(1, field, [first, second]),
        sample(2, field, None),
        sample(3, field, [second]),
    ]
    found = evaluate(RULES["fault_code"], {"T1": samples}, now=at(3))
    assert [(alert.evidence, alert.start, alert.end) for alert in found] == [
        ("fault 100/1", at(0), at(3)),
        ("fault 110/0", at(1), None),
    ]


def test_a_truck_is_silent_only_while_others_are_heard() -> None:
    heard = [sample(minute, HEAT, 80) for minute in range(30)]
    fleet = {"T1": heard[:3], "T2": heard}
    found = evaluate(RULES["silent"], fleet, now=at(30))
    assert [(alert.subject, alert.start, alert.end) for alert in found] == [("T1", at(2), None)]
    assert evaluate(RULES["silent"], {"T1": heard[:3], "T2": heard[:3]}, now=at(30)) == []


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from([None, 90, 111, 120])), max_size=12, unique_by=lambda e: e[0]
    ),
    st.randoms(use_true_random=False),
)
def test_any_order_gives_the_same_alerts(readings: list[tuple[int, int | None]], chance: random.Random) -> None:
    samples = [sample(minute, HEAT, value) for minute, value in readings]
    shuffled = chance.sample(samples, len(samples))
    for rule in RULES.values():
        assert evaluate(rule, {"T1": shuffled}, now=at(41)) == evaluate(rule, {"T1": samples}, now=at(41))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[x]\ntitle="x"\nkind="above"\nfield="vehicle_speed"\nseverity="info"', "needs a value"),
        ('[x]\ntitle="x"\nkind="above"\nfield="speed"\nvalue=1\nseverity="info"', "no measured field"),
        ('[x]\ntitle="x"\nkind="odd"\nseverity="info"', "kind"),
        ("[x", "rules"),
    ],
)
def test_a_wrong_rule_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "rules.toml").write_text(text)
    with pytest.raises(Misconfigured, match=message):
        load_rules(tmp_path / "rules.toml")


def test_the_commands(tmp_path: Path) -> None:
    lines = [
        f'{{"truck_id":"T1","sampled_at":"{at(minute)}","engine_diagnostics":{{"engine_temperature":{heat}}}}}'
        for minute, heat in enumerate((80, 115, 116, 117))
    ]
    (tmp_path / "samples.jsonl").write_text("\n".join(lines))
    data = ("--data-dir", tmp_path / "data", "--json")
    assert run("alerts", "list", *data).json == []
    assert run("ingest", tmp_path / "samples.jsonl", *data).code == 0
    [alert] = run("alerts", "list", "--to", at(4), *data).json
    assert (alert["rule"], alert["subject"], alert["start"], alert["end"]) == ("overheating", "T1", at(1), None)
    assert run("alerts", "test", "overheating", "--to", at(4), *data).json == [alert]
    assert run("alerts", "test", "no_such", *data).code == 2
    assert len(run("alerts", "rules", "--json").json) == len(RULES)
    shown = run("alerts", "rules", COLUMNS="80").out.decode()
    assert max(map(len, shown.splitlines())) <= 80
