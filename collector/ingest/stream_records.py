"""What stands in a stream's records: the rules' envelope, the beacon's, and the bare records of earlier producers.

The beacon's envelope is `{"door", "received_at", "truck_id"?, "seen"?, "body"}`: `body` is the text of a batch
(`{"events": […]}`, `{"records": […]}`), every record exactly as it was posted, so that a dead letter is what came.
"""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from collector.ingest import items_of_stream_record, unpack
from collector.ingest.validation import payload_of
from collector.portions import portions
from collector.streams import Record
from collector.streams.kinesis import MAX_RECORD
from collector.streams.packing import gunzipped, unpacked
from contract.codec import Json, parse
from contract.errors import Rejected
from contract.ingest_items import NOTHING_SEEN, Item, Kind

DOORS: dict[str, Kind] = {"http:clicks": "click", "http:telemetry": "telemetry"}
_BATCH_KEY: dict[str, str] = {"click": "events", "telemetry": "records"}
_ROOM = MAX_RECORD - 1024  # for the envelope around the body, and the key
_encode = json.JSONEncoder(separators=(",", ":")).encode
_NO_TIME_MS = 10**14
_BEACON_KEYS = frozenset({"door", "received_at", "truck_id", "seen", "body"})
_RULE_KEYS = frozenset({"data", "truck_id", "client_id", "received_at", "kind"})
"""All keys of an envelope: a record of a producer's own may well have one of them, but it has others too."""


Broken = tuple[Item, Exception]
"""What came, as an item of its own, and why it could not be opened."""


def open_record(whole: Item) -> tuple[list[Item], list[Broken]]:
    """All that is in one record of a stream.

    Args:
        whole: the record as an item of its own (`bare`), which it is if it came without an envelope.

    Returns:
        Its items in order, and what could not be opened: one part that is broken does not cost the others. Never
        raises for what the record holds.
    """
    items: list[Item] = []
    broken: list[Broken] = []
    try:
        parts = [whole._replace(record=data) for data in unpacked(whole.record)]
    except Rejected as error:
        return [], [(whole, error)]
    for number, part in enumerate(parts):
        origin = whole.origin if len(parts) == 1 else f"{whole.origin}.{number}"
        try:
            data = gunzipped(part.record)
            items.extend(items_of_record(data, part._replace(record=data, origin=origin)))
        except Exception as error:  # noqa: BLE001 - a record's door: what one holds must not cost the batch
            broken.append((part._replace(origin=origin), error))
    return items, broken


def items_of_record(data: bytes, whole: Item) -> list[Item]:
    """The items of one record that is not packed.

    Args:
        data: the record's bytes.
        whole: the record as an item of its own (`bare`), which it is if it came without an envelope.

    Returns:
        Its items in order.

    Raises:
        Rejected: an envelope is broken.
    """
    try:
        return items_of_stream_record(data, whole.origin)
    except Rejected as error:
        return _other(data, whole, error)


def _other(data: bytes, whole: Item, error: Rejected) -> list[Item]:
    try:
        document = parse(data)
    except Rejected:
        document = None
    if isinstance(document, dict) and {"door", "received_at"} <= document.keys() <= _BEACON_KEYS:
        return _posted(document, whole.origin)
    if isinstance(document, dict) and {"data", "received_at"} <= document.keys() <= _RULE_KEYS:
        raise error
    return unpack(whole)


def bare(data: bytes, *, kind: Kind, arrived_ms: int, origin: str, service: str = "kinesis") -> Item:
    """A stream record as an item of its own, its source the stream itself.

    Args:
        data: the record's bytes.
        kind: what the stream carries.
        arrived_ms: the stream's own time of arrival, Unix ms.
        origin: its shard and sequence number.
        service: `kinesis` or `kafka`.

    Returns:
        An item that is not unpacked.
    """
    return Item(kind, f"{service}:{'clicks' if kind == 'click' else 'telemetry'}", data, arrived_ms, origin=origin)


def _posted(envelope: dict[str, Json], origin: str) -> list[Item]:
    door, body, received_ms = envelope["door"], envelope.get("body"), envelope.get("received_at")
    truck_id = envelope.get("truck_id")
    known = isinstance(door, str) and door in DOORS and isinstance(truck_id, str | None)
    if not known or not isinstance(body, str) or type(received_ms) is not int or not 0 <= received_ms < _NO_TIME_MS:
        raise Rejected("", "a beacon's record needs door, body (text) and received_at, Unix milliseconds")
    payload, seen = body.encode("utf-8", "surrogatepass"), envelope.get("seen", NOTHING_SEEN)
    if not isinstance(seen, Mapping):
        raise Rejected("seen", "must be an object")
    return unpack(Item(DOORS[door], door, payload, received_ms, truck_id=truck_id, origin=origin, seen=seen))


def records_of_items(items: Sequence[Item]) -> Iterator[tuple[Record, int]]:
    """What the beacon puts for the items of a request, and how many items each record carries; in order.

    Samples go under their truck's key, shop events all under the first one's: their order means nothing. What did not
    parse has a record of its own: in a batch it would break the others.
    """
    for (key, _, parsed), group in groupby(items, key=_placed):
        if parsed:
            yield from _packed(key or _key(items[0]), list(group))
        else:
            for item in group:
                body = payload_of(item).decode("utf-8", "backslashreplace")
                yield _record(key or _key(items[0]), item, body), 1


def _placed(item: Item) -> tuple[str, Kind, bool]:
    return ("" if item.kind == "click" else _key(item), item.kind, not isinstance(item.record, bytes))


def _key(item: Item) -> str:
    names = ("session_id", "user_id", "event_id") if item.kind == "click" else ("truck_id", "TRUCK_ID", "Truck_ID")
    said = item.record if isinstance(item.record, dict) else {}
    found = item.truck_id or next((said[name] for name in names if isinstance(said.get(name), str)), None)
    return (found or "unknown")[:128].encode("ascii", "backslashreplace").decode()[:256] or "unknown"


def _packed(key: str, items: Sequence[Item]) -> Iterator[tuple[Record, int]]:
    texts = (payload_of(item).decode("utf-8", "surrogatepass") for item in items)
    for some in portions(texts, lambda text: len(_encode(text)) + 1, largest=_ROOM):
        yield _record(key, items[0], _batch(items[0], some)), len(some)


def _batch(like: Item, texts: Sequence[str]) -> str:
    return f'{{"{_BATCH_KEY[like.kind]}":[{",".join(texts)}]}}'


def _record(key: str, like: Item, body: str) -> Record:
    envelope: dict[str, Json] = {"door": like.source, "received_at": like.received_ms, "body": body}
    if like.truck_id is not None:
        envelope["truck_id"] = like.truck_id
    if like.seen:
        envelope["seen"] = dict(like.seen)
    data = _encode(envelope).encode("ascii")
    if len(data) > _ROOM:  # one record by itself, whose escapes are what makes it so large
        data = gzip.compress(json.dumps(envelope, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    return Record(key, data)
