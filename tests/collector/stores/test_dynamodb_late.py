"""A thousand late samples of one truck under `every-sample`: no transaction over its limit, whatever is killed."""

import random
from typing import Any

import pytest

from collector.history import Point, TrackingPolicy, define
from collector.ingest import Ingest
from collector.rebuild import verify
from collector.stores.dynamodb import DynamoDbStore
from collector.stores.dynamodb.retries import Calls
from contract import timestamps
from contract.errors import Retryable
from contract.ingest_items import Item
from contract.records import read_sample
from tests.budget import budget
from tests.collector.stores.cloud import Cloud
from tests.contract.examples import RECEIVED_MS
from tests.promises.schedule import Conductor, Killed
from tests.promises.torn_dynamodb import MOST_BYTES, TornClient
from tests.promises.worlds import TornWorld

EVERY = TrackingPolicy.of("every-sample")
LATE = 1_000


def _items(truck: str) -> list[Item]:
    """Every minute; each opens a version."""
    start = RECEIVED_MS - (LATE + 2) * 60_000
    records: list[Any] = [
        {
            "truck_id": truck,
            "stream_id": "s1",
            "seq": seq,
            "sampled_at": timestamps.from_ms(start + seq * 60_000),
            "vehicle_speed": seq % 7,
        }
        for seq in range(1, LATE + 2)
    ]
    return [Item("telemetry", "file:telemetry", record, RECEIVED_MS) for record in records]


def _expected(items: list[Item]) -> list[Any]:
    read = [read_sample(item.record, received_ms=RECEIVED_MS, date_by_arrival=False) for item in items]
    return define(Point(each.order_key, EVERY.key(each.record, each.order_key)) for each in read)


class Mortal:
    """A client whose process dies after some call, so many times."""

    def __init__(self, inner: Any, chance: random.Random, deaths: int) -> None:
        self._inner, self._chance = inner, chance
        self.deaths = deaths
        self._left = self._life()

    def _life(self) -> int:
        return self._chance.randrange(1, 400)

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            answer = getattr(self._inner, operation)(**arguments)
            self._left -= 1
            if self._left <= 0 and self.deaths:
                self._left, self.deaths = self._life(), self.deaths - 1
                raise Killed
            return answer

        return call


def _bring(store: DynamoDbStore, items: list[Item], size: int) -> None:
    """All of them in batches, each again until it is taken."""
    for first in range(0, len(items), size):
        while not _taken(store, items[first : first + size]):
            pass


def _taken(store: DynamoDbStore, batch: list[Item]) -> bool:
    try:
        Ingest(store, EVERY).ingest(batch)
    except (Killed, Retryable):
        return False
    return True


@budget(2, 100)
def test_shuffled_and_killed(examples: int) -> None:
    """On the in-memory DynamoDB, where nothing waits."""
    for seed in range(examples):
        chance = random.Random(seed)
        conductor = Conductor(lambda n: 0)
        world = TornWorld(conductor, RECEIVED_MS / 1000)
        items = _items("T1")
        newest = items.pop()
        client = Eager(world, conductor)
        mortal = Mortal(client, chance, deaths=40)
        store = _opened(mortal)
        _bring(store, [newest], 1)
        _bring(store, chance.sample(items, len(items)), chance.choice([30, 100, 500]))
        watcher = _opened(client)
        assert mortal.deaths < 35
        assert [version for version, _ in watcher.versions("T1")] == _expected([*items, newest])
        assert watcher.head("T1", {"s1"}).ledgers["s1"].received.as_lists() == [[1, LATE + 1]]
        _check_limits(world)


def _opened(client: Any) -> DynamoDbStore:
    return DynamoDbStore("torn", calls=Calls(client), clock=lambda: RECEIVED_MS / 1000, writers=1)


class Eager(TornClient):
    """Commits at once: there is one process."""

    def __init__(self, world: TornWorld, conductor: Conductor) -> None:
        def turn(*_: Any) -> None:
            while conductor.events:
                conductor.events.pop()()

        super().__init__(world.tables, turn)


class DiesBeforeApplying(DynamoDbStore):
    """Its process is gone when its samples are put."""

    def apply(self, truck_id: str, read: Any, change: Any) -> Any:
        raise Killed


