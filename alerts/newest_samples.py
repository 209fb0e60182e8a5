"""Judging from a store that keeps no order of storing (DynamoDB): what is stored is handed in as it comes, and what was
not is found by asking what is newest of each truck."""

import secrets
import time
from collections.abc import Iterable, Iterator
from typing import Any

from collector.rows import StoredSample, StoredSince
from collector.stores import Reader

_REMEMBERED = 8


class NewestSamples:
    """Stands for a `Reader`: its `samples_after` gives what `take` was given, and each truck's samples after the newest
    one that was seen.

    What came late and was not handed in lies before that: so all is said to be new (`Received.whole`) at the first
    time, whenever the mark is another process's, and every `whole_seconds`.

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
        self._taken: list[tuple[str, StoredSample]] = []
        self._given: dict[str, list[str]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def take(self, samples: Iterable[tuple[str, StoredSample]]) -> None:
        """Hand in samples that were stored, early or late.

        Args:
            samples: with their trucks; some may be handed in twice.
        """
        self._taken += samples

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
            for each in [*self._new()]:
                self._give(*each)
            return StoredSince(iter(()), True, self._mark)
        found: list[tuple[str, StoredSample]] = []
        if now >= self._look_due:
            found = [*self._new()]
            self._look_due = now + self._look_seconds
        new = [each for each in (*found, *self._taken) if self._give(*each)]
        self._taken.clear()
        return StoredSince(iter(new), False, mark)

    def _give(self, truck_id: str, sample: StoredSample) -> bool:
        """Whether it was not among the last that were given: a look and the stream find the same ones."""
        given = self._given.setdefault(truck_id, [])
        if sample.order_key in given:
            return False
        given.append(sample.order_key)
        del given[:-_REMEMBERED]
        self._seen[truck_id] = max(self._seen.get(truck_id, ""), sample.order_key)
        return True

    def _new(self) -> Iterator[tuple[str, StoredSample]]:
        for truck_id in self._reader.truck_ids():
            newest = self._reader.latest(truck_id)
            seen = self._seen.get(truck_id, "")
            if newest is None or newest.order_key <= seen:
                continue
            if seen:
                instants = (key.partition("#")[0] for key in (seen, newest.order_key))
                for sample in self._reader.samples_between(truck_id, *instants):
                    if sample.order_key > seen:
                        yield truck_id, sample
            else:
                yield truck_id, newest
