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


def test_no_more_is_asked_for_at_once_than_has_room(collector: Collector) -> None:
    """Trucks that were left out are due at the next call; each is asked once."""
    for number in range(1, 6):
        collector.on_topic(f"T{number}", sample(seq=101, truck_id=f"T{number}"))
    rounds = [due(collector.store, now_ms=RECEIVED_MS + GRACE + at, grace_ms=GRACE, most=150) for at in range(4)]
    assert [[ask.truck_id for ask in asks] for asks in rounds] == [["T1", "T2"], ["T3", "T4"], ["T5"], []]
