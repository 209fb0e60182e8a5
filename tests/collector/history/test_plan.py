"""`plan` against the definition: any samples, in any order, batching and repetition, make the one history."""

from collections.abc import Iterator, Sequence
from itertools import count

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from collector.history import Point, Run, Steps, Version, define, parts, plan
from collector.ingest.affected_runs import neighbourhood
from collector.rows import StoredSample
from collector.stores import Change, TruckHead
from collector.stores.sqlite.store import SqliteStore

points = st.builds(
    lambda minute, tie, key: Point(f"2026-01-01T00:{minute:02d}:00.000Z#{tie}", f"k{key}"),
    st.integers(0, 12),  # few instants, so that equal times are common
    st.integers(0, 3),
    st.integers(0, 2),
)


def _unique(found: Sequence[Point]) -> list[Point]:
    """One key an order key: an order key ends in the content's hash, so two contents never share one."""
    return list({point.order_key: point for point in found}.values())


def _stored(point: Point) -> StoredSample:
    return StoredSample(point.order_key, point.key, None, None, point.order_key, 0, False, "{}")


class Truck:
    """A truck of its own in a store that all examples share, since making a file for each would take the time."""

    numbers = count()

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.name = f"T{next(self.numbers)}"

    def put(self, points: Sequence[Point]) -> None:
        self.store.put_samples(self.name, [_stored(point) for point in points])

    def take(self, points: Sequence[Point]) -> None:
        with self.store.unit():
            self.put(points)
            head = self.store.head(self.name)
            new = sorted(set(points), key=lambda point: point.order_key)
            steps = plan(neighbourhood(self.store, self.name, head, new))
            self.store.apply(self.name, head, Change(steps, new[-1].order_key))

    def history(self) -> list[Version]:
        return [version for version, _ in self.store.versions(self.name)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path_factory.mktemp("store") / "milepost.db")
    yield opened
    opened.close()


@settings(max_examples=400)
@given(found=st.lists(points, min_size=1, max_size=40), data=st.data())
def test_any_delivery_makes_the_history_of_the_definition(
    store: SqliteStore, found: list[Point], data: st.DataObject
) -> None:
    """Order, batch splits and repetition leave no trace, equal times included, however far the store reads on."""
    samples = _unique(found)
    store.read_on = data.draw(st.sampled_from([0, 1, 3, 30]))
    delivered = data.draw(st.permutations(samples + data.draw(st.lists(st.sampled_from(samples), max_size=10))))
    truck = Truck(store)
    while delivered:
        size = data.draw(st.integers(1, 8))
        truck.take(delivered[:size])
        delivered = delivered[size:]
    assert truck.history() == define(samples)
    head = store.head(truck.name)
    assert head.current == define(samples)[-1]
    assert head.latest == max(point.order_key for point in samples)


@settings(max_examples=300)
@given(found=st.lists(points, min_size=2, max_size=30), data=st.data())
def test_samples_put_but_not_applied_are_healed_by_applying_them(
    store: SqliteStore, found: list[Point], data: st.DataObject
) -> None:
    """A writer that dies between put and apply harms nobody; its redelivery completes the history."""
    samples = _unique(found)
    store.read_on = data.draw(st.sampled_from([0, 1, 3, 30]))
    died = data.draw(st.lists(st.sampled_from(samples), max_size=8, unique=True))
    truck = Truck(store)
    truck.put(died)
    for point in data.draw(st.permutations(samples)):
        truck.take([point])
    assert truck.history() == define(samples)


def test_a_run_that_changes_nothing_gives_no_steps() -> None:
    before = Version("2026-01-01T00:00:00.000Z#a", "k", None)
    run = Run(before, (Point("2026-01-01T00:01:00.000Z#b", "k"),), (), None)
    assert not plan((run,))


def test_the_first_sample_of_all_opens_the_first_version() -> None:
    point = Point("2026-01-01T00:00:00.000Z#a", "k")
    assert plan((Run(None, (point,), (), None),)) == Steps(
        put=(Version(point.order_key, "k", None),),
        current=Version(point.order_key, "k", None),
        preceded=((point.order_key, None),),
    )


def test_a_late_sample_leaves_the_current_version_as_it_is(store: SqliteStore) -> None:
    truck = Truck(store)
    truck.take([Point("2026-01-01T00:01:00.000Z#", "a"), Point("2026-01-01T00:09:00.000Z#", "b")])
    truck.take([Point("2026-01-01T00:05:00.000Z#", "c")])
    head = store.head(truck.name)
    assert head == TruckHead("2026-01-01T00:09:00.000Z#", Version("2026-01-01T00:09:00.000Z#", "b", None), 2)


@settings(max_examples=200)
@given(
    old=st.lists(points, min_size=1, max_size=15),
    new=st.lists(points, min_size=1, max_size=30),
    most=st.integers(6, 12),
)
def test_a_plan_in_parts_leaves_a_whole_history_after_each(
    store: SqliteStore, old: list[Point], new: list[Point], most: int
) -> None:
    """Newest first, none larger than it may be, and at the end as if it had been one."""
    known = _unique(old)
    keys = {each.order_key for each in known}
    fresh = [each for each in sorted(_unique(new), key=lambda each: each.order_key) if each.order_key not in keys]
    assume(fresh)
    truck = Truck(store)
    truck.take(known)
    with store.unit():
        truck.put(fresh)
        head = store.head(truck.name)
        planned = parts(neighbourhood(store, truck.name, head, fresh), most)
        for steps in planned:
            assert steps.size <= most
            head = store.apply(truck.name, head, Change(steps, fresh[-1].order_key))
            assert any(truck.history() == define([*known, *fresh[first:]]) for first in range(len(fresh) + 1))
    assert truck.history() == define([*known, *fresh])
    assert store.head(truck.name) == head
