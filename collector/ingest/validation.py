"""From an item to what ingest does with it: a sample, a click, a report, a status, or a dead letter with its reason."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from collector.ingest.envelope import LIST_KEY, MOST_RECORDS
from collector.rows import DeadLetter
from contract.click_records import ClickEvent, read_click
from contract.codec import Json, canonical, dump, parse, refuse_unbounded_numbers
from contract.control_messages import Report, Status
from contract.errors import Rejected
from contract.ingest_items import Item, Kind
from contract.ranges import Ranges
from contract.records import MAX_RECORD, Sample, read_sample, rejection
from contract.topics import ID

log = logging.getLogger(__name__)

Message = TypeVar("Message", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class TruckReport:
    """A report and whose it is."""

    truck_id: str
    report: Report


@dataclass(frozen=True, slots=True)
class TruckStatus:
    """A status, whose it is, and its canonical text."""

    truck_id: str
    status: Status
    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A dead letter, and which samples of which truck it holds, as far as that could be read: stream_id → numbers."""

    letter: DeadLetter
    id: str | int | None
    truck_id: str | None = None
    samples: Mapping[str, Ranges] = field(default_factory=dict)


ValidationResult = Sample | ClickEvent | TruckReport | TruckStatus | Refusal


def judge(item: Item) -> ValidationResult:
    """What an item is; never raises for what it says.

    Args:
        item: parsed or not.

    Returns:
        What to store, or the refusal with its dead letter.
    """
    record: Json = None
    try:
        record = parse(item.record) if isinstance(item.record, bytes) else item.record
        return _judge(item, record)
    except Rejected as error:
        return refuse(item, record, error)
    except Exception as error:  # a record's door: a fault of ours must not stop the records beside it
        log.exception("item_not_judged source=%s", item.source)
        return refuse(item, record, Rejected("", f"could not be judged ({error!r:.200}): report this"))


def _judge(item: Item, record: Json) -> ValidationResult:
    key = LIST_KEY.get(item.kind, "")
    if isinstance(record, dict) and isinstance(batch := record.get(key), list) and len(batch) > MOST_RECORDS:
        said = f"{len(batch)} records in one message, over {MOST_RECORDS}"
        raise Rejected(key, f"{said}: send them in several; `milepost dead-letters retry` takes these one by one")
    if item.kind == "click":
        trusted = item.source.startswith("file:")
        event = read_click(record, received_ms=item.received_ms, trusted=trusted, seen=item.seen)
        return event if item.content is None else event._replace(content=item.content)
    if item.truck_id is not None and not ID.fullmatch(item.truck_id):
        raise Rejected("truck_id", f"the topic's {item.truck_id!r:.80} must match {ID.pattern}")
    if item.kind == "telemetry":
        sample = read_sample(record, received_ms=item.received_ms, date_by_arrival=item.date_by_arrival)
        if item.truck_id is not None and sample.truck_id != item.truck_id:
            raise Rejected("truck_id", f"is {sample.truck_id!r}, but it was sent as {item.truck_id!r}")
        return sample if item.content is None else sample._replace(content=item.content)
    if item.truck_id is None:
        raise Rejected("truck_id", f"a {item.kind} must come on its truck's own topic")
    refuse_unbounded_numbers(record)
    if item.kind == "report":
        return TruckReport(item.truck_id, _message(Report, record))
    status, text = _message(Status, record), canonical(record)
    if len(text) > MAX_RECORD:
        raise Rejected("", f"over {MAX_RECORD} bytes of JSON: leave out what is no status")
    return TruckStatus(item.truck_id, status, text)


def _message(model: type[Message], record: Json) -> Message:
    try:
        return model.model_validate(record)
    except ValidationError as error:
        raise rejection(error) from None


def payload_of(item: Item) -> bytes:
    """The bytes of an item as they came, as near as its door could keep them."""
    if isinstance(item.record, bytes):
        return item.record
    text = str(item.text) if item.text is not None else _dumped(item.record)
    return text.encode("utf-8", "surrogatepass")


def _dumped(record: Json) -> str:
    try:
        return dump(record)
    except ValueError:  # NaN: not JSON, but what came
        return repr(record)


