"""Gap repair's asks are remembered before they are made."""

from collector.gap_repair import due
from contract.control_messages import Resend
from tests.collector.stores_on_disk import Collector
from tests.contract.examples import RECEIVED_MS, sample

GRACE = 10_000


def test_a_store_without_holes_asks_nobody(collector: Collector) -> None:
    collector.on_topic("T1", sample(seq=1))
    assert due(collector.store, now_ms=RECEIVED_MS + GRACE, grace_ms=GRACE) == []


def test_each_truck_is_asked_for_its_own_holes_once(collector: Collector) -> None:
    collector.on_topic("T1", sample(seq=3))
    collector.on_topic("T2", sample(seq=2, truck_id="T2", stream_id="other"))
    asks = due(collector.store, now_ms=RECEIVED_MS + GRACE, grace_ms=GRACE)
    assert {ask.truck_id: ask.request for ask in asks} == {
        "T1": Resend(stream_id="s1", ranges=[(1, 2)]),
        "T2": Resend(stream_id="other", ranges=[(1, 1)]),
    }
    assert due(collector.store, now_ms=RECEIVED_MS + GRACE + 1, grace_ms=GRACE) == []


def test_what_came_meanwhile_is_not_asked_for(collector: Collector) -> None:
    collector.on_topic("T1", sample(seq=3))
    collector.on_topic("T1", sample(seq=1))
    [ask] = due(collector.store, now_ms=RECEIVED_MS + GRACE, grace_ms=GRACE)
    assert ask.request.ranges == [(2, 2)]
    collector.on_topic("T1", sample(seq=2))
    assert due(collector.store, now_ms=RECEIVED_MS + 10 * GRACE, grace_ms=GRACE) == []
