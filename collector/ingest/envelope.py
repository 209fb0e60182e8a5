"""From what a stream or a door delivers to single items: the rule's envelope (docs/rules.md), and batches."""

import binascii

import orjson

from contract.click_records import with_sent_at
from contract.codec import Json, parse
from contract.errors import Rejected
from contract.ingest_items import BatchText, CutText, Item, Kind

LIST_KEY = {"telemetry": "records", "click": "events"}
"""Kind → the key of its batches."""
_NO_TIME_MS = 10**14  # the year 5138
MOST_RECORDS = 10_000
"""Records that one message or request may hold."""
_RECORD, _TEXT = Item._fields.index("record"), Item._fields.index("text")
_TEXTS_AND_WHOLE = frozenset({str, int})
_CONTROL: dict[str, Kind] = {"report": "report", "status": "status"}


def items_of_stream_record(data: bytes, origin: str = "") -> list[Item]:
    """The items of one record that the rules put into a stream: the envelope opened, batches unpacked.

    origin: see Item. Raises Rejected where the envelope itself is not what iot_rules writes.
    """
    envelope = _opened(data)
    if not isinstance(envelope, dict):
        raise Rejected("", "a stream record must be the JSON object that the rules write")
    truck_id, received_ms = envelope.get("truck_id"), envelope.get("received_at")
    if not isinstance(truck_id, str) or type(received_ms) is not int or not 0 <= received_ms < _NO_TIME_MS:
        raise Rejected("", "a stream record needs a truck_id and received_at, Unix milliseconds")
    try:
        payload = binascii.a2b_base64(envelope["data"], strict_mode=True)
    except (KeyError, TypeError, ValueError) as error:
        raise Rejected("", f"a stream record needs data, base64: {error!r:.200}") from None
    topic = str(envelope.get("kind", "telemetry"))
    kind = _CONTROL.get(topic, "telemetry")
    return unpack(Item(kind, f"mqtt:fleet/{truck_id}/{topic}", payload, received_ms, None, truck_id, True, origin))


def _opened(data: bytes) -> Json:
    """The envelope parsed: without looking for lost digits where its texts and whole numbers are all it says."""
    try:
        envelope = orjson.loads(data)
    except orjson.JSONDecodeError:
        return parse(data)
    plain = type(envelope) is dict and _TEXTS_AND_WHOLE.issuperset(map(type, envelope.values()))
    return envelope if plain else parse(data)


def unpack(item: Item) -> list[Item]:
    """The single records of an item that may be unparsed and may be a batch, each with its own source text.

    What does not parse, or is no batch of its kind, comes back alone for ingest to judge.
    """
    raw, text = item.record, item.text
    try:
        record = parse(raw) if isinstance(raw, bytes) else raw
    except Rejected:
        return [item]
    if text is None and isinstance(raw, bytes):
        text = raw.decode()
    key = LIST_KEY.get(item.kind)
    listed = record.get(key) if key and isinstance(record, dict) else None
    head, tail = item[:_RECORD], item[_TEXT + 1 :]
    if not isinstance(listed, list) or len(listed) > MOST_RECORDS or text is None:  # ingest refuses too many as one
        return [Item._make((*head, record, item.received_ms, text, *tail))]
    batch = BatchText(str(text), key)  # type: ignore[arg-type]
    sent_at = record.get("sent_at") if item.kind == "click" else None
    unpacked = []
    for place, each in enumerate(listed):
        whole = with_sent_at(each, sent_at)
        cut = CutText(batch, place, None if whole is each else sent_at)
        unpacked.append(Item._make((*head, whole, item.received_ms, cut, *tail)))
    return unpacked
