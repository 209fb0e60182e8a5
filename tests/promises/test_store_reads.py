"""What every `Store` gives back: what was put, in the order and under the names that were asked for."""

from collector.completeness.ledger import StreamLedger
from collector.history import Point, Steps, Version
from collector.rows import Counter
from collector.stores import Store, TruckHead
from contract.ranges import Ranges
from tests.promises.stored import (
    LATER,
    NOON,
    a_click,
    a_letter,
    a_sample,
    applied,
    first,
    keep,
    kept,
    opening,
    received,
)


def test_steps_are_applied_as_they_stand(store: Store) -> None:
    a, b, c = f"{NOON}#a", f"{NOON}#b", f"{LATER}#c"
    head = first(store)
    with store.unit():
        store.put_samples("T1", [a_sample(b, "kb"), a_sample(c, "kc")])
        applied(store, "T1", head, opening(Point(b, "kb"), Point(c, "kc"), before=head.current), c)
    expected = [Version(a, "k", NOON), Version(b, "kb", LATER), Version(c, "kc", None)]
    assert [version for version, _ in store.versions("T1")] == expected
    assert [sample.order_key for _, sample in store.versions("T1")] == [a, b, c]
    head = store.head("T1")
    assert (head.latest, head.current) == (c, expected[-1])
    with store.unit():
        applied(store, "T1", head, Steps(remove=(b,), close=((a, LATER),), preceded=((c, a),)), b)
    assert [version for version, _ in store.versions("T1")] == [Version(a, "k", LATER), expected[-1]]
    head = store.head("T1")
    assert (head.latest, head.current) == (c, expected[-1])  # an older latest does not set it back


def test_neighbours_of_an_order_key(store: Store) -> None:
    keys = [f"{NOON}#a", f"{NOON}#c", f"{LATER}#a"]
    with store.unit():
        store.put_samples("T1", [a_sample(key) for key in keys])
        applied(store, "T1", TruckHead(), opening(*(Point(key, f"k{key}") for key in keys)), keys[-1])
        store.put_samples("T2", [a_sample(f"{NOON}#b")])
    before = store.version_before("T1", keys[1])
    assert before
    assert (before.order_key, store.version_before("T1", keys[0])) == (keys[0], None)
    assert [version.order_key for version in store.versions_from("T1", keys[1])] == keys[1:]
    assert [version.order_key for version in store.versions_from("T1", keys[1] + "\0")] == keys[2:]
    assert [point.order_key for point in store.points_from("T1", keys[1])] == keys[1:]
    assert next(iter(store.points_from("T1", keys[0]))) == Point(keys[0], "k")


def test_sample_at_is_the_newest_at_or_before(store: Store) -> None:
    keys = [f"{NOON}#a", f"{NOON}#b", f"{LATER}#a"]
    with store.unit():
        store.put_samples("T1", [a_sample(key) for key in keys])
    found = [store.sample_at("T1", instant) for instant in ("2000-01-01T00:00:00.000Z", NOON, LATER, "9999")]
    assert [sample and sample.order_key for sample in found] == [None, keys[1], keys[2], keys[2]]
    assert store.sample_at("T2", LATER) is None


def test_version_at_is_the_last_that_started(store: Store) -> None:
    """Of several that start at one instant, the one that is not of zero length."""
    keys = [f"{NOON}#a", f"{NOON}#b", f"{LATER}#a"]
    with store.unit():
        store.put_samples("T1", [a_sample(key) for key in keys])
        applied(store, "T1", TruckHead(), opening(*(Point(key, f"k{key}") for key in keys)), keys[2])
    held = {
        at: store.version_at("T1", at) for at in ("2024-06-01T11:59:59.999Z", NOON, "2024-06-01T12:59:59.999Z", LATER)
    }
    assert [found and found[0].order_key for found in held.values()] == [None, keys[1], keys[1], keys[2]]
    assert [found and found[1].order_key for found in held.values()] == [None, keys[1], keys[1], keys[2]]


def test_a_sample_comes_back_as_it_was_put(store: Store) -> None:
    samples = [
        a_sample(f"{NOON}#a", stream_id=None, seq=None, by_arrival=True, text='{"x":"\\ud800"}', received_ms=2**45),
        a_sample(f"{NOON}#b", seq=2**63 - 1, key='[null,"ü"]'),
    ]
    with store.unit():
        store.put_samples("T1", samples)
    assert list(store.samples("T1")) == samples
    assert store.latest("T1") == samples[-1]


def test_a_click_and_a_dead_letter_come_back_as_they_were_put(store: Store) -> None:
    event = a_click(
        "ä", session_id=None, page=None, counter=Counter("2024-06-01T12:00Z", None, None, "search"), count=0
    )
    with store.unit():
        store.put_clicks([event])
        store.put_dead_letters([a_letter("d", payload=b"", field="")])
    assert list(store.clicks()) == [event]
    assert store.dead_letter("d") == a_letter("d", payload=b"", field="")


