"""Firehose's transformation: each stream record becomes JSON lines, one a sample or event, decoded.

A line is `{"received_at", "source", "truck_id"?, "seen"?, "record"}`; whom the markers name is left out, and `content`
says what the record was known under. What does not parse is kept, too: `"text"`, or
`"base64"`, stands in place of `record`, since an archive that drops what a bug rejected cannot mend it. So does a
stream record of which the lines would fill the answer (many tiny events): it is one line, as it came.
"""

import base64
from collections.abc import Sequence
from typing import Any

from collector.handlers import bootstrap
from collector.handlers.observability import Door
from collector.ingest.ingest import kept_of
from collector.ingest.stream_records import bare, open_record
from collector.ingest.validation import Refusal, judge, payload_of
from contract import timestamps
from contract.click_records import ClickEvent
from contract.codec import Json, dump, parse
from contract.forgotten import GONE
from contract.ingest_items import NOTHING_SEEN, Item, Kind
from contract.records import Sample

door = Door("milepost-archive")
_LIMIT = 5 * 1024 * 1024
"""Bytes of a response's data; Lambda's own limit is 6 MB."""


@door
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """A Firehose transformation event in; each record with its lines out."""
    kind: Kind = "click" if "click" in str(event.get("sourceKinesisStreamArn", "")) else "telemetry"
    answers, size = [], 0
    room = _LIMIT // max(1, len(event["records"]))
    for record in event["records"]:
        data = base64.b64decode(record["data"])
        lines = _lines(data, kind, record, max(room, 4 * len(data)))
        if size + len(lines) > _LIMIT:  # Firehose keeps it as it came, under processing-failed/
            answers.append({"recordId": record["recordId"], "result": "ProcessingFailed"})
            continue
        size += len(lines)
        answers.append({"recordId": record["recordId"], "result": "Ok", "data": lines})
    door.count({"archived": len(answers)})
    return {"records": answers}


def _lines(data: bytes, kind: Kind, record: dict[str, Any], most: int) -> str:
    """The lines of a stream record in base64, in at most so many bytes if that can be."""
    arrived_ms = int(record.get("approximateArrivalTimestamp") or 0)
    whole = bare(data, kind=kind, arrived_ms=arrived_ms, origin="")
    items, broken = open_record(whole)
    kept = [_kept(item) for item in (*items, *(part for part, _ in broken))]
    lines = _encoded(kept)
    # As it came it is shorter, but says what must stay forgotten.
    return lines if len(lines) <= most or any(item.content for item in kept) else _encoded([whole])


def _kept(item: Item) -> Item:
    """What may be archived of an item."""
    marks = bootstrap.forgotten()
    if marks is None or not any(marks.markers()):
        return item
    verdict = judge(item)
    kept = kept_of(verdict, marks)
    if isinstance(kept, Refusal) and kept.letter.payload == GONE:
        return item._replace(record=GONE, seen=NOTHING_SEEN)
    if isinstance(kept, Sample | ClickEvent) and isinstance(verdict, Sample | ClickEvent) and kept.text != verdict.text:
        return item._replace(record=parse(kept.text), text=None, content=verdict.content, seen=NOTHING_SEEN)
    return item


def _encoded(items: Sequence[Item]) -> str:
    return base64.b64encode("".join(f"{_line(item)}\n" for item in items).encode("utf-8")).decode("ascii")


def _line(item: Item) -> str:
    about: dict[str, Json] = {"received_at": timestamps.from_ms(item.received_ms), "source": item.source}
    if item.truck_id is not None:
        about["truck_id"] = item.truck_id
    if item.seen:
        about["seen"] = dict(item.seen)
    if item.content is not None:
        about["content"] = item.content
    if isinstance(item.record, bytes):
        try:
            return dump({**about, "text": item.record.decode("utf-8")})
        except UnicodeDecodeError:
            return dump({**about, "base64": base64.b64encode(item.record).decode("ascii")})
    try:
        return dump({**about, "record": item.record})
    except ValueError:  # NaN
        return dump({**about, "text": payload_of(item).decode("utf-8", "replace")})
