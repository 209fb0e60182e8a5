"""What collector/stores/__init__.py promises of every `Store`: atomic, fenced, deaf to SCD2, idempotent, retryable."""

import threading
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.history import Point, Policy, Run, Steps, Version, define, plan
from collector.ingest import Ingest
from collector.ledger import Stream
from collector.stores import Change, Conflict, Counter, DeadLetter, Head, Store, StoredClick, StoredSample
from contract import instants
from contract.errors import Retryable
from contract.items import Item
from contract.ranges import Ranges
from tests.promises.conftest import Place

NOON = "2024-06-01T12:00:00.000Z"
LATER = "2024-06-01T13:00:00.000Z"


def _sample(order_key: str, key: str = "k", **more: object) -> StoredSample:
    stored = StoredSample(order_key, key, "s1", 1, f"content of {order_key}", 1000, False, '{"truck_id":"T1"}')
    return stored._replace(**more)  # type: ignore[arg-type]


def _click(event_id: str, **more: object) -> StoredClick:
    counter = Counter("2024-06-01T12:00Z", "A13", "Boots", "view")
    return replace(StoredClick(event_id, NOON, "v1", "/", counter, 1, 1000, "{}"), **more)  # type: ignore[arg-type]


def _letter(id: str, **more: object) -> DeadLetter:
    return replace(DeadLetter(id, 1000, "file:telemetry", "seq", "because", b"\xff{"), **more)  # type: ignore[arg-type]


def _opening(*points: Point, before: Version | None = None) -> Steps:
    """The plan for points beyond all that is stored."""
    return plan((Run(before, points, (), None),))


def _apply(store: Store, truck_id: str, read: Head, steps: Steps, latest: str) -> Head:
    """What was planned with the head `read`."""
    return store.apply(truck_id, read, Change(steps, latest))


def _keep(store: Store, truck_id: str, ledgers: dict[str, Stream]) -> None:
    """Write the ledgers of some of a truck's streams."""
    store.apply(truck_id, store.head(truck_id, set(ledgers)), Change(ledgers=ledgers))


def _kept(store: Store, truck_id: str, stream_id: str) -> Stream:
    return store.head(truck_id, {stream_id}).ledgers[stream_id]


def _received(*numbers: int) -> Stream:
    return Stream().receive(Ranges.of_numbers(numbers), 1000)


def _first(store: Store, truck_id: str = "T1", order_key: str = f"{NOON}#a") -> Head:
    """One sample, put and applied."""
    with store.unit():
        store.put_samples(truck_id, [_sample(order_key)])
        _apply(store, truck_id, store.head(truck_id), _opening(Point(order_key, "k")), order_key)
    return store.head(truck_id)


def _everything(store: Store) -> None:
    """One of each thing that can be written."""
    store.remember_policy("policy")
    order_key = f"{LATER}#z"
    store.put_samples("T9", [_sample(order_key)])
    _apply(store, "T9", Head(), _opening(Point(order_key, "k")), order_key)
    _keep(store, "T9", {"s1": _received(2)})
    store.put_status("T9", "{}")
    store.put_clicks([_click("e9")])
    store.put_dead_letters([_letter("d9")])


def _is_there(store: Store) -> list[bool]:
    return [
        store.policy() == "policy",
        store.truck_ids() == ["T9"],
        store.latest("T9") is not None,
        store.head("T9").rev > 0,
        store.version_count("T9") == 1,
        _kept(store, "T9", "s1") == _received(2),
        store.status("T9") == "{}",
        len(list(store.click_counts())) == 1,
        len(list(store.clicks())) == 1,
        len(list(store.dead_letters())) == 1,
    ]


# Atomic


def test_a_unit_happens_whole(store: Store, place: Place) -> None:
    """And is there for others when its block ends."""
    with store.unit():
        _everything(store)
    assert all(_is_there(store))
    assert all(_is_there(place.store()))


def test_a_unit_that_fails_has_not_happened(store: Store, place: Place) -> None:
    if not place.transactions:
        pytest.skip("of this store's units the first calls may have happened")

    class OurBug(Exception):
        pass

    def fail() -> None:
        with store.unit():
            _everything(store)
            raise OurBug

    with pytest.raises(OurBug):
        fail()
    assert not any(_is_there(store))
    with store.unit():
        _everything(store)
    assert all(_is_there(store))


def test_nobody_sees_half_a_unit(store: Store, place: Place) -> None:
    if not place.transactions:
        pytest.skip("of this store's units the first calls may be seen")
    with store.unit():
        _everything(store)
        reader = place.reader()
        assert reader is None or (reader.truck_ids(), list(reader.clicks()), reader.policy()) == ([], [], None)
    reader = place.reader()
    assert reader
    assert reader.truck_ids() == ["T9"]


