"""A reader for those who may not hold up anybody: bounded in time, and few at once."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from collector.queries.item_sessions import opened_reader
from collector.stores import Reader
from collector.stores.sqlite.reader import SqliteReader
from contract.errors import Retryable


def limited_readers(
    store_url: str, *, at_once: int, seconds: float
) -> Callable[[], AbstractContextManager[Reader | None]]:
    """What opens a reader for a block, each with a connection of its own.

    Args:
        store_url: the store.
        at_once: how many may be open; others wait for a place.
        seconds: how long a reader may read, and how long one may wait for a place. The time of reading is bounded on
            SQLite, where one process serves all.

    Returns:
        A function whose context raises Retryable where there is no place, or where the time is over.
    """
    places = threading.BoundedSemaphore(at_once)

    @contextmanager
    def opened() -> Iterator[Reader | None]:
        if not places.acquire(timeout=seconds):
            raise Retryable("too many questions at once: try again in a moment")
        try:
            with opened_reader(store_url) as reader:
                if isinstance(reader, SqliteReader):
                    reader.limit_time(seconds)
                yield reader
        except sqlite3.OperationalError as error:
            raise Retryable(f"it took longer than {seconds:g} seconds ({error}): ask for less") from None
        finally:
            places.release()

    return opened
