"""Alerts are a function of the samples: any order of arrival gives the same."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.engine import Ordered, evaluate
from alerts.queries import alerts_between
from alerts.rules import Rule, load_rules
from alerts.silence import HeardMinutes, SilenceWatch
from contract import timestamps
from contract.errors import Misconfigured
from contract.fleet import Zone
from contract.thresholds import thresholds
from tests.collector.stores_on_disk import Collector
from tests.contract.examples import RECEIVED_MS, put
from tests.contract.examples import sample as example
from tests.milepost_here import run

NOON_MS = timestamps.to_ms("2026-01-01T12:00:00.000Z")
HEAT = "engine_diagnostics.engine_temperature"
RULES = {rule.name: rule for rule in load_rules()}


def at(minute: float) -> str:
    return timestamps.from_ms(NOON_MS + round(minute * 60_000))


def sample(minute: float, field: str, value: Any, seq: int = 0) -> Ordered:
    return f"{at(minute)}#s1#{seq:012}#hash", put({"sampled_at": at(minute)}, field, value)


def spans(rule: Rule, samples: list[Ordered], now: float) -> list[tuple[str, str | None]]:
    return [(alert.start, alert.end) for alert in evaluate([rule], {"T1": samples}, now=at(now))]


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
    found = evaluate([RULES["fault_code"]], {"T1": samples}, now=at(3))
    assert [(alert.evidence, alert.start, alert.end) for alert in found] == [
        ("fault 100/1, engine oil pressure: far too low", at(0), at(3)),
        ("fault 110/0, engine coolant temperature: far too high", at(1), None),
    ]


def test_a_truck_is_silent_only_while_others_are_heard() -> None:
    heard = [sample(minute, HEAT, 80) for minute in range(30)]
    fleet = {"T1": heard[:3], "T2": heard}
    found = evaluate([RULES["silent"]], fleet, now=at(30))
    assert [(alert.subject, alert.start, alert.end) for alert in found] == [("T1", at(2), None)]
    assert evaluate([RULES["silent"]], {"T1": heard[:3], "T2": heard[:3]}, now=at(30)) == []


def test_equal_sample_times_are_told_apart_by_the_order_key() -> None:
    samples = [sample(0, HEAT, 115), sample(2, HEAT, 90, seq=1), sample(2, HEAT, 115, seq=2)]
    assert spans(RULES["overheating"], samples, 2) == spans(RULES["overheating"], samples[::-1], 2) == []


def test_an_unknown_engine_speed_does_not_end_an_alert_about_a_running_engine() -> None:
    oil = RULES["low_oil_pressure"]
    samples = [
        (key, put(dict(document), "engine_diagnostics.engine_rpm", rpm))
        for (key, document), rpm in zip(
            [sample(minute, "engine_diagnostics.oil_pressure", 5) for minute in range(4)],
            (900, None, 900, 0),
            strict=True,
        )
    ]
    assert spans(oil, samples[:3], 2) == [(at(0), None)]
    assert spans(oil, samples, 3) == [(at(0), at(3))]


def test_silence_of_many_trucks_is_judged_in_time_that_grows_with_the_fleet_alone() -> None:
    watch = SilenceWatch(15)
    watch.add(at(0), NOON_MS)
    heard = HeardMinutes([(NOON_MS // 60_000 + first, NOON_MS // 60_000 + first) for first in range(0, 60, 2)])
    assert heard.any_between(NOON_MS + 3 * 60_000, NOON_MS + 4 * 60_000) is False
    assert watch.stretches(heard, NOON_MS + 16 * 60_000) == []
    assert [each.first for each in watch.stretches(heard, NOON_MS + 17 * 60_000)] == [at(0)]


@given(st.lists(st.integers(0, 60)), st.integers(0, 60), st.integers(0, 60))
def test_heard_minutes_are_a_set(minutes: list[int], first: int, last: int) -> None:
    heard = HeardMinutes()
    for minute in minutes:
        heard.add(minute * 60_000 + 59_999)
    within = any(first <= minute and minute + 1 <= last for minute in minutes)
    assert heard.any_between(first * 60_000, last * 60_000) == within
    assert {each for a, b in heard.ranges for each in range(a, b + 1)} == set(minutes)


def test_a_tyre_is_held_against_the_other_three() -> None:
    field = "vehicle_health_and_maintenance.tire_pressure"
    wheels = ("front_left", "front_right", "rear_left", "rear_right")
    values = [{"front_left": 100, "front_right": low, "rear_left": 98, "rear_right": None} for low in (99, 60, 60, 60)]
    samples = []
    for number, psi in enumerate(values):
        key, document = sample(number * 3, field, {})
        for wheel in wheels:
            document = put(dict(document), f"{field}.{wheel}", psi[wheel])
        samples.append((key, document))
    found = evaluate([RULES["low_tyre"]], {"T1": samples}, now=at(9))
    assert [(alert.name, alert.start, alert.evidence) for alert in found] == [
        ("front_right", at(3), "front_right 60, others 99")
    ]


def level(minute: float, percent: float, km: float, rpm: float = 0) -> Ordered:
    key, document = sample(minute, "engine_diagnostics.fuel_level", percent)
    return key, put({**document, "odometer_reading": km}, "engine_diagnostics.engine_rpm", rpm)


@pytest.mark.parametrize(
    ("levels", "starts"),
    [
        ([(0, 60, 10), (1, 57, 10), (2, 54, 10), (3, 54, 10), (4, 53.5, 10)], [2]),  # pumped out slowly
        ([(0, 60, 10), (1, 50, 10), (2, 60, 10), (3, 60, 10)], []),  # it sloshed
        ([(0, 60, 10), (600, 50, 10.2), (601, 50, 12), (602, 50, 14)], [600]),  # by night, found when it drove on
        ([(0, 60, 10), (60, 50, 90), (61, 50, 91), (62, 50, 92)], []),  # it drove
    ],
)
def test_fuel_that_went_while_the_truck_stood(levels: list[tuple[float, ...]], starts: list[int]) -> None:
    samples = [level(*each) for each in levels]
    assert [start for start, _ in spans(RULES["fuel_drop"], samples, 700)] == [at(minute) for minute in starts]


SQUARE = ((13.0, 52.0), (14.0, 52.0), (14.0, 53.0), (13.0, 53.0), (13.0, 52.0))
DEPOT, TOWN = Zone("depot", "Depot", None, (SQUARE,)), Zone("town", "Town", 30.0, (SQUARE,))


def placed(minute: float, latitude: float | None, kmh: float = 0, rpm: float = 0) -> Ordered:
    key, document = sample(minute, "gps_location.latitude", latitude)
    document = put(document, "gps_location.longitude", None if latitude is None else 13.5)
    return key, put({**document, "vehicle_speed": kmh}, "engine_diagnostics.engine_rpm", rpm)


def test_a_stay_in_a_zone_is_an_alert_from_the_first_sample_in_it_to_the_first_outside() -> None:
    rule = RULES["zone_entered"].over([DEPOT])
    samples = [placed(m, place) for m, place in ((0, 51.0), (1, 52.5), (2, None), (3, 52.6), (4, 51.9))]
    assert spans(rule, samples, 4) == [(at(1), at(4))]
    assert spans(RULES["zone_entered"], samples, 4) == []  # no zones, no alerts
    assert evaluate([rule], {"T1": samples[:4]}, now=at(3))[0].evidence == "depot Depot"


def test_a_zone_has_a_limit_of_its_own() -> None:
    rule = RULES["zone_overspeed"].over([DEPOT, TOWN])
    samples = [placed(m, place, kmh) for m, place, kmh in ((0, 51, 60), (1, 52.5, 40), (2, 52.5, 41), (3, 52.5, 30))]
    [alert] = evaluate([rule], {"T1": samples}, now=at(3))
    assert (alert.name, alert.start, alert.end, alert.evidence) == ("town", at(1), at(3), "town 40 of 30 km/h")


@pytest.mark.parametrize(("zone", "found"), [("Asia/Tokyo", True), ("UTC", False)])  # noon is 21:00 in Tokyo
def test_what_is_no_trouble_by_day_is_one_at_night(zone: str, found: bool) -> None:
    out = [placed(minute, 51.0) for minute in range(70, 80)]
    running = [placed(minute, 52.5, rpm=700) for minute in range(70, 80)]
    still = [placed(minute, 52.5) for minute in range(70, 80)]
    left, ignition = (
        RULES[name].model_copy(update={"zone": zone}).over([DEPOT, TOWN])
        for name in ("left_depot_unplanned", "ignition_unplanned")
    )
    assert bool(spans(left, out, 80)) == found
    assert bool(spans(ignition, running, 80)) == found
    assert spans(left, running, 80) == spans(ignition, still, 80) == []


def harsh(minute: float, many: int) -> Ordered:
    key, document = sample(minute, HEAT, 80)
    events = [{"kind": "braking", "at": at(minute - 0.01 * nth), "peak": 4.0} for nth in range(many)]
    return key, {**document, "since_last": {"seconds": 60, "harsh": events}}


def test_harsh_manoeuvres_are_counted_over_an_hour() -> None:
    rule = RULES["harsh_driving"]
    samples = [harsh(minute, many) for minute, many in ((0, 2), (30, 2), (50, 1), (61, 0), (80, 1))]
    assert spans(rule, samples, 80) == [(at(50), at(61))]
    assert spans(rule, [harsh(0, 2), harsh(61, 3)], 80) == []


READINGS = st.tuples(st.integers(0, 40), st.sampled_from([None, 90, 111, 120]), st.integers(0, 2))


@given(st.lists(READINGS, max_size=14), st.randoms(use_true_random=False))
def test_any_order_and_any_repeat_gives_the_same_alerts(
    readings: list[tuple[int, int | None, int]], chance: random.Random
) -> None:
    unique = {(minute, seq): value for minute, value, seq in readings}
    samples = [sample(minute, HEAT, value, seq) for (minute, seq), value in unique.items()]
    shuffled = chance.sample(samples, len(samples)) + samples[:3]
    rules = list(RULES.values())
    assert evaluate(rules, {"T1": shuffled}, now=at(41)) == evaluate(rules, {"T1": samples}, now=at(41))


def test_an_alert_is_the_same_whatever_period_is_asked_for(tmp_path: Path) -> None:
    chance = random.Random(7)
    fuel, records = 90.0, []
    times = [timestamps.from_ms(RECEIVED_MS - (900 - minute) * 60_000) for minute in range(900)]
    for minute in range(0, 900, 3):
        braked = [{"kind": "braking", "at": times[minute], "peak": 4.0}] * chance.choice([0, 0, 0, 1])
        place = 52.5 if (minute // 250) % 2 else 51.0
        fuel -= chance.choice([0, 0, 0, 0, 7]) if minute % 90 else -25
        hot = chance.choice([None, 90, 111, 120, 120]) if minute < 300 else 120
        record = put(example(seq=minute + 1, sampled_at=times[minute]), HEAT, hot)
        record = {**record, "odometer_reading": minute // 150, "since_last": {"seconds": 180.0, "harsh": braked}}
        record = put(put(record, "gps_location.latitude", place), "gps_location.longitude", 13.5)
        records.append(put(record, "engine_diagnostics.fuel_level", max(fuel, 10)))
    collector = Collector(tmp_path / "milepost.db")
    collector.take(*records)
    rules = [rule.over([DEPOT]) for rule in RULES.values()]
    whole = alerts_between(collector.store, rules, times[0], times[-1])
    assert {alert.rule for alert in whole} >= {
        "overheating", "fuel_drop", "fault_code", "harsh_driving", "zone_entered"
    }  # fmt: skip
    for first in times[::180]:
        expected = [alert for alert in whole if alert.end is None or alert.end >= first]
        assert alerts_between(collector.store, rules, first, times[-1]) == expected
    collector.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[x]\ntitle="x"\nkind="above"\nfield="vehicle_speed"\nseverity="info"', "needs a value"),
        ('[x]\ntitle="x"\nkind="above"\nfield="speed"\nvalue=1\nseverity="info"', "no measured field"),
        (
            '[x]\ntitle="x"\nkind="above"\nfield="vehicle_speed"\nlimit="wheel"\nseverity="info"',
            "limit 'wheel' is not one",
        ),
        (
            '[x]\ntitle="x"\nkind="above"\nfield="vehicle_speed"\nlimit="oil"\nvalue=1\nseverity="info"',
            "give one of them",
        ),
        ('[x]\ntitle="x"\nkind="odd"\nseverity="info"', "kind"),
        ("[x", "rules"),
    ],
)
def test_a_wrong_rule_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "rules.toml").write_text(text)
    with pytest.raises(Misconfigured, match=message):
        load_rules(tmp_path / "rules.toml")


def test_what_the_shipped_rules_find_has_its_value_in_the_table_of_thresholds() -> None:
    assert [rule.name for rule in RULES.values() if rule.value is not None and rule.limit is None] == []
    lines = thresholds()
    named = [rule for rule in RULES.values() if rule.limit]
    assert [rule.name for rule in named if rule.value != lines[rule.limit or ""].limit] == []
    assert (RULES["conversion_fallen"].minutes, RULES["fuel_drop"].samples, RULES["silent"].minutes) == (1440, 3, 15)


def test_the_speed_limit_of_the_fleet_is_that_of_its_alert(tmp_path: Path) -> None:
    lines = [f'{{"truck_id":"T1","sampled_at":"{at(minute)}","vehicle_speed":85}}' for minute in range(3)]
    (tmp_path / "samples.jsonl").write_text("\n".join(lines))
    (tmp_path / "milepost.toml").write_text("[fleet]\nspeed_limit_kmh = 80\n")
    data = ("--data-dir", tmp_path / "data", "--json")
    assert run("ingest", tmp_path / "samples.jsonl", *data).code == 0
    replayed = ("alerts", "test", "overspeed", "--to", at(3), *data)
    assert run(*replayed).json == []
    assert [alert["rule"] for alert in run(*replayed, "--config", tmp_path / "milepost.toml").json] == ["overspeed"]


def test_a_rule_with_a_limit_may_give_minutes_of_its_own(tmp_path: Path) -> None:
    text = '[x]\ntitle="x"\nkind="above"\nfield="vehicle_speed"\nlimit="speed"\nminutes=7\nseverity="info"'
    (tmp_path / "rules.toml").write_text(text)
    [rule] = load_rules(tmp_path / "rules.toml")
    assert (rule.value, rule.minutes) == (90, 7)


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
    assert run("alerts", "list", "--from", at(3), "--to", at(4), *data).json == [alert]
    assert run("alerts", "test", "no_such", *data).code == 2
    assert len(run("alerts", "rules", "--json").json) == len(RULES)
    shown = run("alerts", "rules", COLUMNS="80").out.decode()
    assert max(map(len, shown.splitlines())) <= 80