def letter(item: Item, error: Rejected) -> DeadLetter:
    """The dead letter of an item; the same source and payload have the same id.

    Args:
        item: as it came.
        error: the field and the reason.

    Returns:
        The letter, with the item's whole payload.
    """
    payload, source = payload_of(item), _source(item)
    identity = hashlib.sha256(source.encode("utf-8", "surrogatepass") + b"\0" + payload).hexdigest()[:32]
    reason = f"{error.reason} [{item.origin}]" if item.origin else error.reason
    return DeadLetter(identity, item.received_ms, source, error.field, reason, payload, delivery=item.origin)


def _source(item: Item) -> str:
    """The door, and whose record it was where the door vouches for that: an MQTT topic says it itself."""
    if item.truck_id is None or item.source.startswith("mqtt:"):
        return item.source
    return f"{item.source}/{item.truck_id}"


def letter_item(source: str, payload: bytes, received_ms: int) -> Item:
    """The item that a dead letter was; its source is like mqtt:fleet/T1/report, http:telemetry/T1 or file:clicks."""
    door, _, what = source.partition(":")
    parts = what.split("/")
    at_topic = door == "mqtt" and len(parts) > 2
    name, truck_id = (parts[2], parts[1]) if at_topic else (parts[0], parts[1] if len(parts) > 1 else None)
    kinds: dict[str, Kind] = {"telemetry": "telemetry", "report": "report", "status": "status", "clicks": "click"}
    kind = kinds.get(name, "telemetry")
    from_door = source if at_topic else f"{door}:{name}"
    return Item(kind, from_door, payload, received_ms, truck_id=truck_id, date_by_arrival=door != "file")


def too_late(item: Item, sample: Sample, oldest_ms: int) -> Refusal:
    """The refusal of a sample that is older than a store keeps them."""
    days = oldest_ms // 86_400_000
    return refuse(item, sample.record, Rejected("sampled_at", f"too_late: over {days} days old"))


def too_old(item: Item, event: ClickEvent, oldest_ms: int | None) -> Refusal:
    """The refusal of a shop event so old that it may have been counted and forgotten.

    Args:
        item: that brought it.
        event: as it was read.
        oldest_ms: how long identities are known, in ms; None: events of its time were dropped by `[beacon] click_days`.
    """
    said = (
        "too_old: events of its time were dropped ([beacon] click_days), so that a repeat could not be recognised"
        if oldest_ms is None
        else f"too_old: over {oldest_ms // 86_400_000} days old, so that a repeat could not be recognised:"
        " load it by `milepost ingest`"
    )
    return refuse(item, event.record, Rejected("timestamp", said))


def refuse(item: Item, record: Json, error: Rejected) -> Refusal:
    """The dead letter of an item, with what can still be read of its record (None where it did not parse)."""
    said = record if isinstance(record, dict) else {}
    if item.kind == "click":
        event_id = said.get("event_id")
        return Refusal(letter(item, error), event_id if isinstance(event_id, str) else None)
    seq = _seq_of(said)
    # Only a truck's own topic may settle its numbers: else a stranger could make a sample look dead-lettered.
    if item.kind != "telemetry" or item.truck_id is None or not ID.fullmatch(item.truck_id):
        return Refusal(letter(item, error), seq)
    batch = said.get(LIST_KEY["telemetry"])
    held: dict[str, list[int]] = {}
    for each in batch if isinstance(batch, list) else [said]:
        own = each if isinstance(each, dict) and each.get("truck_id") == item.truck_id else {}
        stream_id, number = own.get("stream_id"), _seq_of(own)
        if isinstance(stream_id, str) and ID.fullmatch(stream_id) and number:
            held.setdefault(stream_id, []).append(number)
    samples = {stream_id: Ranges.of_numbers(numbers) for stream_id, numbers in held.items()}
    return Refusal(letter(item, error), seq, item.truck_id, samples)


def _seq_of(said: Mapping[str, Json]) -> int | None:
    seq = said.get("seq")
    return seq if isinstance(seq, int) and not isinstance(seq, bool) and 0 < seq < 2**63 else None
