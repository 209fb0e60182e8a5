"""Judging from a store that keeps no order of storing (DynamoDB): it is asked what is newest of each truck."""

import secrets
import time
from collections.abc import Iterator
from typing import Any

from collector.rows import StoredSample, StoredSince
from collector.stores import Reader


class NewestSamples:
    """Stands for a `Reader`: its `samples_after` gives each truck's samples after the newest one that was seen.

    What came late lies before that: so all is said to be new (`Received.whole`) at the first time, whenever the mark is
    another process's, and every `whole_seconds`.

    Args:
        reader: everything else is asked of it.
        look_seconds: how long an answer is good for; a truck costs a read of one item each time.
        whole_seconds: how long late data may go unnoticed.
    """

    def __init__(self, reader: Reader, *, look_seconds: float = 30, whole_seconds: float = 3600) -> None:
        self._reader = reader
        self._look_seconds, self._whole_seconds = look_seconds, whole_seconds
        self._mark = ""
        self._seen: dict[str, str] = {}
        self._look_due = self._whole_due = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def samples_after(self, mark: str | None) -> StoredSince[tuple[str, StoredSample]]:
        """The samples of all trucks after those that were seen; see the class.

        Args:
            mark: of an earlier answer of this object; after any other all is said to be new.

        Returns:
            As `Reader.samples_after`, with no rows where all is said to be new: whoever asks reads what it needs.
        """
        now = time.monotonic()
        if mark != self._mark or now >= self._whole_due:
            self._mark, self._whole_due = secrets.token_hex(8), now + self._whole_seconds
            self._seen.clear()
            list(self._new())
            return StoredSince(iter(()), True, self._mark)
        if now < self._look_due:
            return StoredSince(iter(()), False, mark)
        self._look_due = now + self._look_seconds
        return StoredSince(iter([*self._new()]), False, mark)

    def _new(self) -> Iterator[tuple[str, StoredSample]]:
        for truck_id in self._reader.truck_ids():
            newest = self._reader.latest(truck_id)
            seen = self._seen.get(truck_id, "")
            if newest is None or newest.order_key <= seen:
                continue
            self._seen[truck_id] = newest.order_key
            if seen:
                instants = (key.partition("#")[0] for key in (seen, newest.order_key))
                for sample in self._reader.samples_between(truck_id, *instants):
                    if sample.order_key > seen:
                        yield truck_id, sample
            else:
                yield truck_id, newest