def test_no_store_is_no_reader(place: Place) -> None:
    assert place.reader() is None


# Fenced


def test_a_plan_made_with_an_old_head_is_refused_and_changes_nothing(store: Store) -> None:
    old = _first(store)
    with store.unit():
        _apply(store, "T1", old, Steps(), f"{NOON}#b")
    before = (store.head("T1"), list(store.versions("T1")))
    remove = Steps(remove=(f"{NOON}#a",), close=((f"{NOON}#a", LATER),))
    for read in (old, Head()):
        with pytest.raises(Conflict), store.unit():
            _apply(store, "T1", read, remove, f"{LATER}#c")
        assert (store.head("T1"), list(store.versions("T1"))) == before


def test_a_plan_with_a_head_that_is_not_there_is_refused(store: Store) -> None:
    head = _first(store, "T1")
    with pytest.raises(Conflict), store.unit():
        _apply(store, "T2", head, Steps(), f"{LATER}#")
    assert store.head("T2") == Head()


def test_a_conflict_may_be_tried_again() -> None:
    assert issubclass(Conflict, Retryable)


def test_every_apply_bumps_the_revision(store: Store) -> None:
    """Also one that changes no version: it fences a late insert that crosses a decision to do nothing."""
    head = _first(store)
    with store.unit():
        _apply(store, "T1", head, Steps(), head.latest)
    assert store.head("T1").rev > head.rev


def _add(store: Store, number: int) -> bool:
    """One number more in a ledger; False where another writer was first."""
    try:
        with store.unit():
            head = store.head("T1", {"s1"})
            more = head.ledgers["s1"].receive(Ranges.of_numbers([number]), number)
            store.apply("T1", head, Change(ledgers={"s1": more}))
    except Conflict:
        return False
    return True


