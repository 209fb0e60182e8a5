"""What was over for 90 days is kept no longer, and is neither written nor told again by those who look later."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alerts.evaluation import Evaluation
from alerts.fact_watch import FactSources, FactWatch
from alerts.facts import IssuedCertificate
from alerts.keeping import KEPT_MS
from alerts.queries import kept_alerts
from alerts.rules import load_rules
from alerts.settings import Receiver
from alerts.writing import Writing
from contract import timestamps
from contract.fleet import Zone
from tests.collector.stores_on_disk import Collector
from tests.contract.examples import RECEIVED_MS, put, sample
from tests.contract.examples import sample as example

RULES = load_rules()
OPS = Receiver(name="ops", kind="webhook", url="http://127.0.0.1:1", secret="x" * 24, wait_seconds=0)
HOUR_MS = 3_600_000
LONG_AFTER_MS = RECEIVED_MS + KEPT_MS + 24 * HOUR_MS


def at(minutes: float) -> str:
    return timestamps.from_ms(RECEIVED_MS + round(minutes * 60_000))


class Service:
    """Who looks at a store of samples of which numbers 3 to 5 are lost; it may be started again."""

    def __init__(self, folder: Path) -> None:
        self.collector = Collector(folder / "milepost.db")
        self.collector.on_topic("T1", *(sample(seq=seq, sampled_at=at(seq - 60)) for seq in (1, 2, 6)))
        self.lose(3, 5)
        self.writes = 0
        self.certificates: list[IssuedCertificate] = []

    def lose(self, *ranges: int) -> None:
        gone = [[*pair] for pair in zip(ranges[::2], ranges[1::2], strict=True)]
        highest = max(ranges) + 1
        report = {"stream_id": "s1", "oldest_retained": highest, "highest_seq": highest, "pending": [], "thinned": []}
        self.collector.on_topic("T1", {**report, "gone": gone}, what="report")

    def look_after_a_start(self, now_ms: int) -> None:
        store = self.collector.store

        def write(act: Callable[[Any], Any]) -> Any:
            self.writes += 1
            return act(store)

        evaluation = Evaluation(RULES, [OPS], Writing(write))
        FactWatch(RULES, evaluation, FactSources(certificates=lambda: self.certificates)).step(store, now_ms)

    def told(self) -> list[tuple[str, str]]:
        """(event, evidence) of what a receiver takes now."""
        due = self.collector.store.outbox("ops", LONG_AFTER_MS * 2, 100)
        self.collector.store.settle_outbox([each.id for each in due], {})
        documents = [json.loads(each.text) for each in due]
        return [(each["event"], each["alert"]["evidence"]) for each in documents]


def test_a_loss_of_long_ago_is_told_once_however_often_the_service_starts(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.look_after_a_start(RECEIVED_MS)
    assert service.told() == [("opening", "s1 numbers 3 to 5")]
    later = LONG_AFTER_MS // 60_000 - RECEIVED_MS // 60_000
    newer = [sample(seq=seq, sampled_at=at(later + seq)) for seq in (7, 10)]
    service.collector.on_topic("T1", *newer, received_ms=LONG_AFTER_MS)
    service.lose(3, 5, 8, 9)
    for start in range(1, 5):
        service.look_after_a_start(LONG_AFTER_MS + start * HOUR_MS)
        assert service.told() == ([("opening", "s1 numbers 8 to 9")] if start == 1 else []), start
    assert [row["evidence"] for row in kept_alerts(service.collector.store)] == ["s1 numbers 8 to 9"]
    service.collector.close()


def test_what_is_no_longer_kept_is_not_written_again_at_each_look(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.certificates = [("T2", at(-100_000), at(10_000), None), ("T2", at(60), at(140_000), None)]
    service.look_after_a_start(RECEIVED_MS + 2 * HOUR_MS)
    assert {row["rule"] for row in kept_alerts(service.collector.store)} == {"samples_lost", "certificate_expiring"}
    service.look_after_a_start(LONG_AFTER_MS)
    service.writes = 0
    for start in range(1, 4):
        service.look_after_a_start(LONG_AFTER_MS + start * HOUR_MS)
    assert service.writes == 0
    service.collector.close()


def test_what_goes_on_in_a_zone_that_is_gone_is_taken_back_however_long_ago_it_began(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "milepost.db")
    times = [timestamps.from_ms(RECEIVED_MS - minutes * 60_000) for minutes in range(300, 0, -9)]
    records = [
        put(example(seq=number, sampled_at=at), "gps_location.latitude", 52.1) for number, at in enumerate(times, 1)
    ]
    collector.take(*(put(record, "gps_location.longitude", 13.1) for record in records))
    square = ((13.0, 52.0), (13.2, 52.0), (13.2, 52.2), (13.0, 52.2), (13.0, 52.0))
    entered = [rule for rule in RULES if rule.name == "zone_entered"]
    found = []
    for zones in ([Zone("yard", "yard", None, (square,))], []):
        evaluation = Evaluation([rule.over(zones) for rule in entered], (), Writing(lambda act: act(collector.store)))
        for _ in range(3):
            evaluation.step(collector.store, RECEIVED_MS)
        found.append([(each["start"], each["end"]) for each in kept_alerts(collector.store)])
    collector.close()
    assert found == [[(times[0], None)], []]
