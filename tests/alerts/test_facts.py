"""Alerts of what is no sample: refused records, lost samples, late orders."""

import random
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from alerts import facts
from alerts.evaluation import Evaluation
from alerts.fact_watch import FactWatch
from alerts.queries import kept_alerts
from alerts.rules import load_rules
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
    watch = FactWatch(list(RULES.values()), evaluation, lambda: orders)
    watch.step(store, RECEIVED_MS + HOUR_MS)
    found = {(row["subject"], row["rule"]): row for row in kept_alerts(store)}
    assert found["T1", "samples_lost"]["evidence"] == "s1 numbers 3 to 5"
    assert found["T1", "samples_lost"]["start"] == at(-58)
    assert found["A", "order_late"]["end"] is None
    orders.clear()
    watch.step(store, RECEIVED_MS + HOUR_MS)
    assert [row["rule"] for row in kept_alerts(store)] == ["samples_lost"]
    collector.close()
