"""The audit: shape, what is late, what is lost, and when it is complete."""

from typing import Any

from collector import queries
from collector.queries import balanced, complete
from collector.stores import Change
from contract.codec import Json
from contract.ranges import Ranges
from tests.collector.stores_on_disk import Collector
from tests.contract.examples import RECEIVED_MS, flat, put, sample

GRACE = 10_000


def _audit(collector: Collector, after_ms: int = 0, truck_id: str | None = None) -> dict[str, Any]:
    return queries.audit(collector.store, now_ms=RECEIVED_MS + after_ms, grace_ms=GRACE, truck_id=truck_id)


def _report(collector: Collector, **said: Json) -> None:
    collector.on_topic("T1", {"stream_id": "s1", "highest_seq": 6, **said}, what="report")


def test_a_row_a_stream_with_everything_that_became_of_its_numbers(collector: Collector) -> None:
    collector.on_topic("T1", sample(seq=1), put(sample(seq=2), "vehicle_speed", -1), sample(seq=8))
    collector.on_topic("T1", sample(seq=8, vehicle_speed=1))
    _report(collector, gone=[[3, 3]], thinned=[{"from": 4, "to": 5, "keep_every": 9}], pending=[[6, 6]])
    [letter] = queries.dead_letters(collector.store)
    assert _audit(collector, GRACE) == {
        "lost": 1,
        "trucks": [
            {
                "truck_id": "T1",
                "stream_id": "s1",
                "received": 2,
                "highest_seq": 8,
                "holes": [[6, 7]],
                "thinned": [[4, 5]],
                "gone": [[3, 3]],
                "late": [[6, 6]],
                "dead_lettered": [[2, 2]],
                "conflicts": [[8, 8]],
                "gone_before": [],
                "never_stored": 0,
                "refused": [{"id": letter["id"], "seq": 2, "reason": letter["reason"]}],
            }
        ],
    }


def test_complete_is_nothing_lost_and_every_hole_late(collector: Collector) -> None:
    collector.on_topic("T1", sample(seq=1), sample(seq=3))
    assert complete(_audit(collector, GRACE - 1))
    assert not complete(_audit(collector, GRACE))
    _report(collector, pending=[[2, 6]])
    assert complete(_audit(collector, GRACE))
    _report(collector, gone=[[2, 2]])
    assert not complete(_audit(collector, GRACE))
    collector.on_topic("T1", *(sample(seq=seq) for seq in (2, 4, 5, 6)))
    assert complete(_audit(collector, GRACE))


def test_a_hole_asked_for_five_times_in_vain_is_lost(collector: Collector) -> None:
    collector.on_topic("T1", sample(seq=1), sample(seq=3))
    head = collector.store.head("T1", ["s1"])
    ledger = head.ledgers["s1"]
    for hour in range(5):
        now = RECEIVED_MS + hour * 3_600_000
        ledger = ledger.receive(Ranges.of_numbers([3]), now).ask(now + GRACE, GRACE)[1]
    with collector.store.unit():
        collector.store.apply("T1", head, Change(ledgers={"s1": ledger}))
    assert _audit(collector, 10**8)["lost"] == 0, "the fifth may yet be answered"
    collector.on_topic("T1", sample(seq=3), received_ms=RECEIVED_MS + 5 * 3_600_000)
    assert _audit(collector, 10**8)["lost"] == 1


def test_records_without_a_number_have_no_row(collector: Collector) -> None:
    collector.take(flat())
    assert _audit(collector) == {"lost": 0, "trucks": []}


def test_one_truck_or_all(collector: Collector) -> None:
    collector.take(sample(truck_id="T2"), sample(truck_id="T1", stream_id="b"), sample(truck_id="T1", stream_id="a"))
    rows = [(row["truck_id"], row["stream_id"]) for row in _audit(collector)["trucks"]]
    assert rows == [("T1", "a"), ("T1", "b"), ("T2", "s1")]
    assert len(_audit(collector, truck_id="T2")["trucks"]) == 1
    assert _audit(collector, truck_id="T9") == {"lost": 0, "trucks": []}


def test_no_store_misses_nothing() -> None:
    empty = queries.audit(None, now_ms=0, grace_ms=1)
    assert empty == {"lost": 0, "trucks": []}
    assert complete(empty)


def test_the_balance_of_a_run(collector: Collector) -> None:
    collector.on_topic("T1", sample(seq=1), put(sample(seq=2), "vehicle_speed", -1), sample(seq=4))
    collector.on_topic("T1", sample(seq=4, vehicle_speed=1))
    first, second = balanced(collector.store, {"T1": 5, "T2": 3})
    assert first == {
        "truck_id": "T1",
        "sampled": 5,
        "stored": 2,
        "dead_lettered": 1,
        "holes": 1,
        "counted_twice": 1,
    }
    assert second == {"truck_id": "T2", "sampled": 3, "stored": 0, "dead_lettered": 0, "holes": 0, "counted_twice": 0}
