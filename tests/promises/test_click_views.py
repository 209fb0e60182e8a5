"""What every store's views say of events: what all events say, counted anew, in whatever order and parts they came."""

from random import Random

from collector.rows import StoredClick
from tests.promises.click_views import anew, shop_events, spans, views
from tests.promises.conftest import NOW, Place


def test_views_are_what_all_events_say_in_any_order(place: Place) -> None:
    random, now_ms = Random(1), int(NOW * 1000)
    store, events = place.store(), shop_events(36, now_ms, Random(2))
    with store.unit():
        store.remember_policy("a policy")
    deliveries = [*events, *events[::3]]
    random.shuffle(deliveries)
    came: dict[str, StoredClick] = {}
    for first in range(0, len(deliveries), 24):
        batch = deliveries[first : first + 24]
        with store.unit():
            store.put_clicks(batch)
        came |= {each.event_id: each for each in batch}
        reader = place.reader()
        assert reader
        for since, until in spans(now_ms):
            assert views(reader, since, until) == anew([*came.values()], since, until), (since, until)
