"""What an item of each table looks like, both ways. Texts are compressed: a write unit is a kilobyte.

A sample's stream, number and content are parts of its order key, so they are stored once. A tracked key that is the
order key itself (`every-sample`) is not stored.
"""

import hashlib
import json
import zlib
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from collector.history import Version, start
from collector.rows import DeadLetter, StoredSample
from contract import timestamps
from contract.errors import Rejected

Item = dict[str, Any]
"""An item as DynamoDB has it: attribute → {type: value}."""

DAY_MS = 86_400_000
SAMPLES_KEPT_MS = 42 * DAY_MS
CLICKS_KEPT_MS = 14 * DAY_MS
FIRST_PLACE = "0"
"""No order key sorts before it, and every claim does."""
_CLAIM = "!content#"
_LARGEST = 390_000

# Deflate finds its repetitions in such a text as well as in the record's own: a sample of 1,580 bytes takes 220. What
# was written with one can only be read with it: never change one, add another under another first byte.
_FIRST_TEXT = (
    b'{"Item_ID":"","click_count":1,"device_type":"mobile","event_id":"","event_type":"add_to_cart","event_type":"view"'
    b',"item_id":"","item_name":"","page":"/","session_id":"","timestamp":"2026-01-01T00:00:00.000Z","user_id":"",'
    b'"user_type":"returning"}{"engine_diagnostics":{"battery_voltage":13.8,"engine_rpm":1600,"engine_temperature":88,'
    b'"fuel_level":62.5,"oil_pressure":42.1},"environmental_conditions":{"atmospheric_pressure":1013.2,"humidity":40,'
    b'"temperature":21.5},"fuel_consumption":18.2,"gps_location":{"altitude":346.9,"latitude":41.25791,"longitude":'
    b'-95.99604,"speed":51.1},"odometer_reading":120034.7,"quality":{"engine_diagnostics":"stale","gps_location":'
    b'"not_available","vehicle_health_and_maintenance.tire_pressure":"not_available"},"sampled_at":"2026-01-01T00:00:'
    b'00.000Z","schema_version":1,"seq":1,"stream_id":"","time_quality":"gps","time_quality":"ntp","truck_id":"TRUCK-'
    b'0","vehicle_health_and_maintenance":{"active_faults":[{"count":1,"fmi":1,"source":0,"spn":100}],"active_faults"'
    b':[],"brake_status":"ok","tire_pressure":{"front_left":102.5,"front_right":101.5,"rear_left":null,"rear_right":'
    b'null},"transmission_status":"ok"},"vehicle_speed":51}'
)
_SINCE_LAST = (
    b'"custom":{"door_open":false},"faults":[{"first":"2026-01-01T00:00:00.000Z","fmi":1,"last":"2026-01-01T00:00:00.000'
    b'Z","source":0,"spn":100}],{"engine_diagnostics":{"battery_voltage":14.07,"engine_rpm":1200.25,"engine_temperature"'
    b':88.4,"fuel_level":75.36,"oil_pressure":41.3},"environmental_conditions":{"atmospheric_pressure":1013.2,"humidity"'
    b':67,"temperature":7.5},"fuel_consumption":5.15,"gps_location":{"altitude":524.2,"latitude":48.131017,"longitude":1'
    b'1.532973,"speed":46.3},"odometer_reading":252183.76,"quality":{},"sampled_at":"2026-01-01T00:00:00.000Z","schema_'
    b'version":1,"seq":26,"since_last":{"distance_km":0.6346,"fuel_l":0.07383,"harsh":[{"at":"2026-01-01T00:00:00.000Z",'
    b'"kind":"acceleration","peak":4.15},{"at":"2026-01-01T00:00:00.000Z","kind":"cornering","peak":3.05},{"at":"2026-01'
    b'-01T00:00:00.000Z","kind":"braking","peak":4.15}],"idle_seconds":0,"max":{"engine_diagnostics.battery_voltage":14.'
    b'07,"engine_diagnostics.engine_rpm":1193.125,"engine_diagnostics.engine_temperature":88.8,"engine_diagnostics.fuel_'
    b'level":75.36,"engine_diagnostics.oil_pressure":41,"fuel_consumption":6.25,"gps_location.speed":46.3,"vehicle_speed'
    b'":46.1},"mean":{"engine_diagnostics.battery_voltage":13.96,"engine_diagnostics.engine_rpm":1001,"engine_diagnostic'
    b's.engine_temperature":88.27,"engine_diagnostics.fuel_level":75.32,"engine_diagnostics.oil_pressure":38.64,"fuel_co'
    b'nsumption":5.549,"gps_location.speed":38.19,"vehicle_speed":38.12},"min":{"engine_diagnostics.battery_voltage":13.'
    b'93,"engine_diagnostics.engine_rpm":644.625,"engine_diagnostics.engine_temperature":87.6,"engine_diagnostics.fuel_l'
    b'evel":75.3,"engine_diagnostics.oil_pressure":27.9,"fuel_consumption":2.2,"gps_location.speed":0,"vehicle_speed":0}'
    b',"moving_seconds":60,"readings":600,"seconds":60},"stream_id":"","time_quality":"gps","truck_id":"TRUCK-001","vehi'
    b'cle_health_and_maintenance":{"active_faults":[],"brake_status":"good","tire_pressure":{"front_left":104.5,"front_r'
    b'ight":104.5,"rear_left":97.5,"rear_right":95},"transmission_status":"normal"},"vehicle_speed":0}'
)
_TEXTS = {b"\x01": _FIRST_TEXT, b"\x02": _FIRST_TEXT + _SINCE_LAST}
_NEWEST = b"\x02"


