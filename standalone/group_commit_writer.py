"""The box's single durable writer: whoever has records submits them, and one thread commits them in groups.

A commit costs one fsync however many records it holds, so while one runs the next group gathers; where several came at
once, a small group is also given a moment for as long as it grows, so that those who had their answer just now are in
it with what they send next. A future resolves only when its records are durable; if the store fails, every future of
the group fails with Retryable and nothing of it is stored. The queue is bounded: when it is full, `submit` refuses at
once, and the door sheds.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from collector.ingest import Ingest
from collector.stores import Store
from contract import machine_clock
from contract.errors import Retryable
from contract.ingest_items import Item, Receipt

log = logging.getLogger(__name__)

MAX_QUEUED = 20_000
MAX_GROUP = 1_000
_ENOUGH = 64
"""Records beside which a commit's own cost is small."""
_LOOK_SECONDS = 0.0005
_REFUSED_LATELY = 60.0
"""Seconds for which a commit that failed is told by /healthz, where no other has been tried since."""
_MOST_LOOKS = 10
Result = TypeVar("Result")


@dataclass(slots=True)
class _Job:
    items: list[Item]
    call: Callable[[Store], Any] | None = None
    future: "Future[Any]" = field(default_factory=Future)


class Writer:
    """Owns the store's only writing connection in this process, on a thread of its own; use it as a context."""

    def __init__(self, store: Store, ingest: Ingest) -> None:
        self._store = store
        self._ingest = ingest
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._queued = 0
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._crowded = False
        self.last_commit_ms = 0
        self._failed: tuple[float, str] | None = None

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Commit what was submitted, then end."""
        self._jobs.put(None)
        self._thread.join()

    def submit(self, items: list[Item]) -> "Future[list[Receipt]]":
        """Queue items for the next commit.

        Args:
            items: of any number. Those that come to an empty queue are always taken, however many they are: a group
                that could never be taken would be sent again for ever.

        Returns:
            A receipt for each item, in order, once all are durable.

        Raises:
            Retryable: the queue is full.
        """
        with self._guard:
            if self._queued and self._queued + len(items) > MAX_QUEUED:
                raise Retryable(f"{self._queued} records wait to be written: send again later")
            self._queued += len(items)
        job = _Job(items)
        self._jobs.put(job)
        return job.future

    def call(self, function: Callable[[Store], Result]) -> "Future[Result]":
        """Run a function on the writer's thread and store, between two commits."""
        job = _Job([], function)
        self._jobs.put(job)
        return job.future

    def stats(self) -> dict[str, Any]:
        """For /healthz: `queued`, `last_commit_ms`, and `failing` if the thread has died or the last commit failed."""
        failing, failed = {}, self._failed
        if not self._thread.is_alive():
            failing = {"failing": "the writer has ended: restart milepost"}
        elif failed and time.monotonic() - failed[0] < _REFUSED_LATELY:
            failing = {"failing": f"nothing is stored: {failed[1]}"}
        return {"queued": self._queued, "last_commit_ms": self.last_commit_ms, **failing}

    def _run(self) -> None:
        ended = False
        while not ended:
            group, ended = self._gather()
            self._commit([job for job in group if job.call is None])
            for job in group:
                if job.call is not None:
                    self._answer(job, job.call)

    def _gather(self) -> tuple[list[_Job], bool]:
        """All that is queued, at least one job, at most about MAX_GROUP items; and whether the end was among it."""
        group: list[_Job] = []
        size = 0
        job = self._jobs.get()
        if self._crowded:
            self._let_grow()
        while job is not None:
            group.append(job)
            size += len(job.items)
            if size >= MAX_GROUP or self._jobs.empty():
                break
            job = self._jobs.get()
        self._crowded = len(group) > 1
        return group, job is None

    def _let_grow(self) -> None:
        """Wait for as long as more comes, 5 ms at most. Asleep, not at the queue: each job would wake this thread."""
        before, looks = 0, 0
        while before < self._queued < _ENOUGH and looks < _MOST_LOOKS:
            before, looks = self._queued, looks + 1
            time.sleep(_LOOK_SECONDS)

    def _commit(self, jobs: list[_Job]) -> None:
        if not jobs:
            return
        items = [item for job in jobs for item in job.items]
        try:
            receipts = self._ingest.ingest(items)
        except Exception as error:  # the loop's door: the callers learn of it and keep their records
            if not isinstance(error, Retryable):
                log.exception("group_not_committed items=%d", len(items))
            self._failed = (time.monotonic(), str(error))
            for job in jobs:
                job.future.set_exception(error)
        else:
            self.last_commit_ms, self._failed = machine_clock.now_ms(), None
            taken = 0
            for job in jobs:
                job.future.set_result(receipts[taken : taken + len(job.items)])
                taken += len(job.items)
        with self._guard:
            self._queued -= len(items)

    def _answer(self, job: _Job, call: Callable[[Store], Any]) -> None:
        try:
            job.future.set_result(call(self._store))
        except Exception as error:  # noqa: BLE001 - the loop's door: the caller gets it
            job.future.set_exception(error)
