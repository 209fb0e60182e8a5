"""Lines of the archive that Firehose keeps (collector/handlers/archive.py), as the items that they were.

A line is `{"received_at", "source", "truck_id"?, "seen"?}` with one of `record`, `text` and `base64`; `content` is the
hash of what a record was before `milepost forget` took somebody out of it. Door, arrival and
who was vouched for come back with it, so an empty store that takes the archive makes the same history.
"""

import base64

from collector.ingest.envelope import unpack
from collector.ingest.stream_records import open_record
from collector.ingest.validation import letter_item
from contract import timestamps
from contract.codec import Json, dump
from contract.errors import Rejected
from contract.ingest_items import Item

_FORMS = ("record", "text", "base64")
_KEYS = frozenset({"received_at", "source", "truck_id", "seen", "content", *_FORMS})


def items_of_line(item: Item) -> list[Item]:
    """The items of a parsed line of a file: those that were archived in it, else the line's own one."""
    line = item.record
    if not isinstance(line, dict) or not {"received_at", "source"} <= line.keys() <= _KEYS:
        return [item]
    if sum(form in line for form in _FORMS) != 1:
        return [item]
    try:
        return _archived(line)
    except (Rejected, TypeError, ValueError, AttributeError):  # some producer's own record, of the same keys
        return [item]


def _archived(line: dict[str, Json]) -> list[Item]:
    received_ms = timestamps.to_ms(timestamps.parse(line["received_at"], "received_at"))
    truck_id = line.get("truck_id")
    source = (
        line["source"] if truck_id is None or line["source"].startswith("mqtt:") else f"{line['source']}/{truck_id}"
    )
    seen = line.get("seen") or {}
    if not isinstance(seen, dict):
        raise TypeError("seen is no object")
    if "record" in line:
        found = letter_item(source, b"", received_ms)._replace(seen=seen)
        content = line.get("content")
        if not isinstance(content, str | None):
            raise TypeError("content is no text")
        return [found._replace(record=line["record"], text=dump(line["record"]), loaded=True, content=content)]
    payload = base64.b64decode(line["base64"], validate=True) if "base64" in line else line["text"].encode()
    whole = letter_item(source, payload, received_ms)
    if whole.source.startswith(("kinesis:", "kafka:")):  # a stream's record as it came, its envelope around it
        items, broken = open_record(whole)
        return [each._replace(loaded=True) for each in (*items, *(part for part, _ in broken))]
    return [each._replace(loaded=True) for each in unpack(whole)]