def test_two_writers_never_interleave(place: Place) -> None:
    """Each reads a ledger and writes it back with one number more: none is overwritten."""
    rounds, failures = 40, []
    place.store()
    gate = threading.Barrier(2)

    def write(parity: int) -> None:
        try:
            mine = place.store()
            gate.wait()
            for number in range(1 + parity, 2 * rounds + 1, 2):
                while not _add(mine, number):
                    pass
        except Exception as error:  # noqa: BLE001 - a thread's door
            failures.append(error)

    threads = [threading.Thread(target=write, args=(parity,)) for parity in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert _kept(place.store(), "T1", "s1").received == Ranges.of([(1, 2 * rounds)])


# Idempotent puts


def test_a_sample_already_stored_is_left_as_it_was(store: Store) -> None:
    with store.unit():
        assert store.put_samples("T1", [_sample(f"{NOON}#a"), _sample(f"{NOON}#b")]) == [True, True]
        again = [_sample(f"{NOON}#b", received_ms=9), _sample(f"{NOON}#c"), _sample(f"{NOON}#c", received_ms=9)]
        assert store.put_samples("T1", again) == [False, True, False]
    assert {sample.received_ms for sample in store.samples("T1")} == {1000}


def test_two_trucks_samples_are_two(store: Store) -> None:
    with store.unit():
        assert store.put_samples("T1", [_sample(f"{NOON}#a")]) == [True]
        assert store.put_samples("T2", [_sample(f"{NOON}#a")]) == [True]


def test_a_content_dated_by_its_arrival_keeps_its_first_place(store: Store) -> None:
    """Each comes at another time; the order key under which it was first put is its own for ever."""
    first, later = f"{NOON}#a", f"{LATER}#a"
    with store.unit():
        assert store.claim("T1", {"c": first, "d": later}) == {"c": first, "d": later}
        store.put_samples("T1", [_sample(first, content="c", by_arrival=True)])
    with store.unit():
        assert store.claim("T1", {"c": later, "new": later}) == {"c": first, "new": later}
        assert store.claim("T2", {"c": later}) == {"c": later}


def test_which_samples_are_there_can_be_asked(store: Store) -> None:
    with store.unit():
        store.put_samples("T1", [_sample(f"{NOON}#a")])
    assert store.has_samples("T1", [f"{NOON}#a", f"{NOON}#b"]) == {f"{NOON}#a"}
    assert store.has_samples("T2", [f"{NOON}#a"]) == set()


def test_an_event_is_stored_and_counted_once(store: Store) -> None:
    with store.unit():
        assert store.put_clicks([_click("a"), _click("b", count=3), _click("a", count=9)]) == [True, True, False]
    with store.unit():
        assert store.put_clicks([_click("b"), _click("c", count=0)]) == [False, True]
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
        store.put_clicks([_click(f"e{number}", counter=counter) for number, counter in enumerate(counters * 2)])
    assert sorted(store.click_counts(), key=str) == sorted(((counter, 2) for counter in counters), key=str)


def test_a_dead_letter_that_repeats_is_counted(store: Store) -> None:
    with store.unit():
        store.put_dead_letters([_letter("a"), _letter("b", received_ms=500), _letter("a", received_ms=9000)])
    assert [(each.id, each.times, each.received_ms) for each in store.dead_letters()] == [("b", 1, 500), ("a", 2, 1000)]
    assert store.dead_letter("a") == _letter("a", times=2)
    with store.unit():
        store.remove_dead_letter("a")
    assert store.dead_letter("a") is None
    assert [each.id for each in store.dead_letters()] == ["b"]


# What the planner reads


def test_steps_are_applied_as_they_stand(store: Store) -> None:
    a, b, c = f"{NOON}#a", f"{NOON}#b", f"{LATER}#c"
    head = _first(store)
    with store.unit():
        store.put_samples("T1", [_sample(b, "kb"), _sample(c, "kc")])
        _apply(store, "T1", head, _opening(Point(b, "kb"), Point(c, "kc"), before=head.current), c)
    expected = [Version(a, "k", NOON), Version(b, "kb", LATER), Version(c, "kc", None)]
    assert [version for version, _ in store.versions("T1")] == expected
    assert [sample.order_key for _, sample in store.versions("T1")] == [a, b, c]
    head = store.head("T1")
    assert (head.latest, head.current) == (c, expected[-1])
    with store.unit():
        _apply(store, "T1", head, Steps(remove=(b,), close=((a, LATER),)), b)
    assert [version for version, _ in store.versions("T1")] == [Version(a, "k", LATER), expected[-1]]
    head = store.head("T1")
    assert (head.latest, head.current) == (c, expected[-1])  # an older latest does not set it back


def test_neighbours_of_an_order_key(store: Store) -> None:
    keys = [f"{NOON}#a", f"{NOON}#c", f"{LATER}#a"]
    with store.unit():
        store.put_samples("T1", [_sample(key) for key in keys])
        _apply(store, "T1", Head(), _opening(*(Point(key, f"k{key}") for key in keys)), keys[-1])
        store.put_samples("T2", [_sample(f"{NOON}#b")])
    before = store.version_before("T1", keys[1])
    assert before
    assert (before.order_key, store.version_before("T1", keys[0])) == (keys[0], None)
    assert [version.order_key for version in store.versions_from("T1", keys[1])] == keys[1:]
    assert [version.order_key for version in store.versions_from("T1", keys[1] + "\0")] == keys[2:]
    assert [point.order_key for point in store.points_from("T1", keys[1])] == keys[1:]
    assert next(iter(store.points_from("T1", keys[0]))) == Point(keys[0], "k")


def test_version_at_is_the_last_that_started(store: Store) -> None:
    """Of several that start at one instant, the one that is not of zero length."""
    keys = [f"{NOON}#a", f"{NOON}#b", f"{LATER}#a"]
    with store.unit():
        store.put_samples("T1", [_sample(key) for key in keys])
        _apply(store, "T1", Head(), _opening(*(Point(key, f"k{key}") for key in keys)), keys[2])
    held = {
        at: store.version_at("T1", at) for at in ("2024-06-01T11:59:59.999Z", NOON, "2024-06-01T12:59:59.999Z", LATER)
    }
    assert [found and found[0].order_key for found in held.values()] == [None, keys[1], keys[1], keys[2]]
    assert [found and found[1].order_key for found in held.values()] == [None, keys[1], keys[1], keys[2]]


# What is kept


def test_a_sample_comes_back_as_it_was_put(store: Store) -> None:
    samples = [
        _sample(f"{NOON}#a", stream_id=None, seq=None, by_arrival=True, text='{"x":"\\ud800"}', received_ms=2**45),
        _sample(f"{NOON}#b", seq=2**63 - 1, key='[null,"ü"]'),
    ]
    with store.unit():
        store.put_samples("T1", samples)
    assert list(store.samples("T1")) == samples
    assert store.latest("T1") == samples[-1]


def test_a_click_and_a_dead_letter_come_back_as_they_were_put(store: Store) -> None:
    event = _click("ä", session_id=None, page=None, counter=Counter("2024-06-01T12:00Z", None, None, "search"), count=0)
    with store.unit():
        store.put_clicks([event])
        store.put_dead_letters([_letter("d", payload=b"", field="")])
    assert list(store.clicks()) == [event]
    assert store.dead_letter("d") == _letter("d", payload=b"", field="")


def test_clicks_come_in_the_order_of_time(store: Store) -> None:
    with store.unit():
        store.put_clicks([_click("b", timestamp=LATER), _click("c"), _click("a")])
    assert [event.event_id for event in store.clicks()] == ["a", "c", "b"]


def test_ledgers_are_kept_a_stream(store: Store) -> None:
    whole, holed = _received(1), _received(1, 3)
    with store.unit():
        _keep(store, "T2", {"s1": whole})
        _keep(store, "T1", {"s2": holed, "s1": whole})
    assert store.ledgers("T1") == {"s1": whole, "s2": holed}
    assert list(store.ledgers("T1")) == ["s1", "s2"]
    assert store.ledger_trucks() == ["T1", "T2"]
    assert store.incomplete() == [("T1", "s2", holed)]
    assert _kept(store, "T3", "s1") == Stream()
    with store.unit():
        _keep(store, "T1", {"s2": holed.receive(Ranges.of_numbers([2]), 2000)})
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
        _sample(f"{NOON}#a", seq=1),
        _sample(f"{NOON}#b", seq=1),
        _sample(f"{NOON}#c", seq=1, stream_id="s2"),
        _sample(f"{NOON}#d", seq=None, stream_id=None),
    ]
    with store.unit():
        store.put_samples("T1", samples)
    assert tuple(store.sample_counts("T1")) == (3, 2)
    assert tuple(store.sample_counts("T2")) == (0, 0)


