"""Firehose's transformation: each stream record becomes JSON lines, one a sample or event, decoded.

A line is `{"received_at", "source", "truck_id"?, "seen"?, "record"}`. What does not parse is kept, too: `"text"`, or
`"base64"`, stands in place of `record`, since an archive that drops what a bug rejected cannot mend it. So does a
stream record of which the lines would fill the answer (many tiny events): it is one line, as it came.
"""

import base64
from collections.abc import Sequence
from typing import Any

from collector.handlers.observability import Door
from collector.ingest.stream_records import bare, open_record
from collector.ingest.validation import payload_of
from contract import timestamps
from contract.codec import Json, dump
from contract.ingest_items import Item, Kind

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
    lines = _encoded([*items, *(part for part, _ in broken)])
    return lines if len(lines) <= most else _encoded([whole])


def _encoded(items: Sequence[Item]) -> str:
    return base64.b64encode("".join(f"{_line(item)}\n" for item in items).encode("utf-8")).decode("ascii")


def _line(item: Item) -> str:
    about: dict[str, Json] = {"received_at": timestamps.from_ms(item.received_ms), "source": item.source}
    if item.truck_id is not None:
        about["truck_id"] = item.truck_id
    if item.seen:
        about["seen"] = dict(item.seen)
    if isinstance(item.record, bytes):
        try:
            return dump({**about, "text": item.record.decode("utf-8")})
        except UnicodeDecodeError:
            return dump({**about, "base64": base64.b64encode(item.record).decode("ascii")})
    try:
        return dump({**about, "record": item.record})
    except ValueError:  # NaN
        return dump({**about, "text": payload_of(item).decode("utf-8", "replace")})