def decode(attributes: Item) -> None:
    """Turn Base64, as which bytes stand in JSON, into bytes, in place."""
    for value in attributes.values():
        if "B" in value:
            value["B"] = b64decode(value["B"])
        elif "M" in value:
            decode(value["M"])


def text(value: str) -> Item:
    return {"S": value}


def number(value: int) -> Item:
    return {"N": str(value)}


def pack(data: bytes) -> Item:
    """Compressed; `unpack` reads it. Memory level 6: more makes a sample no smaller, and costs 80 µs to clear."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 6, zlib.Z_DEFAULT_STRATEGY, _TEXTS[_NEWEST])
    return {"B": _NEWEST + packer.compress(data) + packer.flush()}


def unpack(value: Item) -> bytes:
    packed = bytes(value["B"])
    text = _TEXTS.get(packed[:1])
    if text is None:
        raise ValueError("an item was written by a newer Milepost: upgrade")
    unpacker = zlib.decompressobj(-15, text)
    return unpacker.decompress(packed[1:]) + unpacker.flush()


def size(item: Mapping[str, Item]) -> int:
    """The bytes that DynamoDB counts for an item, to within a few."""
    return sum(len(name) + _size(value) for name, value in item.items())


def _size(value: Item) -> int:
    [(kind, content)] = value.items()
    if kind == "M":
        return 3 + sum(1 + len(name) + _size(each) for name, each in content.items())
    if kind == "N":
        return len(content) // 2 + 2
    if kind in ("BOOL", "NULL"):
        return 1
    return len(content) if isinstance(content, bytes) else len(content.encode("utf-8", "replace"))


def fitting(item: Item) -> Item:
    """The item, if a table takes it at all. Raises Rejected."""
    if size(item) > _LARGEST:
        raise Rejected("", "larger than 390 KB when compressed: the store cannot keep it")
    return item


def sample_key(truck_id: str, order_key: str) -> Item:
    """Also a version's: it stands under the order key of its opening sample."""
    return {"truck_id": text(truck_id), "order_key": text(order_key)}


def part_key(truck_id: str, part: str) -> Item:
    """The key of an item of `trucks`."""
    return {"truck_id": text(truck_id), "part": text(part)}


def body(sample: StoredSample) -> Item:
    """The attributes of a sample that its version, and perhaps its truck's head, have too."""
    arrival = {name: {"BOOL": True} for name in ("by_arrival", "estimated") if getattr(sample, name)}
    stored = {"text": pack(sample.text.encode("ascii")), "received_ms": number(sample.received_ms)}
    return {**stored, **arrival, **_identity(sample)}


def body_of(item: Item) -> Item:
    """Those attributes of a sample's or a version's item."""
    return {name: item[name] for name in ("text", "received_ms", "by_arrival", "estimated", "identity") if name in item}


def sample_item(truck_id: str, sample: StoredSample) -> Item:
    item = {**sample_key(truck_id, sample.order_key), **body(sample), **_tracked(sample.order_key, sample.key)}
    # An estimated sample may be dated weeks before it came, and must be known as long as any other.
    since = timestamps.from_ms(sample.received_ms) if sample.estimated else start(sample.order_key)
    item["expires"] = number(expiry(since, SAMPLES_KEPT_MS))
    return fitting(item)


def _identity(sample: StoredSample) -> Item:
    """Stream, number and content where they are not those that the order key says: not so for what ingest puts."""
    said = (sample.stream_id, sample.seq, sample.content)
    return {} if said == _said(sample.order_key) else {"identity": text(json.dumps(said))}


def _said(order_key: str) -> tuple[str | None, int | None, str] | None:
    parts = order_key.split("#")
    if len(parts) != 4:
        return None
    return parts[1] or None, int(parts[2]) if parts[2].isdecimal() else None, parts[3]


