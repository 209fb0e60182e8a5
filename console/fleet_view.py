"""The fleet as it is now, kept in memory: one poller for any number of consoles.

The first look reads every truck once; each later one only what was stored since, by the store's own mark. Every row
that changes gets the next revision, so that a page asks for what is new by number, not by time: a row that is committed
after a poll has a later revision, whatever its time says.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from itertools import takewhile
from typing import Any, NamedTuple

from collector import queries
from contract.codec import Json, dump

_WHOLE_EVERY_SECONDS = 60.0

OpenReader = Callable[[], AbstractContextManager[Any]]


class Changes(NamedTuple):
    """cursor: what to ask with next. whole: these are all rows, not only those that changed."""

    cursor: str
    whole: bool
    rows: list[dict[str, Any]]


class FleetView:
    """Safe to use from many threads; the rows are as `collector.queries.fleet` gives them.

    Args:
        open_reader: gives the store for reading, None within where there is none yet.
        now_ms: Unix ms, by which a truck is silent.
        every: seconds between two looks at the store, however many ask.
    """

    def __init__(self, open_reader: OpenReader, *, now_ms: Callable[[], int], every: float = 1.0) -> None:
        self._open_reader, self._now_ms, self._every = open_reader, now_ms, every
        self._guard = threading.Lock()
        self._rows: dict[str, dict[str, Any]] = {}
        self._revisions: dict[str, int] = {}  # ascending
        self._newest: dict[str, tuple[str, int]] = {}
        self._mark: str | None = None
        self._epoch = secrets.token_hex(4)
        self._revision = 0
        self._due = 0.0
        self._body: tuple[str, bytes] = ("", b"")
        self._delta: tuple[str, str, bytes] = ("", "", b"")

    @property
    def cursor(self) -> str:
        """The state of the view after a look at the store, at most one a second; also what an ETag says."""
        with self._guard:
            self._look()
            return self._cursor()

    def whole(self) -> tuple[str, bytes]:
        """The cursor, and every row as one JSON document, made once for all who ask."""
        with self._guard:
            self._look()
            cursor = self._cursor()
            if self._body[0] != cursor:
                rows: list[Json] = [self._rows[truck_id] for truck_id in sorted(self._rows)]
                self._body = cursor, dump({"cursor": cursor, "live": True, "trucks": rows}).encode()
            return self._body

    def since(self, cursor: str) -> Changes:
        """The rows that changed after a cursor; all of them where it is of another time or none of ours."""
        with self._guard:
            self._look()
            return self._since(cursor)

    def _since(self, cursor: str) -> Changes:
        epoch, _, revision = cursor.partition("-")
        known = epoch == self._epoch and revision.isdecimal()
        after = int(revision) if known else -1
        newest_first = takewhile(lambda each: each[1] > after, reversed(self._revisions.items()))
        rows = [self._rows[truck_id] for truck_id, _ in sorted(newest_first)]
        return Changes(self._cursor(), not known, rows)

    def delta(self, cursor: str) -> tuple[str, bytes]:
        """The cursor now, and the changes since another as JSON, made once for all who are as far as that."""
        with self._guard:
            self._look()
            now = self._cursor()
            if self._delta[:2] != (cursor, now):
                changes = self._since(cursor)
                rows: list[Json] = [*changes.rows]
                said = {"cursor": now, "whole": changes.whole, "trucks": rows}
                self._delta = cursor, now, dump(said).encode()
            return now, self._delta[2]

    def _cursor(self) -> str:
        return f"{self._epoch}-{self._revision}"

    def _look(self) -> None:
        if time.monotonic() < self._due:
            return
        began = time.monotonic()
        now_ms = self._now_ms()
        with self._open_reader() as reader:
            if reader is not None:
                self._read(reader, now_ms)
        self._notice_silence(now_ms)
        self._due = began + self._every if self._mark else began + _WHOLE_EVERY_SECONDS * bool(self._rows)

    def _read(self, reader: Any, now_ms: int) -> None:
        received = queries.samples_received(reader, self._mark)
        if received.whole:  # the first look, or a store that does not say what is new
            self._take(queries.latest_samples(reader), now_ms)
        else:
            self._take(received.rows, now_ms)
        self._mark = received.mark

    def _take(self, samples: Iterable[tuple[str, Any]], now_ms: int) -> None:
        newest: dict[str, Any] = {}
        for truck_id, sample in samples:
            known = newest[truck_id].order_key if truck_id in newest else self._newest.get(truck_id, ("", 0))[0]
            if sample.order_key > known:
                newest[truck_id] = sample
        for truck_id, sample in newest.items():
            self._newest[truck_id] = sample.order_key, sample.received_ms
            self._change(truck_id, queries.fleet_row(truck_id, sample, judged_ms=now_ms, heard_ms=sample.received_ms))

    def _notice_silence(self, now_ms: int) -> None:
        for truck_id, (_, received_ms) in self._newest.items():
            row = self._rows[truck_id]
            if now_ms - received_ms > queries.SILENT_AFTER_MS and row["state"] != "silent":
                self._change(truck_id, {**row, "state": "silent"})

    def _change(self, truck_id: str, row: dict[str, Any]) -> None:
        self._revision += 1
        self._rows[truck_id] = row
        self._revisions.pop(truck_id, None)
        self._revisions[truck_id] = self._revision