def _put_and_not_applied(client: Any, items: list[Item]) -> DynamoDbStore:
    """A store where the first and the last are applied, and what lies between them stands in no version."""
    store = _opened(client)
    Ingest(store, EVERY).ingest(items[:1])
    Ingest(store, EVERY).ingest(items[-1:])
    for first in range(1, len(items) - 1, 30):
        dying = DiesBeforeApplying("torn", calls=Calls(client), clock=lambda: RECEIVED_MS / 1000, writers=1)
        with pytest.raises(Killed):
            Ingest(dying, EVERY).ingest(items[first : min(first + 30, len(items) - 1)])
    assert len(list(store.samples("T1"))) == len(items)
    assert store.version_count("T1") == 2
    return store


def _check_limits(world: TornWorld) -> None:
    """Of transactions: ours, and AWS's own."""
    assert world.tables.largest <= 90
    assert world.tables.heaviest <= MOST_BYTES


def test_all_put_by_handlers_that_died_and_then_applied_at_once() -> None:
    """A run of 1,000 samples that are stored and in no version: the plan is cut, newest first."""
    conductor = Conductor(lambda n: 0)
    world = TornWorld(conductor, RECEIVED_MS / 1000)
    items = _items("T1")
    store = _put_and_not_applied(Eager(world, conductor), items)
    Ingest(store, EVERY).ingest(items[1:31])
    assert [version for version, _ in store.versions("T1")] == _expected(items)
    _check_limits(world)
    assert store.head("T1", {"s1"}).ledgers["s1"].received.as_lists() == [[1, 31], [LATE + 1, LATE + 1]]


def test_a_chunk_of_thirty_buffer_files_has_thirty_ledgers() -> None:
    """They go with the last part of the plan, which leaves them room."""
    conductor = Conductor(lambda n: 0)
    world = TornWorld(conductor, RECEIVED_MS / 1000)
    items = [item._replace(record={**item.record, "stream_id": f"s{n % 30}"}) for n, item in enumerate(_items("T1"))]  # type: ignore[dict-item]
    store = _put_and_not_applied(Eager(world, conductor), items[:400])
    assert {each.status for each in Ingest(store, EVERY).ingest(items[1:31])} == {"duplicate"}
    assert [version for version, _ in store.versions("T1")] == _expected(items[:400])
    _check_limits(world)
    assert list(store.dead_letters()) == []
    assert len(store.ledgers("T1")) == 30


def test_samples_of_a_tenth_of_a_megabyte_make_smaller_transactions() -> None:
    """As many as fit into 4 MB; none is dead-lettered for the company it keeps."""
    conductor = Conductor(lambda n: 0)
    world = TornWorld(conductor, RECEIVED_MS / 1000)
    chance = random.Random(5)
    items = [item._replace(record={**item.record, "noise": chance.randbytes(90_000).hex()}) for item in _items("T1")]  # type: ignore[dict-item]
    items = items[:92]
    store = _put_and_not_applied(Eager(world, conductor), items)
    assert {each.status for each in Ingest(store, EVERY).ingest(items[1:31])} == {"duplicate"}
    assert [version for version, _ in store.versions("T1")] == _expected(items)
    _check_limits(world)
    assert world.tables.heaviest > MOST_BYTES / 4
    assert list(store.dead_letters()) == []


@budget(120, LATE)
def test_on_ministack(examples: int) -> None:
    """Newest first, as a backlog may come, in batches of a stream."""
    mine = Cloud(EVERY)
    items = _items("T1")[-examples - 1 :]
    newest = items.pop()
    mine.ingest.ingest([newest])
    mortal = Mortal(mine.client, random.Random(3), deaths=examples // 100)
    _bring(mine.opened(mortal), items[::-1], 200)
    assert mortal.deaths == 0
    assert [version for version, _ in mine.store.versions("T1")] == _expected([*items, newest])
    largest = max(mine.client.transactions)
    assert largest <= 90
    assert verify(mine.store, EVERY) == []
    print(f"\n{examples} late samples: {len(mine.client.transactions)} transactions of at most {largest} items")
    mine.close()
