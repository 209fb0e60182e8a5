"""The stores that keep the promises: a test in this folder runs on each."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from collector.stores import Reader, Store, open_reader, open_store


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


PLACES = {"sqlite": SqlitePlace}


@pytest.fixture(params=sorted(PLACES))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    made = PLACES[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def store(place: Place) -> Store:
    return place.store()
