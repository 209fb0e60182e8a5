"""A batch of a stream's records to the store, and which of them must come again.

Promises, to Lambda's event source mapping and to a Kafka worker: a record is reported done only when its items are
durable in the store or in dead letters. Whoever delivers goes back to the lowest reported number of its shard or
partition and delivers everything from there on again, so no record is ever counted done over an earlier one of its
truck that failed; what is taken twice is a duplicate. What no retry can make right is dead-lettered at once, with
where it lay, and holds nothing up.
"""

import base64
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from collector.ingest import Ingest
from collector.ingest.stream_records import bare, items_of_record
from collector.ingest.validation import letter
from collector.rows import DeadLetter
from collector.stores import Store
from contract.errors import Rejected, Retryable
from contract.ingest_items import Item, Kind

log = logging.getLogger(__name__)

Left = Callable[[], float]
"""Seconds that the function may still run."""
ENOUGH_SECONDS = 5.0


@dataclass(slots=True)
class Outcome:
    """failed: sequence numbers to deliver again, ascending. counts: items by receipt status, and failed records."""

    failed: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    oldest_ms: int | None = None

    def response(self) -> dict[str, Any]:
        """What ReportBatchItemFailures wants."""
        return {"batchItemFailures": [{"itemIdentifier": number} for number in self.failed]}


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """One record as a stream delivers it.

    key: what keeps its order. number: its name in `Outcome.failed`. origin: where it lay, for dead letters. data: as
    it was put. arrived_ms: Unix milliseconds of its arrival in the stream. service: `kinesis` or `kafka`.
    """

    key: str
    number: str
    origin: str
    data: bytes
    arrived_ms: int
    service: str = "kinesis"


@dataclass(frozen=True, slots=True)
class _Opened:
    """One stream record and what was in it; a broken one is a letter and no items."""

    key: str
    number: str
    items: list[Item]
    letter: DeadLetter | None = None


def take(
    records: Sequence[Mapping[str, Any]], *, kind: Kind, store: Store, ingest: Ingest, left: Left = lambda: 60.0
) -> Outcome:
    """All records of one of Lambda's Kinesis events, as `take_records` takes them."""
    return take_records([_of_kinesis(record) for record in records], kind=kind, store=store, ingest=ingest, left=left)


def take_records(
    records: Sequence[StreamRecord], *, kind: Kind, store: Store, ingest: Ingest, left: Left = lambda: 60.0
) -> Outcome:
    """All records of one batch. Never raises Retryable; other errors are the whole batch's."""
    opened = [_open(record, kind) for record in records]
    outcome = Outcome()
    arrivals = [item.received_ms for record in opened for item in record.items]
    outcome.oldest_ms = min(arrivals, default=None)
    try:
        _take(opened, store, ingest, outcome)
    except Retryable as error:
        log.warning("batch_not_taken records=%d reason=%s", len(records), error)
        _take_apart(opened, store, ingest, outcome, left)
    outcome.counts["failed"] += len(outcome.failed)
    return outcome


def _of_kinesis(record: Mapping[str, Any]) -> StreamRecord:
    entry = record["kinesis"]
    number = str(entry["sequenceNumber"])
    origin = str(record.get("eventID") or f"unknown:{number}")
    arrived_ms = int(float(entry.get("approximateArrivalTimestamp", 0)) * 1000)
    return StreamRecord(str(entry.get("partitionKey", "")), number, origin, base64.b64decode(entry["data"]), arrived_ms)


def _open(record: StreamRecord, kind: Kind) -> _Opened:
    key, number, origin, data = record.key, record.number, record.origin, record.data
    whole = bare(data, kind=kind, arrived_ms=record.arrived_ms, origin=origin, service=record.service)
    try:
        return _Opened(key, number, items_of_record(data, whole))
    except Rejected as error:
        return _Opened(key, number, [], letter(whole, error))
    except Exception as error:  # a record's door: what one holds must not cost the batch
        log.exception("record_not_opened origin=%s", origin)
        return _Opened(
            key, number, [], letter(whole, Rejected("", f"could not be opened ({error!r:.200}): report this"))
        )


def _take(records: Sequence[_Opened], store: Store, ingest: Ingest, outcome: Outcome) -> None:
    letters = [record.letter for record in records if record.letter]
    if letters:
        with store.unit():
            store.put_dead_letters(letters)
    receipts = ingest.ingest([item for record in records for item in record.items])
    outcome.counts.update(receipt.status for receipt in receipts)
    outcome.counts["rejected"] += len(letters)


def _take_apart(records: Sequence[_Opened], store: Store, ingest: Ingest, outcome: Outcome, left: Left) -> None:
    """Truck by truck, so that one that cannot be written now holds up itself alone; while there is time."""
    groups: dict[str, list[_Opened]] = {}
    for record in records:
        groups.setdefault(record.key, []).append(record)
    failed: set[str] = set()
    for key, group in groups.items():
        try:
            if left() < ENOUGH_SECONDS:
                raise Retryable("no time left in this invocation")
            _take(group, store, ingest, outcome)
        except Retryable as error:
            log.warning("records_not_taken key=%s records=%d reason=%s", key, len(group), error)
            failed.update(record.number for record in group)
    outcome.failed = [record.number for record in records if record.number in failed]
