"""From what a stream or a door delivers to single items: the rule's envelope (docs/rules.md), and batches."""

import binascii
from contextlib import suppress
from typing import cast

import orjson
from pydantic_core import CoreConfig, SchemaValidator
from pydantic_core.core_schema import bytes_schema

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
_BASE64 = SchemaValidator(bytes_schema(), CoreConfig(val_json_bytes="base64"))
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
        payload = _decoded(envelope["data"])
    except (KeyError, TypeError, ValueError) as error:
        raise Rejected("", f"a stream record needs data, base64: {error!r:.200}") from None
    topic = str(envelope.get("kind", "telemetry"))
    kind = _CONTROL.get(topic, "telemetry")
    record, text = _read(payload)
    return _singly(Item(kind, f"mqtt:fleet/{truck_id}/{topic}", record, received_ms, text, truck_id, True, origin))


def _opened(data: bytes) -> Json:
    """The envelope parsed: without looking for lost digits where its texts and whole numbers are all it says."""
    try:
        envelope = orjson.loads(data)
    except orjson.JSONDecodeError:
        return parse(data)
    plain = type(envelope) is dict and _TEXTS_AND_WHOLE.issuperset(map(type, envelope.values()))
    return envelope if plain else parse(data)


def _decoded(text: Json) -> bytes:
    """Strict base64; pydantic, at a quarter of the CPU, where it is certain to say the same as binascii.

    It would take the URL's alphabet too, and do without padding.
    """
    if type(text) is str and len(text) % 4 == 0 and "-" not in text and "_" not in text:
        with suppress(ValueError):
            return cast(bytes, _BASE64.validate_strings(text))  # type: ignore[arg-type]  # its stub knows objects only
    return binascii.a2b_base64(text, strict_mode=True)


def unpack(item: Item, *, most: float = MOST_RECORDS) -> list[Item]:
    """The single records of an item that may be unparsed and may be a batch, each with its own source text.

    What does not parse, or is no batch of its kind, comes back alone for ingest to judge.

    Args:
        item: as it came.
        most: a batch of more comes back alone too, and is refused as one; an operator sets no bound.

    Returns:
        The records, in order.
    """
    if isinstance(item.record, bytes):
        record, text = _read(item.record)
        item = item._replace(record=record, text=text if item.text is None else item.text)
    return _singly(item, most)


def _read(data: bytes) -> tuple[Json | bytes, str | None]:
    """A record and its source text; the bytes themselves and None where they do not parse."""
    try:
        return parse(data), data.decode()
    except Rejected:
        return data, None


def _singly(item: Item, most: float = MOST_RECORDS) -> list[Item]:
    """A batch's records; ingest refuses too many as one."""
    record: Json = item.record
    key = LIST_KEY.get(item.kind, "")
    listed = record.get(key) if isinstance(record, dict) else None
    if not key or not isinstance(listed, list) or len(listed) > most or item.text is None:
        return [item]
    batch = BatchText(str(item.text), key)
    sent_at = record.get("sent_at") if item.kind == "click" else None
    head, tail = item[:_RECORD], item[_TEXT + 1 :]
    unpacked = []
    for place, each in enumerate(listed):
        whole = with_sent_at(each, sent_at)
        cut = CutText(batch, place, None if whole is each else sent_at)
        unpacked.append(Item._make((*head, whole, item.received_ms, cut, *tail)))
    return unpacked
