"""What collector/stores/__init__.py promises of every `Store`: what is put again is left as it was first stored."""

from collector.history import Steps
from collector.rows import Counter
from collector.stores import Store
from tests.promises.stored import LATER, NOON, a_click, a_letter, a_sample, applied, first


def test_a_sample_already_stored_is_left_as_it_was(store: Store) -> None:
    with store.unit():
        assert store.put_samples("T1", [a_sample(f"{NOON}#a"), a_sample(f"{NOON}#b")]) == [True, True]
        later = [a_sample(f"{NOON}#b", received_ms=1009, text="{}"), a_sample(f"{NOON}#c"), a_sample(f"{NOON}#c")]
        assert store.put_samples("T1", later) == [False, True, False]
    assert {(sample.received_ms, sample.text) for sample in store.samples("T1")} == {(1000, '{"truck_id":"T1"}')}


def test_of_several_deliveries_of_a_sample_the_smallest_receipt_is_kept(store: Store) -> None:
    """In the sample and in the version that it opens, whichever delivery was stored first; the rest stays."""
    place = f"{NOON}#a"
    head = first(store, order_key=place)
    mark = store.samples_after(None).mark
    both = [a_sample(place, received_ms=9, text="{}"), a_sample(f"{NOON}#b", received_ms=700)]
    with store.unit():
        again = [*both, a_sample(f"{NOON}#b", received_ms=600), a_sample(place, received_ms=12)]
        assert store.put_samples("T1", again) == [False, True, False, False]
        applied(store, "T1", head, Steps(), f"{NOON}#b")
    kept = [(sample.order_key, sample.received_ms, sample.text) for sample in store.samples("T1")]
    assert kept == [(place, 9, '{"truck_id":"T1"}'), (f"{NOON}#b", 600, '{"truck_id":"T1"}')]
    assert [sample for _, sample in store.versions("T1")] == [a_sample(place, received_ms=9)]
    taken = [sample.received_ms for _, sample in store.samples_after(mark).rows]
    assert sorted(taken) == [9, 600], "the lake takes again what changed"


def test_two_trucks_samples_are_two(store: Store) -> None:
    with store.unit():
        assert store.put_samples("T1", [a_sample(f"{NOON}#a")]) == [True]
        assert store.put_samples("T2", [a_sample(f"{NOON}#a")]) == [True]


def test_a_content_dated_by_its_arrival_keeps_its_first_place(store: Store) -> None:
    """Each comes at another time; the order key under which it was first put is its own for ever."""
    first, later = f"{NOON}#a", f"{LATER}#a"
    with store.unit():
        assert store.claim("T1", {"c": first, "d": later}) == {"c": first, "d": later}
        store.put_samples("T1", [a_sample(first, content="c", by_arrival=True, estimated=True)])
    with store.unit():
        assert store.claim("T1", {"c": later, "new": later}) == {"c": first, "new": later}
        assert store.claim("T2", {"c": later}) == {"c": later}


def test_which_samples_are_there_can_be_asked(store: Store) -> None:
    with store.unit():
        store.put_samples("T1", [a_sample(f"{NOON}#a")])
    assert store.has_samples("T1", [f"{NOON}#a", f"{NOON}#b"]) == {f"{NOON}#a"}
    assert store.has_samples("T2", [f"{NOON}#a"]) == set()


def test_an_event_is_stored_and_counted_once(store: Store) -> None:
    with store.unit():
        assert store.put_clicks([a_click("a"), a_click("b", count=3), a_click("a", count=9)]) == [True, True, False]
    with store.unit():
        assert store.put_clicks([a_click("b"), a_click("c", count=0)]) == [False, True]
        assert store.put_clicks([]) == []
    assert [each for _, each in store.click_counts()] == [4]
    assert store.has_clicks(["a", "c", "x"]) == {"a", "c"}


def test_counters_keep_apart_what_differs(store: Store) -> None:
    counters = [
        Counter("2024-06-01T12:00Z", None, None, "view"),
        Counter("2024-06-01T12:00Z", "A13", None, "view"),
        Counter("2024-06-01T12:00Z", "A13", "Boots", "click"),
        Counter("2024-06-01T12:00Z", "A13", "Boots", "view"),
        Counter("2024-06-01T12:01Z", "A13", "Boots", "view"),
    ]
    with store.unit():
        store.put_clicks([a_click(f"e{number}", counter=counter) for number, counter in enumerate(counters * 2)])
    assert sorted(store.click_counts(), key=str) == sorted(((counter, 2) for counter in counters), key=str)


def test_a_dead_letter_that_repeats_is_counted(store: Store) -> None:
    with store.unit():
        store.put_dead_letters([a_letter("a"), a_letter("b", received_ms=500), a_letter("a", received_ms=9000)])
    assert [(each.id, each.times, each.received_ms) for each in store.dead_letters()] == [("b", 1, 500), ("a", 2, 1000)]
    assert store.dead_letter("a") == a_letter("a", times=2)
    with store.unit():
        store.remove_dead_letter("a")
    assert store.dead_letter("a") is None
    assert [each.id for each in store.dead_letters()] == ["b"]
