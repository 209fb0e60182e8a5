"""The stores that keep the promises: a test in this folder runs on each."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Protocol

import pytest

from collector.stores import Reader, Store
from collector.stores.dynamodb import TABLES, DynamoDbReader, DynamoDbStore, create_tables
from collector.stores.dynamodb.lean_client import lean
from collector.stores.factory import open_reader, open_store
from contract import timestamps
from tests import ministack

NOW = timestamps.to_ms("2024-06-01T12:00:00.000Z") / 1000


class Place(Protocol):
    """Somewhere a store can be; every call opens it anew, as another process would.

    transactions: a `unit()` that fails has done nothing, and nobody sees half of one.
    """

    transactions: bool

    def store(self) -> Store: ...
    def reader(self) -> Reader | None: ...
    def close(self) -> None: ...


class SqlitePlace:
    """A file."""

    transactions = True

    def __init__(self, folder: Path) -> None:
        self._url = f"sqlite:///{folder / 'milepost.db'}"
        self._opened: list[Reader] = []

    def store(self) -> Store:
        self._opened.append(store := open_store(self._url))
        return store

    def reader(self) -> Reader | None:
        if reader := open_reader(self._url):
            self._opened.append(reader)
        return reader

    def close(self) -> None:
        for each in self._opened:
            each.close()


class DynamoDbPlace:
    """Tables of a prefix of its own in a running ministack, made with the first store."""

    transactions = False
    _numbers = count()

    def __init__(self, url: str) -> None:
        self._client = lean(ministack.client(url))
        self._prefix = f"promise-{next(self._numbers)}"
        self._made = False

    def store(self) -> Store:
        if not self._made:
            create_tables(self._client, self._prefix, expiring=False)
            self._made = True
        return DynamoDbStore(self._prefix, self._client, clock=lambda: NOW)

    def reader(self) -> Reader | None:
        reader = DynamoDbReader(self._prefix, self._client, clock=lambda: NOW)
        return reader if reader.exists() else None

    def close(self) -> None:
        for table in TABLES if self._made else ():
            self._client.delete_table(TableName=table.full_name(self._prefix))


@pytest.fixture(scope="session")
def aws() -> str:
    """The URL of the session's ministack."""
    return ministack.shared()


@pytest.fixture(params=["sqlite", "dynamodb"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    made = SqlitePlace(tmp_path) if request.param == "sqlite" else DynamoDbPlace(request.getfixturevalue("aws"))
    yield made
    made.close()


@pytest.fixture
def store(place: Place) -> Store:
    return place.store()
