"""What collector/stores/__init__.py promises of every `Store`: each act happens whole or not at all, and is fenced."""

import threading

import pytest

from collector.history import Point, Steps, Version
from collector.stores import Change, Conflict, Store, TruckHead
from contract.errors import Retryable
from contract.ranges import Ranges
from tests.promises.conftest import Place
from tests.promises.stored import (
    LATER,
    NOON,
    a_sample,
    applied,
    first,
    kept,
    opening,
    put_everything,
    received,
    what_is_there,
)


def test_a_unit_happens_whole(store: Store, place: Place) -> None:
    """And is there for others when its block ends."""
    with store.unit():
        put_everything(store)
    assert all(what_is_there(store))
    assert all(what_is_there(place.store()))


def test_a_unit_that_fails_has_not_happened(store: Store, place: Place) -> None:
    if not place.transactions:
        pytest.skip("of this store's units the first calls may have happened")

    class OurBug(Exception):
        pass

    def fail() -> None:
        with store.unit():
            put_everything(store)
            raise OurBug

    with pytest.raises(OurBug):
        fail()
    assert not any(what_is_there(store))
    with store.unit():
        put_everything(store)
    assert all(what_is_there(store))


def test_nobody_sees_half_a_unit(store: Store, place: Place) -> None:
    if not place.transactions:
        pytest.skip("of this store's units the first calls may be seen")
    with store.unit():
        put_everything(store)
        reader = place.reader()
        assert reader is None or (reader.truck_ids(), list(reader.clicks()), reader.policy()) == ([], [], None)
    reader = place.reader()
    assert reader
    assert reader.truck_ids() == ["T9"]


def test_no_store_is_no_reader(place: Place) -> None:
    assert place.reader() is None


def test_a_plan_made_with_an_old_head_is_refused_and_changes_nothing(store: Store) -> None:
    old = first(store)
    with store.unit():
        applied(store, "T1", old, Steps(), f"{NOON}#b")
    before = (store.head("T1"), list(store.versions("T1")))
    remove = Steps(remove=(f"{NOON}#a",), close=((f"{NOON}#a", LATER),))
    for read in (old, TruckHead()):
        with pytest.raises(Conflict), store.unit():
            applied(store, "T1", read, remove, f"{LATER}#c")
        assert (store.head("T1"), list(store.versions("T1"))) == before


def test_a_plan_with_a_head_that_is_not_there_is_refused(store: Store) -> None:
    head = first(store, "T1")
    with pytest.raises(Conflict), store.unit():
        applied(store, "T2", head, Steps(), f"{LATER}#")
    assert store.head("T2") == TruckHead()


def test_a_conflict_may_be_tried_again() -> None:
    assert issubclass(Conflict, Retryable)


def test_every_apply_bumps_the_revision(store: Store) -> None:
    """Also one that changes no version: it fences a late insert that crosses a decision to do nothing."""
    head = first(store)
    with store.unit():
        applied(store, "T1", head, Steps(), head.latest)
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
    assert kept(place.store(), "T1", "s1").received == Ranges.of([(1, 2 * rounds)])


def test_apply_changes_head_versions_and_ledgers_in_one_act(store: Store) -> None:
    """And gives the head as it is then, to plan the next act with."""
    head = first(store)
    b, ledgers = f"{LATER}#b", {"s1": received(1, 2), "s2": received(7)}
    with store.unit():
        store.put_samples("T1", [a_sample(b, "kb")])
        steps = opening(Point(b, "kb"), before=head.current)
        given = store.apply("T1", store.head("T1", set(ledgers)), Change(steps, b, ledgers))
    assert given == store.head("T1", set(ledgers))
    assert (given.latest, given.current, given.ledgers) == (b, Version(b, "kb", None), ledgers)
    stale = Change(Steps(remove=(b,)), b, {"s1": received(9)})
    with pytest.raises(Conflict), store.unit():
        store.apply("T1", head, stale)
    assert store.head("T1", set(ledgers)) == given
