"""Alerts of what is no sample: refused records, lost samples, late orders, certificates, conversion, quality."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from alerts import facts
from alerts.evaluation import Evaluation
from alerts.fact_watch import FactSources, FactWatch
from alerts.queries import kept_alerts
from alerts.rules import load_rules
from alerts.settings import Receiver
from alerts.writing import Writing
from contract import timestamps
from tests.collector.stores_on_disk import Collector
from tests.contract.examples import RECEIVED, RECEIVED_MS, sample

RULES = {rule.name: rule for rule in load_rules()}
HOUR_MS = 3_600_000


def at(minutes: float) -> str:
    return timestamps.from_ms(RECEIVED_MS + round(minutes * 60_000))


@given(st.lists(st.integers(0, 300), max_size=80), st.randoms(use_true_random=False))
def test_refusals_are_counted_over_an_hour_in_any_order(minutes: list[int], chance: random.Random) -> None:
    rule = RULES["dead_letters_rising"].model_copy(update={"value": 5})
    times = [minute * 60_000 for minute in minutes]
    found = facts.refused_too_often(rule, times, 400 * 60_000)
    assert found == facts.refused_too_often(rule, chance.sample(times, len(times)), 400 * 60_000)
    for minute in range(400):
        instant = timestamps.from_ms(minute * 60_000)
        count = sum(ms <= minute * 60_000 < ms + HOUR_MS for ms in times)
        assert any(each.first <= instant and instant < (each.ended or "9") for each in found) == (count >= 5)


def test_an_order_is_late_from_a_while_after_its_promise_until_it_is_there() -> None:
    def order(state: str, **more: Any) -> dict[str, Any]:
        return {"order_id": state, "state": state, "promised_at": at(0), "delivered_at": None, **more}

    orders = [
        order("loaded"),
        order("cancelled"),
        order("delivered", delivered_at=at(40)),
        order("returned", delivered_at=at(10)),
        order("placed", promised_at=None),
    ]
    found = facts.late(RULES["order_late"], orders, at(60))
    assert {key: (each.first, each.ended) for key, [each] in found.items()} == {
        "loaded": (at(15), None),
        "delivered": (at(15), at(40)),
    }
    assert facts.late(RULES["order_late"], orders[:1], at(15)) == {}


def test_lost_numbers_are_an_alert_of_their_truck_and_an_order_in_time_again_is_taken_back(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "milepost.db")
    collector.on_topic("T1", *(sample(seq=seq, sampled_at=at(seq - 60)) for seq in (1, 2, 6)))
    report = {"stream_id": "s1", "oldest_retained": 6, "highest_seq": 6, "pending": [], "thinned": [], "gone": [[3, 5]]}
    collector.on_topic("T1", report, what="report")
    store = collector.store
    evaluation = Evaluation(list(RULES.values()), (), Writing(lambda act: act(store)))
    orders = [{"order_id": "A", "state": "loaded", "promised_at": RECEIVED, "delivered_at": None}]
    watch = FactWatch(list(RULES.values()), evaluation, FactSources(lambda _: orders))
    watch.step(store, RECEIVED_MS + HOUR_MS)
    found = {(row["subject"], row["rule"]): row for row in kept_alerts(store)}
    assert found["T1", "samples_lost"]["evidence"] == "s1 numbers 3 to 5"
    assert found["T1", "samples_lost"]["start"] == at(-58)
    assert found["A", "order_late"]["end"] is None
    orders[0]["promised_at"] = at(600)
    watch.step(store, RECEIVED_MS + HOUR_MS)
    assert [row["rule"] for row in kept_alerts(store)] == ["samples_lost"]
    collector.close()


def test_a_certificate_is_about_to_expire_until_another_one_is_issued() -> None:
    rule = RULES["certificate_expiring"]
    first = ("T1", "2026-01-01T00:00:00.000Z", "2026-04-01T00:00:00.000Z", None)
    renewed = ("T1", "2026-03-20T00:00:00.000Z", "2026-06-20T00:00:00.000Z", None)
    early = ("T2", "2026-01-01T00:00:00.000Z", "2026-06-01T00:00:00.000Z", None)
    since = "2026-03-18T00:00:00.000Z"

    def spans(now: str, *certificates: facts.IssuedCertificate) -> dict[str, list[tuple[str, str | None]]]:
        found = facts.expiring(rule, certificates, now)
        return {truck_id: [(each.first, each.ended) for each in stretches] for truck_id, stretches in found.items()}

    assert spans(since, first, early) == {}
    assert spans("2026-03-19T00:00:00.000Z", first, early) == {"T1": [(since, None)]}
    assert spans("2026-05-01T00:00:00.000Z", renewed, first, early) == {"T1": [(since, renewed[1])]}
    assert spans("2026-06-15T00:00:00.000Z", first, renewed)["T1"][1] == ("2026-06-06T00:00:00.000Z", None)


def sessions_of(day: int, many: int, bought: int) -> list[tuple[str, bool]]:
    return [(timestamps.from_ms(day * 24 * HOUR_MS + nth * 60_000), nth < bought) for nth in range(many)]


def test_a_conversion_that_fell_is_an_alert_from_the_hour_that_shows_it_until_the_hour_that_shows_it_is_over() -> None:
    rule = RULES["conversion_fallen"]
    sessions = [each for day in range(8) for each in sessions_of(day, 200, 20)]
    sessions += sessions_of(8, 200, 4) + sessions_of(9, 200, 20)
    day_ms = 24 * HOUR_MS

    def judged(first_day: float, now_day: float, given: list[tuple[str, bool]]) -> list[tuple[str, str | None]]:
        found, _ = facts.converting_less(rule, given, round(first_day * day_ms), round(now_day * day_ms))
        return [(each.first, each.ended) for each in found]

    # A day's sessions begin in its first 200 minutes, and those that buy are the first of them.
    start, end = timestamps.from_ms(8 * day_ms + HOUR_MS), timestamps.from_ms(9 * day_ms + HOUR_MS)
    assert judged(8, 8.5, sessions) == [(start, None)]
    assert judged(8, 9.5, sessions) == judged(8, 9.5, sessions[::-1]) == [(start, end)]
    assert judged(8.5, 9.5, sessions) == []  # it began before what was looked at
    few = [each for day in range(8) for each in sessions_of(day, 10, 5)] + sessions_of(8, 10, 0)
    assert judged(8, 9.5, few) == []


def test_certificates_and_conversion_are_kept_and_told_like_the_rest(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "milepost.db")
    store = collector.store
    evaluation = Evaluation(list(RULES.values()), (), Writing(lambda act: act(store)))
    certificates = [("T1", at(-100_000), at(10_000), None)]
    sources = FactSources(certificates=lambda: certificates)
    FactWatch(list(RULES.values()), evaluation, sources).step(store, RECEIVED_MS)
    [alert] = kept_alerts(store)
    assert (alert["rule"], alert["subject"], alert["end"]) == ("certificate_expiring", "T1", None)
    collector.close()


def told_of(tmp_path: Path, watched: FactSources, between: Callable[[], object]) -> list[tuple[str, str | None]]:
    """What a receiver is told, as (event, end), when `between` happens between two looks."""
    collector = Collector(tmp_path / "milepost.db")
    store = collector.store
    receiver = Receiver(name="ops", kind="webhook", url="http://127.0.0.1:1", secret="x" * 24, wait_seconds=0)
    evaluation = Evaluation(list(RULES.values()), [receiver], Writing(lambda act: act(store)))
    watch = FactWatch(list(RULES.values()), evaluation, watched)
    watch.step(store, RECEIVED_MS)
    between()
    watch.step(store, RECEIVED_MS + HOUR_MS)
    documents = [json.loads(each.text) for each in store.outbox("ops", RECEIVED_MS + 2 * HOUR_MS, 10)]
    collector.close()
    return [(each["event"], each["alert"]["end"]) for each in documents]


def test_a_retired_trucks_certificate_is_told_to_be_over_and_not_to_have_been_a_mistake(tmp_path: Path) -> None:
    certificates: list[facts.IssuedCertificate] = [("T1", at(-100_000), at(10_000), None)]

    def retire() -> None:
        certificates[0] = (*certificates[0][:3], at(30))

    told = told_of(tmp_path, FactSources(certificates=lambda: certificates), retire)
    assert told == [("opening", None), ("end", at(30))]


def test_records_that_are_taken_in_after_all_were_refused_all_the_same(tmp_path: Path) -> None:
    """`dead-letters retry` and `discard` remove letters: the alert of them is over then, and was no mistake."""
    collector = Collector(tmp_path / "milepost.db")
    store = collector.store
    receiver = Receiver(name="ops", kind="webhook", url="http://127.0.0.1:1", secret="x" * 24, wait_seconds=0)
    evaluation = Evaluation(list(RULES.values()), [receiver], Writing(lambda act: act(store)))
    for number in range(25):
        collector.on_topic("T1", {"truck_id": "T1", "vehicle_speed": f"fast {number}"})
    watch = FactWatch(list(RULES.values()), evaluation, FactSources())
    watch.step(store, RECEIVED_MS)
    for letter in [*store.dead_letters()]:
        with store.unit():
            store.remove_dead_letter(letter.id)
    watch.step(store, RECEIVED_MS + 600_000)
    watch = FactWatch(list(RULES.values()), evaluation, FactSources())  # a new start knows it from the table
    watch.step(store, RECEIVED_MS + 1_200_000)
    [alert] = kept_alerts(store)
    assert (alert["start"], alert["end"], alert["rule"]) == (RECEIVED, at(10), "dead_letters_rising")
    told = [json.loads(each.text) for each in store.outbox("ops", RECEIVED_MS + HOUR_MS, 10)]
    assert [each["event"] for each in told] == ["opening", "end"]
    collector.close()


@given(st.lists(st.integers(0, 300), max_size=60), st.integers(0, 300))
def test_what_was_refused_stays_refused_whatever_is_removed(minutes: list[int], first_kept: int) -> None:
    """Letters are removed once; each instant that was told of is covered, before and after it."""
    rule = RULES["dead_letters_rising"].model_copy(update={"value": 3})
    now_ms = 301 * 60_000
    before = facts.refused_too_often(rule, [each * 60_000 for each in minutes], now_ms)
    left = [each * 60_000 for each in minutes if each >= first_kept]
    found = facts.still_refused(facts.refused_too_often(rule, left, now_ms), before, now_ms)
    assert all(each.ended for each in found[:-1])
    for was in before:
        assert any(each.first <= was.first and (each.ended or "9") >= (was.ended or "0") for each in found)


def test_a_late_order_that_a_thousand_newer_ones_push_off_the_list_is_not_taken_back(tmp_path: Path) -> None:
    order = {"order_id": "A", "state": "loaded", "promised_at": at(-60), "delivered_at": None}
    listed = [order]

    def newer_ones() -> None:
        listed[:] = []
        order.update(state="delivered", delivered_at=at(20))

    told = told_of(tmp_path, FactSources(lambda named: [*listed, *([order] if "A" in named else [])]), newer_ones)
    assert told == [("opening", None), ("end", at(20))]


def run_at(minutes: float, *failing: str, failed: int = 30) -> list[dict[str, Any]]:
    """A run of the rules `late` and `speedy`, as mart quality_run has it."""
    row = {"run_at": at(minutes), "table_name": "telemetry", "rows": 400, "threshold": 0.05}
    return [
        {**row, "rule": rule, "failed": failed, "verdict": "warn" if rule in failing else "ok"}
        for rule in ("late", "speedy")
    ]


def test_a_quality_rule_fails_from_the_run_that_shows_it_to_one_that_does_not() -> None:
    found = facts.failing(run_at(0, "late"), {})
    assert found["late"][0].seen == ((at(0), "telemetry: 30 of 400 rows, more than 5%"),)
    found = facts.failing(run_at(60, "late", "speedy", failed=60), found)
    assert [each.first for each in (*found["late"], *found["speedy"])] == [at(0), at(60)]
    assert found["late"][0].seen[1:] == ((at(60), "telemetry: 60 of 400 rows, more than 5%"),)
    assert found == facts.failing(run_at(60, "late", "speedy", failed=60), found) == facts.failing([], found)
    assert found == facts.failing(run_at(30), found)  # a warehouse that was put back
    found = facts.failing([row for row in run_at(120, "late") if row["rule"] == "late"], found)
    assert {rule: [(each.first, each.ended) for each in known] for rule, known in found.items()} == {
        "late": [(at(0), None)],
        "speedy": [(at(60), at(120))],  # a rule that was removed fails no more
    }
    again = facts.failing(run_at(120, "speedy"), found)  # the same lake by another threshold: it never was over
    assert [(each.first, each.ended) for each in again["speedy"]] == [(at(60), None)]
    later = facts.failing(run_at(180, "speedy"), found)
    assert [(each.first, each.ended) for each in later["speedy"]] == [(at(60), at(120)), (at(180), None)]


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=30))
def test_what_is_known_of_a_quality_rule_is_what_its_runs_said(runs: list[tuple[int, bool]]) -> None:
    """A run that is seen again may have another verdict, by another threshold: the last one counts."""
    found: dict[str, list[facts.Stretch]] = {}
    said: dict[str, bool] = {}
    for minute, fails in sorted(runs, key=lambda each: each[0]):
        said[at(minute)] = fails
        found = facts.failing(run_at(minute, *["late"][:fails]), found)
    late = found.get("late", [])
    for instant, fails in said.items():
        assert any(each.first <= instant < (each.ended or "9") for each in late) == fails
    assert late == sorted(late, key=lambda each: each.first)
    assert [each.ended for each in late].count(None) == (bool(said) and said[max(said)])
