"""Alerts told: the same table whatever the order, repeats, lateness and kills, and each trouble told once."""

import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.alert import Alert
from alerts.delivery import deliver
from alerts.engine import evaluate
from alerts.evaluation import SELF, Evaluation
from alerts.keeping import alert_in, thread_in
from alerts.outbox import Group
from alerts.rules import load_rules
from alerts.senders import Untold
from alerts.settings import Receiver
from alerts.writing import Writing
from collector import queries
from contract import timestamps
from tests.collector.stores_on_disk import Collector
from tests.contract.examples import RECEIVED_MS, put
from tests.contract.examples import sample as example

RULES = load_rules()
BEGIN_MS = RECEIVED_MS - 7_200_000
END_MS = RECEIVED_MS + 3_600_000
OPS = Receiver(name="ops", kind="webhook", url="http://127.0.0.1:1", secret="x" * 24, wait_seconds=0)
BOSS = Receiver(name="boss", kind="webhook", url="http://127.0.0.1:2", secret="x" * 24, at_least="critical")


class Killed(Exception):
    """The process ends here."""


class World:
    """A store, a process that may be killed at any write, and receivers that drop what comes twice."""

    def __init__(self, folder: Path, chance: random.Random, odds: float) -> None:
        self.collector = Collector(folder / "milepost.db")
        self.chance, self.odds = chance, odds
        self.got: dict[str, dict[tuple[str, int], dict[str, Any]]] = {"ops": {}, "boss": {}}
        self.start()

    def start(self) -> None:
        self.evaluation = Evaluation(RULES, [OPS, BOSS], Writing(self._call))

    def _call(self, act: Any) -> Any:
        self._maybe_die()
        done = act(self.collector.store)
        self._maybe_die()
        return done

    def _maybe_die(self) -> None:
        if self.chance.random() < self.odds:
            raise Killed

    def send(self, receiver: Receiver, group: Group) -> None:
        if self.chance.random() < self.odds:
            raise Untold("no answer")
        for document in group.documents:
            self.got[receiver.name][document["thread"], document["number"]] = document
        self._maybe_die()

    def step(self, now_ms: int) -> None:
        store = self.collector.store
        try:
            self.evaluation.step(store, now_ms)
            for receiver in (OPS, BOSS):
                deliver(receiver, store, Writing(self._call), self.send, now_ms)
        except Killed:
            self.start()

    def table(self) -> list[Alert]:
        rows = [row for row in self.collector.store.alert_rows() if row.subject != SELF]
        return sorted(alert_in(row) for row in rows if row.key.startswith("alert#"))


def record(truck: str, minute: int, heat: int | None, brakes: str | None, seq: int) -> dict[str, Any]:
    at = timestamps.from_ms(BEGIN_MS + minute * 60_000)
    made = example(truck_id=truck, seq=seq, sampled_at=at)
    made = put(made, "engine_diagnostics.engine_temperature", heat)
    return put(made, "vehicle_health_and_maintenance.brake_status", brakes)


SAMPLES = st.lists(
    st.tuples(
        st.sampled_from(["T1", "T2"]),
        st.integers(0, 90),
        st.sampled_from([None, 90, 115, 115]),
        st.sampled_from([None, "ok", "worn"]),
    ),
    min_size=4,
    max_size=30,
    unique_by=lambda each: each[:2],
)


def check(samples: list[Any], chance: random.Random, odds: float) -> None:
    records = [record(*each, seq=number + 1) for number, each in enumerate(samples)]
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), chance, odds)
        arriving = chance.sample(records, len(records)) + records[:3]
        while arriving:
            count = chance.randint(1, 6)
            world.collector.take(*arriving[:count])
            del arriving[:count]
            world.step(RECEIVED_MS)
        world.odds = 0
        for _ in range(3):
            world.step(END_MS)
        for hour in range(1, 4):
            world.step(END_MS + hour * 3_600_000)
        store = world.collector.store
        fleet = {
            truck: list(queries.samples_in_order(store, truck, timestamps.from_ms(0), "9999-12-31T23:59:59.999Z"))
            for truck in store.truck_ids()
        }
        expected = evaluate(RULES, fleet, now=timestamps.from_ms(END_MS + 3 * 3_600_000))
        assert world.table() == sorted(expected)
        kept = [(row.subject, thread_in(row)) for row in store.alert_rows() if row.key.startswith("thread#")]
        threads = [thread for _, thread in kept]
        for receiver, alerts in (
            ("ops", expected),
            ("boss", [each for each in expected if each.severity == "critical"]),
        ):
            _told_once(list(world.got[receiver].values()))
            for alert in alerts:
                if alert.kind == "silent" and alert.end:
                    continue
                key = (alert.subject, alert.rule, alert.name)
                cover = [
                    each
                    for subject, each in kept
                    if (subject, each.rule, each.name) == key
                    and each.start <= (alert.end or "9999")
                    and (each.end or "9999") >= alert.start
                ]
                assert any((each.id, 1) in world.got[receiver] for each in cover), alert
                if alert.end is None:
                    assert sum(each.state == "open" for each in cover) == 1
        open_ones = {each.id for each in threads if each.state == "open"}
        current = {alert.id for alert in expected if alert.end is None}
        assert {each.alert for each in threads if each.id in open_ones} == current
        assert store.outbox_size() == 0
        world.collector.close()


def _told_once(messages: list[dict[str, Any]]) -> None:
    """Of each thread one opening, at most one end, at most one retraction, numbered without a hole."""
    events = Counter((each["thread"], each["event"]) for each in messages)
    assert set(events.values()) <= {1}
    by_thread: dict[str, list[int]] = {}
    for each in messages:
        by_thread.setdefault(each["thread"], []).append(each["number"])
    for numbers in by_thread.values():
        assert sorted(numbers) == list(range(1, len(numbers) + 1))


@settings(max_examples=15, deadline=None)
@given(SAMPLES, st.randoms(use_true_random=False), st.sampled_from([0.0, 0.2]))
def test_the_same_alerts_and_each_told_once(samples: list[Any], chance: random.Random, odds: float) -> None:
    check(samples, chance, odds)
