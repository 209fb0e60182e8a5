"""Stores whose every call is a turn: what handlers do to them is decided by a schedule (tests/promises/schedule.py)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from collector.stores import Store
from collector.stores.dynamodb import TABLES, DynamoDbStore, create_tables
from collector.stores.dynamodb.retries import Calls
from collector.stores.sqlite.store import SqliteStore
from tests.promises.schedule import Actor, Conductor
from tests.promises.torn_dynamodb import Fault, TornClient, TornTables

_numbers = count()


class World(Protocol):
    """Where a search runs. Every example has a truck of its own."""

    truck: str

    def store(self, actor: Actor) -> Store: ...
    def watcher(self) -> Store: ...
    def close(self) -> None: ...


class TornWorld:
    """DynamoDB in memory, with transactions that others see item by item.

    kind: the store, or one with a fault. fault: what happens to a handler's next call (TornClient).
    """

    def __init__(
        self,
        conductor: Conductor,
        now: float,
        kind: type[DynamoDbStore] = DynamoDbStore,
        fault: Fault = lambda: None,
    ) -> None:
        self.truck = "T1"
        self.tables = TornTables(conductor.events.append)
        self._kind, self._now, self._fault = kind, now, fault

    def store(self, actor: Actor) -> DynamoDbStore:
        return self._open(TornClient(self.tables, actor.turn, actor.done, self._fault))

    def watcher(self) -> DynamoDbStore:
        return self._open(TornClient(self.tables))

    def close(self) -> None:
        pass

    def _open(self, client: Any) -> DynamoDbStore:
        calls = Calls(client, sleep=lambda _: None)
        return self._kind("torn", calls=calls, clock=lambda: self._now, writers=1)


class RealWorld:
    """A running ministack: the SDK, the protocol and the capacity are real, a transaction is one instant."""

    _made: set[str] = set()  # noqa: RUF012 - by URL, for the whole session

    def __init__(self, url: str, client: Any, now: float) -> None:
        self.truck = f"R{next(_numbers)}"
        self._client, self._now = client, now
        if url not in self._made:
            create_tables(client, "rivals", expiring=False)
            self._made.add(url)

    def store(self, actor: Actor) -> DynamoDbStore:
        return self._open(Turnwise(self._client, actor))

    def watcher(self) -> DynamoDbStore:
        return self._open(self._client)

    def close(self) -> None:
        pass

    def _open(self, client: Any) -> DynamoDbStore:
        calls = Calls(client, sleep=lambda _: None)
        return DynamoDbStore("rivals", calls=calls, clock=lambda: self._now, writers=1)


class Turnwise:
    """Any object, each of whose methods waits for its actor's turn."""

    def __init__(self, inner: Any, actor: Actor) -> None:
        self._inner, self._actor = inner, actor

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self._actor.turn()
            answer = found(*arguments, **named)
            self._actor.done()
            return answer

        return call


class SqliteWorld:
    """One file, a connection a process."""

    def __init__(self, path: Path) -> None:
        self.truck = f"S{next(_numbers)}"
        self._path = path
        self._opened: list[SqliteStore] = []
        self._writing: Actor | None = None

    def store(self, actor: Actor) -> Store:
        store: Any = Turnwise(self.watcher(), actor)

        @contextmanager
        def unit() -> Iterator[None]:
            actor.turn(lambda: self._writing is None)  # SQLite would make it wait for the lock
            self._writing = actor
            try:
                with store._inner.unit():
                    yield
            finally:
                self._writing = None

        store.unit = unit
        return store  # type: ignore[no-any-return]

    def watcher(self) -> SqliteStore:
        self._opened.append(store := SqliteStore(self._path))
        return store

    def close(self) -> None:
        for store in self._opened:
            store.close()


MakeWorld = Callable[[Conductor], World]
__all__ = ["TABLES", "MakeWorld", "RealWorld", "SqliteWorld", "TornWorld", "World"]
