"""From what a stream or a door delivers to single items: the rule's envelope (DESIGN §3), and batches."""

import base64
import binascii
from dataclasses import replace

from contract.codec import elements, parse
from contract.errors import Rejected
from contract.items import Item, Kind

_LIST_KEY = {"telemetry": "records", "click": "events"}
_CONTROL: dict[str, Kind] = {"report": "report", "status": "status"}


def items_of_stream_record(data: bytes) -> list[Item]:
    """The items of one record that the rules put into a stream: the envelope opened, batches unpacked.

    Raises Rejected where the envelope itself is not what iot_rules writes.
    """
    envelope = parse(data)
    if not isinstance(envelope, dict):
        raise Rejected("", "a stream record must be the JSON object that the rules write")
    try:
        payload = base64.b64decode(envelope["data"], validate=True)
        truck_id, received_ms = str(envelope["truck_id"]), int(envelope["received_at"])
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise Rejected("", f"a stream record needs data (base64), truck_id and received_at: {error!r}") from None
    topic = str(envelope.get("kind", "telemetry"))
    kind = _CONTROL.get(topic, "telemetry")
    return unpack(Item(kind, f"mqtt:fleet/{truck_id}/{topic}", payload, received_ms, truck_id=truck_id))


def unpack(item: Item) -> list[Item]:
    """The single records of an item that may be unparsed and may be a batch, each with its own source text.

    What does not parse, or is no batch of its kind, comes back alone for ingest to judge.
    """
    raw = item.record
    try:
        record = parse(raw) if isinstance(raw, bytes) else raw
    except Rejected:
        return [item]
    text = item.text if item.text is not None or not isinstance(raw, bytes) else raw.decode()
    key = _LIST_KEY.get(item.kind)
    if key and isinstance(record, dict) and isinstance(record.get(key), list) and text is not None:
        cuts = elements(text, key)
        return [replace(item, record=each, text=cut) for each, cut in zip(record[key], cuts, strict=True)]
    return [replace(item, record=record, text=text)]
