"""A rebuild while handlers write, every call interleaved: it leaves the one history, and nobody stuck."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

import collector.rebuild as module
from collector.rebuild import rebuild
from collector.stores import Store
from contract.errors import Retryable
from tests.budget import budget
from tests.promises.rivals import NOW_MS, POLICIES, Story, drawn, play, stories
from tests.promises.schedule import Conductor
from tests.promises.worlds import SqliteWorld, TornWorld

_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


def _torn(conductor: Conductor) -> TornWorld:
    return TornWorld(conductor, NOW_MS / 1000)


def _rebuilds(story: Story, truck: str) -> Callable[[Store], None]:
    """Three times one after the other; where handlers are always first it may give up."""

    def act(store: Store) -> None:
        for _ in range(3):
            try:
                rebuild(store, POLICIES[story.policy], truck)
            except Retryable:
                continue

    return act


@budget(200, 10_000)
def test_on_dynamodb_as_weak_as_it_may_be(examples: int) -> None:
    @settings(max_examples=examples, suppress_health_check=_SLOW)
    @given(stories())
    def check(story: Story) -> None:
        _, wrong = play(_torn, story, others=[_rebuilds(story, "T1")])
        assert not wrong, (wrong, story)

    check()


@budget(50, 2_000)
def test_on_sqlite(examples: int, tmp_path: Path) -> None:
    @settings(max_examples=examples, suppress_health_check=_SLOW)
    @given(stories())
    def check(story: Story) -> None:
        world = SqliteWorld(tmp_path / "milepost.db")
        _, wrong = play(lambda _: world, story, others=[_rebuilds(story, world.truck)])
        world.close()
        assert not wrong, (wrong, story)

    check()


def _wrong(seeds: range) -> Iterator[int]:
    """The seeds of the stories that end wrong."""
    for seed in seeds:
        story = drawn(random.Random(seed))
        if play(_torn, story, others=[_rebuilds(story, "T1")])[1]:
            yield seed


def test_a_rebuild_that_takes_what_it_reads_for_one_snapshot_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four stories of the first 6,000 leave a history that nobody can write to any more; 2454 is the first."""
    monkeypatch.setattr(module, "_DAMAGED", 0)
    assert next(_wrong(range(2_440, 2_460)), None) is not None
    monkeypatch.undo()
    assert next(_wrong(range(2_440, 2_490)), None) is None