def read_sample(item: Item, order_key: str | None = None, key: str | None = None) -> StoredSample:
    """From a sample's or a version's item, or from a head's `body` with what it is known under."""
    place = order_key or item["order_key"]["S"]
    stream_id, seq, content = identity_of(item, place)
    return StoredSample(
        order_key=place,
        key=key or tracked_key(item),
        stream_id=stream_id,
        seq=seq,
        content=content,
        received_ms=int(item["received_ms"]["N"]),
        by_arrival="by_arrival" in item,
        text=unpack(item["text"]).decode("ascii"),
        estimated="estimated" in item,
    )


def identity_of(item: Item, order_key: str) -> tuple[str | None, int | None, str]:
    """Stream, number and content of a stored sample."""
    said = json.loads(item["identity"]["S"]) if "identity" in item else _said(order_key)
    if said is None:
        raise ValueError(f"the order key {order_key} is not one of ours")
    stream_id, seq, content = said
    return stream_id, seq, content


def claim_item(truck_id: str, content: str, order_key: str, *, now_ms: int) -> Item:
    """What remembers under which order key a record whose time nobody vouches for came first."""
    expires = number(expiry(timestamps.from_ms(now_ms), SAMPLES_KEPT_MS))
    return {**sample_key(truck_id, _CLAIM + content), "place": text(order_key), "expires": expires}


def version_item(truck_id: str, version: Version, rev: int, opening: Item, before: str | None) -> Item:
    """`opening`: the body of its opening sample. before: order key of the version that precedes it, None: the first.

    Where it ends is not stored: that is where the next one begins.
    """
    item = {**sample_key(truck_id, version.order_key), **_tracked(version.order_key, version.key), "rev": number(rev)}
    return {**item, **place_in_chain(before), **opening}


def place_in_chain(before: str | None) -> Item:
    """The attribute by which a version names the one that precedes it: enough to tell whether that is the one read."""
    return {"first": {"BOOL": True}} if before is None else {"prev": {"B": _link(before)}}


def precedes(before: Item | None, item: Item) -> bool:
    """Whether a version is the one before another, by what their items say. before: None for the start of history.

    Until release 0.2 the earlier of two named the later; a pair that nothing has come between since says so still.
    """
    if before is None:
        return "first" in item
    if "prev" in item:
        return bytes(item["prev"]["B"]) == _link(before["order_key"]["S"])
    return "next" in before and bytes(before["next"]["B"]) == _link(item["order_key"]["S"])


def _link(order_key: str) -> bytes:
    return hashlib.sha256(order_key.encode()).digest()[:9]


def read_version(item: Item, following: Item | None) -> Version:
    """following: the item of the version after it, None where it is the current one."""
    end = start(following["order_key"]["S"]) if following else None
    return Version(item["order_key"]["S"], tracked_key(item), end)


def with_following(found: Iterable[Item]) -> Iterator[tuple[Item, Item | None]]:
    """Each item with the one after it, which is asked for with it."""
    coming = iter(found)
    item = next(coming, None)
    while item is not None:
        following = next(coming, None)
        yield item, following
        item = following


def _tracked(order_key: str, key: str) -> Item:
    return {} if key == order_key else {"key": text(key)}


def tracked_key(item: Item) -> str:
    """The tracked key of a sample's or a version's item."""
    found: str = item["key"]["S"] if "key" in item else item["order_key"]["S"]
    return found


def expiry(instant: str, kept_ms: int) -> int:
    """Unix seconds."""
    return (timestamps.to_ms(instant) + kept_ms) // 1000


def letter_items(letter: DeadLetter) -> list[Item]:
    """The payload in as many items as it takes; all but the first are `{id, part, payload}`."""
    packed = pack(letter.payload)["B"]
    pieces = [packed[at : at + 350_000] for at in range(0, len(packed), 350_000)]
    items = [
        {"id": text(letter.id), "part": number(part), "payload": {"B": piece}} for part, piece in enumerate(pieces)
    ]
    items[0] |= {
        "received_ms": number(letter.received_ms),
        "source": text(_plain(letter.source)),
        "field": text(_plain(letter.field)),
        "reason": text(_plain(letter.reason)),
        "parts": number(len(pieces)),
    }
    return items


def read_letter(item: Item, rest: bytes) -> DeadLetter:
    """`rest`: the payloads of the further items, in order."""
    return DeadLetter(
        id=item["id"]["S"],
        received_ms=int(item["received_ms"]["N"]),
        source=item["source"]["S"],
        field=item["field"]["S"],
        reason=item["reason"]["S"],
        payload=unpack({"B": bytes(item["payload"]["B"]) + rest}),
        times=int(item["times"]["N"]),
    )


def _plain(said: str) -> str:
    """Without half surrogate pairs, which DynamoDB does not take."""
    return said.encode("utf-8", "backslashreplace").decode()
