"""Any delivery, by up to three handlers whose every call is interleaved, killed after any call: one history.

The proof of docs/decisions/0005-history-on-dynamodb.md. Three stores: SQLite; DynamoDB in memory, whose transactions
others see item by item, as AWS allows; and ministack, where the calls are real. Then each rule of the protocol is
broken on purpose, and the same search must find what goes wrong.
"""

import random
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from collector.history import Point
from collector.ingest.history_writer import HistoryWriter
from collector.rows import StoredSample
from collector.stores import Change, TruckHead
from collector.stores.dynamodb import DynamoDbStore
from tests import ministack
from tests.budget import budget
from tests.promises.rivals import NOW_MS, Story, drawn, harder, play, stories, weather
from tests.promises.schedule import Conductor
from tests.promises.worlds import RealWorld, SqliteWorld, TornWorld

_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


def _torn(conductor: Conductor) -> TornWorld:
    return TornWorld(conductor, NOW_MS / 1000)


@budget(500, 20_000)
def test_on_dynamodb_as_weak_as_it_may_be(examples: int) -> None:
    @settings(max_examples=examples, suppress_health_check=_SLOW)
    @given(stories())
    def check(story: Story) -> None:
        world, wrong = play(_torn, story)
        assert not wrong, (wrong, story)
        assert isinstance(world, TornWorld)
        assert world.tables.largest <= min(story.most_versions + 10, 90)

    check()


@budget(150, 5_000)
def test_on_sqlite(examples: int, tmp_path: Path) -> None:
    @settings(max_examples=examples, suppress_health_check=_SLOW)
    @given(stories())
    def check(story: Story) -> None:
        world, wrong = play(lambda _: SqliteWorld(tmp_path / "milepost.db"), story)
        world.close()
        assert not wrong, (wrong, story)

    check()


@budget(40, 1_000)
def test_on_ministack(examples: int, aws: str) -> None:
    client = ministack.client(aws)

    @settings(max_examples=examples, suppress_health_check=_SLOW)
    @given(stories(most=5))
    def check(story: Story) -> None:
        _, wrong = play(lambda _: RealWorld(aws, client, NOW_MS / 1000), story)
        assert not wrong, (wrong, story)

    check()


def _stories(seeds: Iterable[int]) -> Iterator[tuple[int, Story, list[str]]]:
    for seed in seeds:
        chance = random.Random(seed)
        story, fault = harder(chance), weather(chance)
        _, wrong = play(lambda conductor: TornWorld(conductor, NOW_MS / 1000, fault=fault), story)  # noqa: B023
        yield seed, story, wrong


def test_throttles_lost_answers_and_crashes_leave_the_same_history() -> None:
    assert [found for found in _stories(range(150)) if found[2]] == []


@pytest.mark.prove
@pytest.mark.timeout(7200)
def test_a_hundred_thousand_stories_and_none_ends_wrong() -> None:
    """Nor is one left unhealed, nor does one go on for ever: each batch is taken within its tries."""
    stories = 100_000
    wrong = [found for found in _stories(range(stories)) if found[2]]
    print(f"\n{stories} stories, {len(wrong)} wrong")
    assert wrong == []


# The rules, one by one


class WithoutBump(DynamoDbStore):
    """A change that touches no version leaves `rev` as it is."""

    def _next_rev(self, read: TruckHead, change: Change) -> int:
        return read.rev + 1 if change.steps or not read.rev else read.rev


class Unconfirmed(DynamoDbStore):
    """What the queries said is taken for one snapshot."""

    def _confirm(self, truck_id: str, read: TruckHead) -> None:
        pass


class Unlinked(DynamoDbStore):
    """Whether a version is missing between two that were read is not looked at."""

    def _confirm(self, truck_id: str, read: TruckHead) -> None:
        self._seen[truck_id].torn = False
        super()._confirm(truck_id, read)


class HeadLast(DynamoDbStore):
    """The head that is applied to is read after the versions and the samples."""

    def apply(self, truck_id: str, read: TruckHead, change: Change) -> TruckHead:
        return super().apply(truck_id, self.head(truck_id, read.ledgers), change)


class KeepsBodies(DynamoDbStore):
    """What this process put is taken for what is stored, also after a rival was first."""

    def head(self, truck_id: str, streams: Collection[str] = ()) -> TruckHead:
        at_hand = self._bodies.get(truck_id, {})
        found = super().head(truck_id, streams)
        self._bodies[truck_id] = at_hand
        return found


class SkipsStored(HistoryWriter):
    """A sample that is stored already is taken for one that was applied."""

    def _points(self, rows: Sequence[StoredSample], fresh: Sequence[bool]) -> list[Point]:
        new = [row for row, is_new in zip(rows, fresh, strict=True) if is_new]
        return super()._points(new, [True] * len(new))


FAULTS: dict[str, Any] = {
    "rev is not bumped": (WithoutBump, HistoryWriter),
    "the head is read after the versions": (HeadLast, HistoryWriter),
    "stored samples are skipped": (DynamoDbStore, SkipsStored),
    "what was put is not read again": (KeepsBodies, HistoryWriter),
    "reads are not confirmed": (Unconfirmed, HistoryWriter),
    "versions are not held against their links": (Unlinked, HistoryWriter),
}


class UnconfirmedReceipts(DynamoDbStore):
    """The body of a sample that was read is taken for what is stored."""

    def _confirm(self, truck_id: str, read: TruckHead) -> None:
        self._seen[truck_id].receipts.clear()
        super()._confirm(truck_id, read)


def test_a_body_that_is_read_while_its_receipt_changes_is_read_again() -> None:
    """One random story of some thousand shows it: a head that is new already, and a sample that is not yet."""
    brought = (((2,), (0,), (1,)), ((0,),), ())
    samples = ((1, 1, 1), (0, 0, 1), (0, 0, 0))
    story = Story(samples, brought, policy="every-sample", order=2600972587, twins=True, receipts=1860742428)
    assert play(_torn, story)[1] == []
    broken = play(lambda conductor: TornWorld(conductor, NOW_MS / 1000, UnconfirmedReceipts), story)[1]
    assert "receipts of opening samples" in broken


def _wrong(store: type[DynamoDbStore], applier: type[HistoryWriter], stories: int) -> Iterator[int]:
    """The seeds of the stories that end wrong."""
    for seed in range(stories):
        story = drawn(random.Random(seed))
        _, wrong = play(lambda conductor: TornWorld(conductor, NOW_MS / 1000, store), story, applier)
        if wrong:
            yield seed


@pytest.mark.parametrize("what", FAULTS)
def test_a_broken_rule_is_found(what: str) -> None:
    """So the search above would find it too."""
    assert next(_wrong(*FAULTS[what], 2_000), None) is not None


@pytest.mark.prove
@pytest.mark.parametrize("what", FAULTS)
def test_how_often_a_broken_rule_shows(what: str) -> None:
    stories = 20_000
    found = list(_wrong(*FAULTS[what], stories))
    print(f"\n{what}: {len(found)} of {stories} stories end wrong, the first by seed {found[:1]}")
    assert found


@pytest.mark.prove
def test_none_ends_wrong_as_written() -> None:
    assert next(_wrong(DynamoDbStore, HistoryWriter, 20_000), None) is None
