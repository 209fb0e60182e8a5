"""From a record of Kafka to rows: the same reading of envelopes, clicks and samples as the collector's."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from collector.ingest.stream_records import bare, items_of_record
from contract import timestamps
from contract.click_records import read_click
from contract.codec import Json, parse
from contract.errors import Rejected
from contract.ingest_items import Item, Kind
from contract.records import read_sample

_CLICK_FIELDS = ("event_type", "session_id", "user_id", "item_id", "item_name", "order_id")


@dataclass(frozen=True, slots=True)
class Row:
    """One event or sample, or why there is none.

    kind: `click`, `telemetry`, or `refused` with its reason in `document`. identity: of the event (its event_id) or the
    sample (its order key). at: its own time, corrected, UTC. fields: the columns that the jobs count.
    """

    kind: str
    identity: str
    at: datetime
    document: str
    fields: dict[str, Any]


def rows(data: bytes, *, kind: Kind, arrived_ms: int, origin: str) -> Iterator[Row]:
    """All that is in one record; never raises."""
    whole = bare(data, kind=kind, arrived_ms=arrived_ms, origin=origin, service="kafka")
    try:
        items = items_of_record(data, whole)
    except Rejected as error:
        yield _refused(str(error), arrived_ms, origin)
        return
    for number, item in enumerate(items):
        if item.kind not in ("click", "telemetry"):
            continue
        try:
            yield _read(item)
        except Rejected as error:
            yield _refused(str(error), item.received_ms, f"{origin}/{number}")


def _read(item: Item) -> Row:
    record = parse(item.record) if isinstance(item.record, bytes) else item.record
    if item.kind == "click":
        event = read_click(record, received_ms=item.received_ms)
        said = event.record
        count = said.get("click_count")
        fields = {name: said.get(name) for name in _CLICK_FIELDS}
        fields |= {"count": count if isinstance(count, int) else 1, "revenue": _revenue(said)}
        return Row("click", event.event_id, _moment(event.timestamp), event.text, fields)
    sample = read_sample(record, received_ms=item.received_ms, date_by_arrival=item.date_by_arrival)
    if item.truck_id is not None and item.truck_id != sample.truck_id:
        raise Rejected("truck_id", "is not that of the topic or key")
    fields = {
        "truck_id": sample.truck_id,
        "speed": _real(sample.record.get("vehicle_speed")),
        "odometer": _real(sample.record.get("odometer_reading")),
    }
    return Row("telemetry", f"{sample.truck_id} {sample.order_key}", _moment(sample.sampled_at), sample.text, fields)


def _revenue(said: dict[str, Json]) -> float:
    """Of a purchase, in whatever currency it says; by its lines, else by its own price."""
    if said.get("event_type") != "purchase":
        return 0.0
    lines = said.get("lines")
    sold = [line for line in (lines if isinstance(lines, list) and lines else [said]) if isinstance(line, dict)]
    return sum((_number(line, "price") * (_number(line, "quantity") or 1) for line in sold), 0.0)


def _refused(reason: str, at_ms: int, origin: str) -> Row:
    return Row("refused", origin, _moment(timestamps.from_ms(at_ms)), reason[:2000], {})


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _real(value: Json) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _number(line: dict[str, Json], name: str) -> float:
    return _real(line.get(name)) or 0.0
