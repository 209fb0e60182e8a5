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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from collector.ingest import Ingest
from collector.ingest.stream_records import bare, open_record
from collector.ingest.validation import letter
from collector.portions import portions
from collector.rows import DeadLetter
from collector.stores import Store
from contract.errors import Rejected, Retryable
from contract.ingest_items import Item, Kind

log = logging.getLogger(__name__)

Left = Callable[[], float]
"""Seconds that the function may still run."""
ENOUGH_SECONDS = 5.0
"""That an invocation keeps for itself: what is not begun by then is reported as failed."""
AT_ONCE = 300
"""Items that are taken between two looks at the clock."""


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
    """One stream record and what was in it; of a broken part there is a letter and no item."""

    key: str
    number: str
    items: list[Item]
    letters: list[DeadLetter]


def process(
    records: Sequence[Mapping[str, Any]], *, kind: Kind, store: Store, ingest: Ingest, left: Left = lambda: 60.0
) -> Outcome:
    """All records of one of Lambda's Kinesis events, as `take_records` takes them."""
    return take_records([_of_kinesis(record) for record in records], kind=kind, store=store, ingest=ingest, left=left)


def take_records(
    records: Sequence[StreamRecord], *, kind: Kind, store: Store, ingest: Ingest, left: Left = lambda: 60.0
) -> Outcome:
    """All records of one batch, while there is time; what is not taken then is reported as failed.

    Never raises Retryable; other errors are the whole batch's.
    """
    store.seconds_left = lambda: left() - ENOUGH_SECONDS
    opened = [_open(record, kind) for record in records]
    outcome = Outcome()
    arrivals = [item.received_ms for record in opened for item in record.items]
    outcome.oldest_ms = min(arrivals, default=None)
    failed: set[str] = set()
    for share in _shares(opened):
        try:
            _see_that_there_is_time(left)
            _take(share, store, ingest, outcome)
        except Retryable as error:
            log.warning("records_not_taken records=%d reason=%s", len(share), error)
            failed |= _take_apart(share, store, ingest, outcome, left)
    outcome.failed = [record.number for record in opened if record.number in failed]
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
    items, broken = open_record(whole)
    return _Opened(key, number, items, [_letter(part, error) for part, error in broken])


def _letter(part: Item, error: Exception) -> DeadLetter:
    if isinstance(error, Rejected):
        return letter(part, error)
    log.error("record_not_opened origin=%s", part.origin, exc_info=error)
    return letter(part, Rejected("", f"could not be opened ({error!r:.200}): report this"))


def _shares(records: Sequence[_Opened]) -> Iterator[list[_Opened]]:
    """The records in shares of some AT_ONCE items, one key's together: a truck's samples cost less so."""
    keyed: dict[str, list[_Opened]] = {}
    for record in records:
        keyed.setdefault(record.key, []).append(record)
    return portions(chain.from_iterable(keyed.values()), lambda record: len(record.items), largest=AT_ONCE)


def _see_that_there_is_time(left: Left) -> None:
    if left() < ENOUGH_SECONDS:
        raise Retryable("no time left in this invocation")


def _take(records: Sequence[_Opened], store: Store, ingest: Ingest, outcome: Outcome) -> None:
    letters = [each for record in records for each in record.letters]
    if letters:
        with store.unit():
            store.put_dead_letters(letters)
    receipts = ingest.ingest([item for record in records for item in record.items])
    outcome.counts.update(receipt.status for receipt in receipts)
    outcome.counts["rejected"] += len(letters)


def _take_apart(records: Sequence[_Opened], store: Store, ingest: Ingest, outcome: Outcome, left: Left) -> set[str]:
    """Truck by truck, so that one that cannot be written now holds up itself alone; the numbers of what failed."""
    groups: dict[str, list[_Opened]] = {}
    for record in records:
        groups.setdefault(record.key, []).append(record)
    failed: set[str] = set()
    for key, group in groups.items():
        try:
            _see_that_there_is_time(left)
            _take(group, store, ingest, outcome)
        except Retryable as error:
            log.warning("records_not_taken key=%s records=%d reason=%s", key, len(group), error)
            failed.update(record.number for record in group)
    return failed