def test_clicks_come_in_the_order_of_time(store: Store) -> None:
    with store.unit():
        store.put_clicks([a_click("b", timestamp=LATER), a_click("c"), a_click("a")])
    assert [event.event_id for event in store.clicks()] == ["a", "c", "b"]


def test_ledgers_are_kept_a_stream(store: Store) -> None:
    whole, holed = received(1), received(1, 3)
    with store.unit():
        keep(store, "T2", {"s1": whole})
        keep(store, "T1", {"s2": holed, "s1": whole})
    assert store.ledgers("T1") == {"s1": whole, "s2": holed}
    assert list(store.ledgers("T1")) == ["s1", "s2"]
    assert store.ledger_trucks() == ["T1", "T2"]
    assert store.incomplete() == [("T1", "s2", holed)]
    assert kept(store, "T3", "s1") == StreamLedger()
    with store.unit():
        keep(store, "T1", {"s2": holed.receive(Ranges.of_numbers([2]), 2000)})
    assert store.incomplete() == []


def test_the_last_status_is_kept(store: Store) -> None:
    with store.unit():
        store.put_status("T1", "one")
        store.put_status("T1", "two")
    assert (store.status("T1"), store.status("T2")) == ("two", None)


def test_the_last_policy_is_kept(store: Store) -> None:
    assert store.policy() is None
    for text in ("one", "two"):
        with store.unit():
            store.remember_policy(text)
    assert store.policy() == "two"


def test_samples_are_counted_by_number(store: Store) -> None:
    """Those with a number, and how many different numbers they have."""
    samples = [
        a_sample(f"{NOON}#a", seq=1),
        a_sample(f"{NOON}#b", seq=1),
        a_sample(f"{NOON}#c", seq=1, stream_id="s2"),
        a_sample(f"{NOON}#d", seq=None, stream_id=None),
    ]
    with store.unit():
        store.put_samples("T1", samples)
    assert tuple(store.sample_counts("T1")) == (3, 2)
    assert tuple(store.sample_counts("T2")) == (0, 0)


def test_what_is_not_there_is_empty(store: Store) -> None:
    assert (store.truck_ids(), store.ledger_trucks(), store.incomplete()) == ([], [], [])
    assert (store.latest("T1"), store.head("T1"), store.version_at("T1", NOON)) == (None, TruckHead(), None)
    assert (list(store.versions("T1")), list(store.samples("T1")), store.ledgers("T1")) == ([], [], {})
    assert (list(store.click_counts()), list(store.clicks()), list(store.dead_letters())) == ([], [], [])
    assert (store.dead_letter("x"), store.has_clicks([]), store.version_count("T1")) == (None, set(), 0)


def test_tracked_keys_can_be_changed(store: Store) -> None:
    keys = [f"{NOON}#a", f"{LATER}#b"]
    with store.unit():
        store.put_samples("T1", [a_sample(key) for key in keys])
        store.put_samples("T2", [a_sample(key) for key in keys])
        store.put_keys("T1", {keys[0]: "other"})
    assert [point.key for point in store.points_from("T1", keys[0])] == ["other", "k"]
    assert [point.key for point in store.points_from("T2", keys[0])] == ["k", "k"]


def test_counters_can_be_made_anew(store: Store) -> None:
    with store.unit():
        store.put_clicks([a_click("e1", count=2), a_click("e2", count=0, counter=Counter(NOON, None, None, "view"))])
        before = list(store.click_counts())
        store.replace_click_counts()
    assert list(store.click_counts()) == before
    assert [number for _, number in before] == [2]


def test_what_was_stored_after_a_mark(store: Store) -> None:
    """The next mark leaves out nothing that is stored later; a mark that means nothing gives all."""
    with store.unit():
        store.put_samples("T1", [a_sample(f"{LATER}#a")])
        applied(store, "T1", TruckHead(), opening(Point(f"{LATER}#a", "k")), f"{LATER}#a")
        store.put_clicks([a_click("e1")])
    samples, clicks = store.samples_after(None), store.clicks_after(None, 2**62)
    assert [(truck, sample.order_key) for truck, sample in samples.rows] == [("T1", f"{LATER}#a")]
    assert [click.event_id for click in clicks.rows] == ["e1"]
    with store.unit():
        store.put_samples("T1", [a_sample(f"{NOON}#b")])
        store.put_clicks([a_click("e2")])
    later, more = store.samples_after(samples.mark), store.clicks_after(clicks.mark, 2**62)
    keys, ids = {sample.order_key for _, sample in later.rows}, {click.event_id for click in more.rows}
    assert keys == ({f"{NOON}#b", f"{LATER}#a"} if later.whole else {f"{NOON}#b"})
    assert ids == ({"e1", "e2"} if more.whole else {"e2"})
    assert {click.event_id for click in store.clicks_after(more.mark, 0).rows} == {"e1", "e2"}
    other = store.samples_after("1:another file's row")
    assert (len(list(other.rows)), other.whole) == (2, True)
