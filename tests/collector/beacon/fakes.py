"""A writer in memory: judges with the real contract, and fails in the ways that the real one can."""

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Literal

from contract.click_records import read_click
from contract.codec import parse
from contract.errors import Rejected, Retryable
from contract.ingest_items import Item, Receipt
from contract.records import read_sample

Mode = Literal["commits", "is full", "fails", "hangs"]


class FakeWriter:
    """`submit` as the beacon wants it; futures complete on another thread, as the real writer's do."""

    def __init__(self) -> None:
        self.mode: Mode = "commits"
        self.items: list[Item] = []
        self.held: list[Future[list[Receipt]]] = []
        self._seen: set[str] = set()

    def submit(self, items: list[Item]) -> Future[list[Receipt]]:
        if self.mode == "is full":
            raise Retryable("the queue is full: send it again in a second")
        future: Future[list[Receipt]] = Future()
        if self.mode == "hangs":
            self.held.append(future)
        else:
            threading.Thread(target=self._commit, args=(items, future)).start()
        return future

    def _commit(self, items: list[Item], future: "Future[list[Receipt]]") -> None:
        if self.mode == "fails":
            future.set_exception(OSError(28, "No space left on device"))
            return
        receipts = [self._judge(item) for item in items]
        self.items.extend(items)
        future.set_result(receipts)

    def _judge(self, item: Item) -> Receipt:
        identity: str | int | None
        warnings: Mapping[str, str] = {}
        try:
            if isinstance(item.record, bytes):
                parse(item.record)
                raise Rejected("", "must be a JSON object")
            if item.kind == "click":
                event = read_click(item.record, received_ms=item.received_ms)
                identity, key, warnings = event.event_id, event.event_id, event.warnings
            else:
                sample = read_sample(item.record, received_ms=item.received_ms, date_by_arrival=item.date_by_arrival)
                identity, key = sample.seq, sample.content
                if item.truck_id not in (None, sample.truck_id):
                    raise Rejected("truck_id", f"must be {item.truck_id}, the truck of the key")
        except Rejected as error:
            return Receipt("rejected", field=error.field, reason=error.reason)
        status: Literal["accepted", "duplicate"] = "duplicate" if key in self._seen else "accepted"
        self._seen.add(key)
        return Receipt(status, identity, warnings=warnings)
