"""A reader that comes while another's transaction is being carried out looks again until it sees a whole history."""

from collections.abc import Callable
from typing import Any

import pytest

from collector.history import Point, define
from collector.ingest import Ingest
from collector.stores.dynamodb import DynamoDbStore
from collector.stores.dynamodb.retries import Calls
from contract.ingest_items import Item
from tests.contract.examples import put
from tests.promises.rivals import BRAKES, NOW_MS, POLICIES
from tests.promises.torn_dynamodb import TornClient, TornTables

ORDERS = [(0, 1), (1, 0)]


class Slow:
    """Tables whose commits happen when a reader waits: in some order, one for each wait."""

    def __init__(self, order: tuple[int, ...]) -> None:
        self.order = list(order)
        self.events: list[Callable[[], None]] = []
        self.tables = TornTables(self.events.append)
        self.planned: list[Callable[[], None]] = []
        self.waits = 0

    def commit_all(self, *_: Any) -> None:
        while self.events:
            self.events.pop()()

    def commit_one(self, _: float = 0) -> None:
        self.waits += 1
        if self.order:
            self.planned[self.order.pop(0)]()

    def writer(self, turn: Callable[..., None]) -> DynamoDbStore:
        return self._opened(Calls(TornClient(self.tables, turn), sleep=lambda _: None))

    def reader(self) -> DynamoDbStore:
        return self._opened(Calls(TornClient(self.tables), sleep=self.commit_one))

    @staticmethod
    def _opened(calls: Calls) -> DynamoDbStore:
        return DynamoDbStore("torn", calls=calls, clock=lambda: NOW_MS / 1000, writers=1)


class Gone(BaseException):
    """The writer's process."""


def _take(store: DynamoDbStore, minute: int, status: str) -> None:
    record = put({"truck_id": "T1", "sampled_at": f"2024-06-01T10:0{minute}:00.000Z"}, BRAKES, status)
    Ingest(store, POLICIES["exact"]).ingest([Item("telemetry", "file:telemetry", record, NOW_MS)])


@pytest.mark.parametrize("order", ORDERS)
def test_whatever_shows_first(order: tuple[int, ...]) -> None:
    """The head, or the version that begins: where the one before it ends is not written."""
    slow = Slow(order)
    _take(slow.writer(slow.commit_all), 1, "ok")

    def dies(ready: Callable[[], bool] | None = None) -> None:
        if ready is not None:
            raise Gone

    with pytest.raises(Gone):
        _take(slow.writer(dies), 5, "worn")
    slow.planned = list(slow.events)
    assert len(slow.planned) == 2
    reader = slow.reader()
    slow.commit_one()
    seen = [version for version, _ in reader.versions("T1")]
    assert [each.end for each in seen] in ([None], ["2024-06-01T10:05:00.000Z", None])
    at = reader.version_at("T1", "2024-06-01T10:05:00.000Z")
    assert at is not None
    assert at[0].end is None
    assert slow.waits < 9


def _defined(reader: DynamoDbStore) -> list[Any]:
    return define(reader.points_from("T1", "0"))


def test_a_whole_history_is_read_at_once() -> None:
    slow = Slow(())
    for minute, status in ((1, "ok"), (5, "worn"), (3, "cold")):
        _take(slow.writer(slow.commit_all), minute, status)
    reader = slow.reader()
    assert [version for version, _ in reader.versions("T1")] == _defined(reader)
    assert slow.waits == 0


FIRST_STORED = [(3, "b"), (11, "a")]
INSERTED = (0, "c")
LATE = [(1, "c"), (6, "a")]


def _taken(store: DynamoDbStore, samples: list[tuple[int, str]]) -> None:
    records = [
        put({"truck_id": "T1", "sampled_at": f"2024-06-01T02:{minute:02}:00.000Z"}, BRAKES, status)
        for minute, status in samples
    ]
    items = [Item("telemetry", "file:telemetry", record, NOW_MS) for record in records]
    receipts = Ingest(store, POLICIES["exact"]).ingest(items)
    assert [receipt.status for receipt in receipts] == ["accepted"] * len(samples)


@pytest.mark.parametrize("visible", range(4))
@pytest.mark.parametrize("call", range(24))
def test_one_version_read_before_and_after_a_rivals_commit_is_no_snapshot(visible: int, call: int) -> None:
    """Two late runs of one chunk read a version twice; a rival's transaction shows the rest of itself between.

    visible: how much of the rival's transaction shows from the start, its head first. call: which of the late writer's
    calls finds the rest visible.
    """
    slow = Slow(())
    _taken(slow.writer(slow.commit_all), FIRST_STORED)
    slow.commit_all()

    def dies(ready: Callable[[], bool] | None = None) -> None:
        if ready is not None:
            raise Gone

    with pytest.raises(Gone):
        _taken(slow.writer(dies), [INSERTED])
    for _ in range(min(visible, len(slow.events))):
        slow.events.pop(0)()
    rest = list(slow.events)
    slow.events.clear()
    calls = iter(range(10_000))

    def show_the_rest(*_: Any) -> None:
        while rest:
            rest.pop(0)()
        slow.commit_all()

    def turn(ready: Callable[[], bool] | None = None) -> None:
        if next(calls) == call or ready is not None:
            show_the_rest()

    late = DynamoDbStore(
        "torn",
        calls=Calls(TornClient(slow.tables, turn), sleep=show_the_rest),
        clock=lambda: NOW_MS / 1000,
        writers=1,
    )
    _taken(late, LATE)
    slow.commit_all()
    expected = define(
        [Point(f"2024-06-01T02:{minute:02}:00.000Z", status) for minute, status in [*FIRST_STORED, INSERTED, *LATE]]
    )
    found = [(version.order_key[:24], version.end) for version, _ in slow.reader().versions("T1")]
    assert found == [(version.order_key, version.end) for version in expected]
