"""Events that several handlers bring at once, re-batched, again and again, killed after any call: each counted once."""

import random
from collections import Counter as Tally
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector import queries
from collector.history import TrackingPolicy
from collector.ingest import Ingest
from contract.errors import Retryable
from contract.ingest_items import Item
from tests.budget import budget
from tests.contract.examples import click
from tests.promises.rivals import NOW_MS
from tests.promises.schedule import Actor, Conductor, Killed
from tests.promises.worlds import SqliteWorld, TornWorld, World

POLICY = TrackingPolicy.of()
_TRIES = 30
Batches = list[list[int]]

events = st.lists(st.tuples(st.sampled_from(["A", "B"]), st.integers(0, 3)), min_size=1, max_size=8)
deaths = st.lists(st.one_of(st.none(), st.integers(1, 12)), min_size=3, max_size=3)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[tuple[str, int]], list[Batches]]:
    """Events as (item, times), and for each of up to three handlers the batches of event numbers that it brings."""
    found = draw(events)
    numbers = st.lists(st.integers(0, len(found) - 1), max_size=6)
    rivals = draw(st.lists(st.lists(numbers, max_size=3), min_size=1, max_size=3))
    rivals[0].append(list(range(len(found))))
    return found, rivals


def _bring(world: World, actor: Actor, batches: Batches, brought: list[Item]) -> None:
    for batch in batches:
        assert any(_taken(world, actor, [brought[number] for number in batch]) for _ in range(_TRIES))


def _taken(world: World, actor: Actor, batch: list[Item]) -> bool:
    try:
        Ingest(world.store(actor), POLICY).ingest(batch)
    except (Killed, Retryable):
        return False
    return True


def _play(world: World, conductor: Conductor, found: list[tuple[str, int]], rivals: list[Batches], dies: Any) -> None:
    prefix = world.truck
    records = [
        click(event_id=f"{prefix}-{number}", item_id=f"{prefix}-{item}", item_name=None, click_count=times)
        for number, (item, times) in enumerate(found)
    ]
    brought = [Item("click", "http:clicks", {**each, "timestamp": _NOW}, NOW_MS) for each in records]
    conductor.run([lambda actor, mine=mine: _bring(world, actor, mine, brought) for mine in rivals], dies)
    expected: Tally[str] = Tally()
    for item, times in found:
        expected[f"{prefix}-{item}"] += times
    rows = queries.clicks(world.watcher(), "item")
    counted = {row["item_id"]: row["count"] for row in rows if row["item_id"].startswith(f"{prefix}-")}
    assert counted == {item: count for item, count in expected.items() if count}
    mine = [event for event in world.watcher().clicks() if event.event_id.startswith(f"{prefix}-")]
    assert len(mine) == len(found)


_NOW = "2024-06-01T11:59:00.000Z"
_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@budget(200, 20_000)
def test_on_dynamodb_as_weak_as_it_may_be(examples: int) -> None:
    @settings(max_examples=examples, suppress_health_check=_SLOW)
    @given(deliveries(), deaths, st.integers(0, 2**32))
    def check(delivery: tuple[list[tuple[str, int]], list[Batches]], dies: list[int | None], order: int) -> None:
        chance = random.Random(order)
        conductor = Conductor(chance.randrange)
        _play(TornWorld(conductor, NOW_MS / 1000), conductor, *delivery, dies)

    check()


@budget(60, 5_000)
def test_on_sqlite(examples: int, tmp_path: Path) -> None:
    @settings(max_examples=examples, suppress_health_check=_SLOW)
    @given(deliveries(), deaths, st.integers(0, 2**32))
    def check(delivery: tuple[list[tuple[str, int]], list[Batches]], dies: list[int | None], order: int) -> None:
        chance = random.Random(order)
        conductor = Conductor(chance.randrange)
        world = SqliteWorld(tmp_path / "milepost.db")
        _play(world, conductor, *delivery, dies)
        world.close()

    check()


def test_many_events_are_counted_in_transactions_within_the_limits() -> None:
    """80 events and 100 items at most, whatever they are counted under."""
    conductor = Conductor(lambda n: 0)
    world = TornWorld(conductor, NOW_MS / 1000)
    found = [(f"I{number % 90}", 1) for number in range(400)]
    _play(world, conductor, found, [[list(range(400)), list(range(200, 400))]], [])
    assert world.tables.largest <= 100
