"""Of several deliveries of one event_id the same one counts, in whatever order they came, on every store."""

import itertools
import random
from collections import Counter as Tally
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.ingest import Ingest
from collector.rows import Counter
from contract import timestamps
from contract.click_records import read_click
from contract.ingest_items import Item
from tests.budget import budget
from tests.promises.conftest import Place
from tests.promises.rivals import NOW_MS, POLICIES

numbers = itertools.count()
a_delivery = st.tuples(
    st.sampled_from(["e1", "e2"]),
    st.sampled_from(["view", "purchase"]),  # two contents of one id
    st.integers(0, 3),  # minutes after the event that it arrives
    st.sampled_from([None, 0, 7_200_000]),  # how far the browser's clock is ahead as it sends
)


def _item(example: int, delivery: tuple[str, str, int, int | None]) -> Item:
    name, kind, minutes, ahead = delivery
    received_ms = NOW_MS + minutes * 60_000
    event: dict[str, Any] = {
        "event_id": f"{example}-{name}",
        "event_type": kind,
        "item_id": str(example),
        "timestamp": timestamps.from_ms(NOW_MS + (ahead or 0) - 30_000),
    }
    if ahead is not None:
        event["sent_at"] = timestamps.from_ms(received_ms + ahead)
    return Item("click", "http:clicks", event, received_ms)


Deliveries = list[tuple[str, str, int, int | None]]


def _expected(example: int, deliveries: Deliveries) -> dict[str, tuple[str, str]]:
    """By the definition: of each event_id the delivery of the smallest (content hash, received_at, sent_at)."""
    ranked: dict[str, list[Any]] = {}
    for delivery in deliveries:
        item = _item(example, delivery)
        event = read_click(item.record, received_ms=item.received_ms)
        rank = (event.content, item.received_ms, event.sent_at)
        ranked.setdefault(event.event_id, []).append((rank, event.timestamp, event.record["event_type"]))
    return {event_id: min(found)[1:] for event_id, found in ranked.items()}


@budget(12, 300)
def test_any_order_counts_the_same_deliveries(place: Place, examples: int) -> None:
    store = place.store()
    ingest = Ingest(store, POLICIES["exact"])

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(st.lists(a_delivery, min_size=1, max_size=7), st.randoms(use_true_random=False))
    def check(deliveries: Deliveries, chance: random.Random) -> None:
        example = next(numbers)
        shuffled = [*deliveries, *chance.sample(deliveries, len(deliveries) // 2)]
        chance.shuffle(shuffled)
        while shuffled:
            size = chance.randint(1, len(shuffled))
            ingest.ingest([_item(example, delivery) for delivery in shuffled[:size]])
            shuffled = shuffled[size:]
        expected = _expected(example, deliveries)
        events = [each for each in store.clicks() if each.event_id in expected]
        assert {each.event_id: (each.timestamp, each.counter.event_type) for each in events} == expected
        counts = {counter: count for counter, count in store.click_counts() if counter.item_id == str(example)}
        recount: Tally[Counter] = Tally()
        for each in events:
            recount[each.counter] += each.count
        assert {counter: count for counter, count in counts.items() if count} == recount

    check()
