"""From a record of Kafka to rows: opened and judged by the very code that the collector's workers use."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from collector.ingest.stream_records import bare, open_record
from collector.ingest.validation import Refusal, judge, letter
from contract import timestamps
from contract.click_records import ClickEvent
from contract.codec import Json
from contract.errors import Rejected
from contract.ingest_items import Item, Kind
from contract.records import Sample

_DIAGNOSTICS, _TIRES, _AIR = (
    "engine_diagnostics", "vehicle_health_and_maintenance.tire_pressure", "environmental_conditions",
)  # fmt: skip
SIGNALS: Mapping[str, tuple[str, ...]] = {
    "speed": ("vehicle_speed", "gps_location.speed"),
    "engine_rpm": (f"{_DIAGNOSTICS}.engine_rpm",),
    "fuel_level": (f"{_DIAGNOSTICS}.fuel_level",),
    "fuel_consumption": ("fuel_consumption",),
    "engine_temperature": (f"{_DIAGNOSTICS}.engine_temperature",),
    "oil_pressure": (f"{_DIAGNOSTICS}.oil_pressure",),
    "battery_voltage": (f"{_DIAGNOSTICS}.battery_voltage",),
    "tire_pressure_front_left": (f"{_TIRES}.front_left",),
    "tire_pressure_front_right": (f"{_TIRES}.front_right",),
    "tire_pressure_rear_left": (f"{_TIRES}.rear_left",),
    "tire_pressure_rear_right": (f"{_TIRES}.rear_right",),
    "environment_temperature": (f"{_AIR}.temperature",),
    "environment_humidity": (f"{_AIR}.humidity",),
    "environment_pressure": (f"{_AIR}.atmospheric_pressure",),
    "gps_altitude": ("gps_location.altitude",),
}
"""Column, as the mart truck_hour begins its own → wire fields, the first of which that is known counts."""

_OF_A_CLICK = ("event_type", "session_id", "user_id", "order_id", "currency")
_WITH_LINES = frozenset({"purchase", "add_to_cart", "remove_from_cart"})


@dataclass(frozen=True, slots=True)
class LiveRow:
    """One event, one sample, or one record that was refused.

    kind: `click`, `telemetry` or `refused`. identity: of the event (its event_id), the sample (truck and order key) or
    the refused record (its dead letter's id in the collector). at: its own time, corrected, UTC; of a refused one its
    arrival. document: canonical JSON; of a refused one what came, as far as it is text. fields: what the jobs count.
    payload, fault, reason: of a refused one the bytes that came, the wire field at fault ("" for the whole), and why.
    """

    kind: str
    identity: str
    at: datetime
    document: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    payload: bytes | None = None
    fault: str | None = None
    reason: str | None = None


def rows(data: bytes, *, kind: Kind, arrived_ms: int, origin: str) -> Iterator[LiveRow]:
    """All clicks, samples and refused records in one record of a topic, in order; never raises for what it holds.

    Args:
        data: the record's value.
        kind: of the topic, for a record that came without an envelope.
        arrived_ms: Kafka's time of the record, Unix milliseconds.
        origin: `TOPIC:PARTITION:OFFSET`.
    """
    items, broken = open_record(bare(data, kind=kind, arrived_ms=arrived_ms, origin=origin, service="kafka"))
    for part, error in broken:
        said = error if isinstance(error, Rejected) else Rejected("", f"could not be opened ({error!r:.200})")
        yield _refused(part, Refusal(letter(part, said), None))
    for item in items:
        found = judge(item)
        if isinstance(found, ClickEvent):
            yield _click(found)
        elif isinstance(found, Sample):
            yield _sample(found)
        elif isinstance(found, Refusal):
            yield _refused(item, found)


def _click(event: ClickEvent) -> LiveRow:
    said = event.record
    lines = _lines(said)
    fields: dict[str, Any] = {name: _text(said.get(name)) for name in _OF_A_CLICK}
    fields |= {"is_bot": said.get("is_bot") is True, "touched": _touched(said, lines), "lines": json.dumps(lines)}
    return LiveRow("click", _plain(event.event_id), _moment(event.timestamp), _plain(event.text), fields)


def _sample(sample: Sample) -> LiveRow:
    fields: dict[str, Any] = {"truck_id": sample.truck_id}
    for column, paths in SIGNALS.items():
        values = (_real(_at(sample.record, path)) for path in paths)
        fields[column] = next((value for value in values if value is not None), None)
    identity = f"{sample.truck_id} {sample.order_key}"
    return LiveRow("telemetry", identity, _moment(sample.sampled_at), _plain(sample.text), fields)


def _refused(item: Item, refusal: Refusal) -> LiveRow:
    kept = refusal.letter
    at = _moment(timestamps.from_ms(item.received_ms))
    document = _plain(kept.payload.decode("utf-8", "replace"))
    return LiveRow("refused", kept.id, at, document, {}, kept.payload, kept.field, _plain(kept.reason)[:2000])


def _lines(said: Mapping[str, Json]) -> list[dict[str, Any]]:
    """The lines of a sale or a cart, as the lake reads them: its own, else the event's item as the one line."""
    own = said.get("lines")
    if isinstance(own, list):
        found = [line for line in own if isinstance(line, dict)]
    else:
        found = [dict(said)] if said.get("event_type") in _WITH_LINES else []
    return [
        {
            "item_id": _text(line.get("item_id")),
            "amount": (_real(line.get("price")) or 0.0) * _quantity(line),
            "quantity": _quantity(line),
        }
        for line in found
    ]


def _quantity(line: Mapping[str, Json]) -> float:
    said = _real(line.get("quantity"))
    return 1.0 if said is None else said


def _touched(said: Mapping[str, Json], lines: list[dict[str, Any]]) -> list[tuple[str, int, int, int]]:
    """(item, views, clicks, added) of each item that the event is about."""
    found: dict[str, list[int]] = {}
    kind, count = said.get("event_type"), said.get("click_count")
    if (item := _text(said.get("item_id"))) is not None:
        times = count if isinstance(count, int) else 1
        found[item] = [times * (kind == "view"), times * (kind == "click"), 0]
    for line in lines if kind == "add_to_cart" else ():
        if line["item_id"] is not None:
            found.setdefault(line["item_id"], [0, 0, 0])[2] = 1
    return [(item, *counts) for item, counts in found.items()]  # type: ignore[misc]


def _at(record: Mapping[str, Json], path: str) -> Json:
    node: Json = dict(record)
    for name in path.split("."):
        node = node.get(name) if isinstance(node, dict) else None
    return node


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _text(value: Json) -> str | None:
    return None if value is None else _plain(str(value))


def _plain(text: str) -> str:
    """What PostgreSQL and Arrow can hold: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _real(value: Json) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