def test_what_is_not_there_is_empty(store: Store) -> None:
    assert (store.truck_ids(), store.ledger_trucks(), store.incomplete()) == ([], [], [])
    assert (store.latest("T1"), store.head("T1"), store.version_at("T1", NOON)) == (None, Head(), None)
    assert (list(store.versions("T1")), list(store.samples("T1")), store.ledgers("T1")) == ([], [], {})
    assert (list(store.click_counts()), list(store.clicks()), list(store.dead_letters())) == ([], [], [])
    assert (store.dead_letter("x"), store.has_clicks([]), store.version_count("T1")) == (None, set(), 0)


def test_tracked_keys_can_be_changed(store: Store) -> None:
    keys = [f"{NOON}#a", f"{LATER}#b"]
    with store.unit():
        store.put_samples("T1", [_sample(key) for key in keys])
        store.put_samples("T2", [_sample(key) for key in keys])
        store.put_keys("T1", {keys[0]: "other"})
    assert [point.key for point in store.points_from("T1", keys[0])] == ["other", "k"]
    assert [point.key for point in store.points_from("T2", keys[0])] == ["k", "k"]


def test_counters_can_be_made_anew(store: Store) -> None:
    with store.unit():
        store.put_clicks([_click("e1", count=2), _click("e2", count=0, counter=Counter(NOON, None, None, "view"))])
        before = list(store.click_counts())
        store.replace_click_counts()
    assert list(store.click_counts()) == before
    assert [number for _, number in before] == [2]


def test_apply_changes_head_versions_and_ledgers_in_one_act(store: Store) -> None:
    """And gives the head as it is then, to plan the next act with."""
    head = _first(store)
    b, ledgers = f"{LATER}#b", {"s1": _received(1, 2), "s2": _received(7)}
    with store.unit():
        store.put_samples("T1", [_sample(b, "kb")])
        steps = _opening(Point(b, "kb"), before=head.current)
        given = store.apply("T1", store.head("T1", set(ledgers)), Change(steps, b, ledgers))
    assert given == store.head("T1", set(ledgers))
    assert (given.latest, given.current, given.ledgers) == (b, Version(b, "kb", None), ledgers)
    stale = Change(Steps(remove=(b,)), b, {"s1": _received(9)})
    with pytest.raises(Conflict), store.unit():
        store.apply("T1", head, stale)
    assert store.head("T1", set(ledgers)) == given


numbers = count()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    found=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2), st.sampled_from("ab")), min_size=1, max_size=20),
    data=st.data(),
)
def test_any_delivery_ends_in_the_history_of_the_definition(
    store: Store, found: list[tuple[int, int, str]], data: st.DataObject
) -> None:
    """The whole path over this store: late, equal times, repeated, in any batches."""
    truck, policy = f"P{next(numbers)}", Policy.of({"vehicle_health_and_maintenance.brake_status": "exact"})
    records = [
        {
            "truck_id": truck,
            "sampled_at": f"2024-06-01T10:0{minute}:00.000Z",
            "note": note,
            "vehicle_health_and_maintenance": {"brake_status": status},
        }
        for minute, note, status in found
    ]
    ingest = Ingest(store, policy)
    items = [
        Item("telemetry", "file:telemetry", record, instants.to_ms(NOON))
        for record in data.draw(st.permutations(records))
    ]
    while items:
        size = data.draw(st.integers(1, 6))
        ingest.ingest(items[:size])
        items = items[size:]
    points = [Point(sample.order_key, sample.key) for sample in store.samples(truck)]
    assert len(points) == len(set(found))
    assert [version for version, _ in store.versions(truck)] == define(points)


def test_a_store_says_how_many_samples_it_takes_at_a_time(store: Store) -> None:
    assert store.chunk > 0
