"""From a parsed shop event to a `ClickEvent`: identified, dated, and freed of what cannot be.

A sale is worth more than a field: an event is refused only when it is no object or its event_id is unusable. Nothing
here reads a clock: `received_ms` is an argument.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from contract import legacy_records, timestamps
from contract.click_schema import EVENT_TYPES, Click
from contract.codec import MOST_DIGITS, Json, canonical, content_hash, has_bounded_numbers, is_unicode
from contract.errors import Rejected
from contract.ingest_items import NO_WARNINGS, NOTHING_SEEN
from contract.plain_clicks import plain_text, written
from contract.records import MAX_RECORD
from contract.referrers import referrer_class

MOST_ANONYMOUS_COUNT = 1000
"""The largest click_count that is believed of a request without a key."""

_CLOCK_ERROR_MS = 5_000
_MOST_COUNT = 1_000_000_000
_LONGEST_KEY = 256
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_EVENT_TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_BOOKKEEPING = ("received_at", "time_quality", "refused_fields", "refused_values")

_EPOCH = timestamps.from_ms(0)
_WHERE = frozenset({"country", "region", "country_source"})

Read = Callable[[Json], Json]

_sent_ms = lru_cache(maxsize=256)(timestamps.to_ms)  # all events of a batch were sent at once


class ClickEvent(NamedTuple):
    """One shop event, accepted.

    timestamp: RFC 3339, corrected by the clock's error. content: SHA-256 of what the producer sent, without sent_at.
    text: canonical JSON under the wire's names, without `received_at`. sent_at: as it came, "" where there is none.
    warnings: field → why it was set to null.
    """

    event_id: str
    timestamp: str
    record: dict[str, Json]
    text: str
    content: str = ""
    sent_at: str = ""
    warnings: Mapping[str, str] = NO_WARNINGS


def read_click(
    record: Json, *, received_ms: int, trusted: bool = False, seen: Mapping[str, Json] = NOTHING_SEEN
) -> ClickEvent:
    """Judge one parsed shop event of any known producer.

    Args:
        record: the event, with its batch's `sent_at` in it where it has none of its own.
        received_ms: Unix ms of its arrival.
        trusted: from a file or a keyed producer; others may not say a click_count over 1,000.
        seen: what the door saw of its sender; fills the fields that the event leaves out, and is no part of `content`.

    Returns:
        The event under the wire's names, its bad optional fields null and told in `refused_fields`; its `content`
        leaves out `sent_at` and what the door saw.

    Raises:
        Rejected: it is no object, or its event_id is neither absent nor text of 1 to 128 plain characters.
    """
    if not isinstance(record, dict):
        raise Rejected("", "an event must be a JSON object")
    own = dict(record)
    sent_at = own.pop("sent_at", None)
    said = plain_text(own)
    event = None if said is None else _read_plain(own, said, sent_at, received_ms, seen)
    return event or read_any(record, received_ms=received_ms, trusted=trusted, seen=seen)


def _read_plain(
    own: dict[str, Json], said: bytes, sent_at: Json, received_ms: int, seen: Mapping[str, Json]
) -> ClickEvent | None:
    """The event of the canonical text `said`; None where its times must be judged, or it is too long."""
    try:
        if sent_at is not None and timestamps.parse(sent_at, "") != sent_at:
            return None
        if "timestamp" in own and timestamps.parse(own["timestamp"], "") != own["timestamp"]:
            return None
    except Rejected:
        return None
    wire = own if sent_at is None else {**own, "sent_at": sent_at}
    timestamp, wire["time_quality"] = _time(wire, received_ms)
    wire["timestamp"] = timestamp
    _enrich(wire, seen)
    text = written(wire)
    if len(text) > MAX_RECORD:
        return None
    content = hashlib.sha256(said).hexdigest()
    return ClickEvent(own["event_id"], timestamp, wire, text, content, sent_at or "")


def read_any(
    record: dict[str, Json], *, received_ms: int, trusted: bool = False, seen: Mapping[str, Json] = NOTHING_SEEN
) -> ClickEvent:
    """As `read_click`, field by field: what it says is right, and is said of plain events too.

    Args:
        record: the event.
        received_ms: Unix ms of its arrival.
        trusted: from a file or a keyed producer.
        seen: what the door saw of its sender.

    Returns:
        The event under the wire's names.

    Raises:
        Rejected: its event_id is neither absent nor text of 1 to 128 plain characters, or it is too long.
    """
    own = dict(record)
    for key in _BOOKKEEPING:
        own.pop(key, None)
    warnings: dict[str, str] = {}
    refused: dict[str, Json] = {}
    doubtful = [  # what most fields hold needs no closer look
        name
        for name, value in own.items()
        if not (
            type(value) is str
            and name in _PLAIN
            and value.isascii()
            and value.isprintable()
            and 1 <= len(value) <= _LONGEST_KEY
        )
    ]
    _make_writable(own, doubtful, warnings, refused)
    sent_at = own.pop("sent_at", None)
    content = content_hash(canonical(own))
    wire = legacy_records.click(own)
    if sent_at is not None:
        wire["sent_at"] = sent_at
    if wire is not own:
        doubtful = list(wire)
    event_id = _identity(wire.get("event_id")) or f"content-{content}"
    read_field = (_READERS if trusted else _ANONYMOUS).get
    for name in doubtful:
        read = read_field(name)
        if read is None:
            continue
        value = wire.get(name)
        try:
            said = read(value)
        except Rejected as error:
            refused[name], said = value, 1 if name == "click_count" else None
            warnings[name] = error.reason
        if said is not value:
            wire[name] = said
    wire["event_id"], wire["event_type"] = event_id, _event_type(wire, warnings, refused)
    timestamp, quality = _time(wire, received_ms)
    wire |= {"timestamp": timestamp, "time_quality": quality}
    _enrich(wire, seen)
    if warnings:
        wire |= {"refused_fields": dict(sorted(warnings.items())), "refused_values": refused}
    text = canonical(wire)
    if len(text) > MAX_RECORD:
        raise Rejected("", f"over {MAX_RECORD} bytes of JSON: leave out what is no part of the event")
    return ClickEvent(event_id, timestamp, wire, text, content, wire.get("sent_at") or "", warnings)


def _enrich(wire: dict[str, Json], seen: Mapping[str, Json]) -> None:
    """What the event's own fields leave open."""
    if wire.keys().isdisjoint(seen) and "country" not in wire and "location" not in wire:
        wire.update(seen)
    else:
        where = wire.get("country") is None and wire.get("location") is None
        for name, value in seen.items():
            if wire.get(name) is None and (where or name not in _WHERE):
                wire[name] = value
    if seen.get("is_bot") or wire.get("automated") is True:
        wire["is_bot"] = True
    referrer, page = wire.get("referrer_url"), wire.get("page")
    if seen and (referrer is not None or page is not None) and wire.get("referrer_class") is None:
        wire["referrer_class"] = referrer_class(referrer, page, wire.get("utm_medium"))


def with_sent_at(record: Json, sent_at: Json) -> Json:
    """The event of a batch with the batch's `sent_at`, where it has none of its own.

    Args:
        record: one parsed event of the batch.
        sent_at: what stands beside `events`, as it came; None for none.

    Returns:
        The same object where nothing is to be added, else a copy.
    """
    if sent_at is None or not isinstance(record, dict) or record.get("sent_at") is not None:
        return record
    return {**record, "sent_at": sent_at}


def _make_writable(
    own: dict[str, Json], doubtful: Sequence[str], warnings: dict[str, str], refused: dict[str, Json]
) -> None:
    """Set to null what canonical JSON cannot say, or says at many times the length."""
    for key in doubtful:
        value = own[key]
        if type(value) is str or value is None or has_bounded_numbers(value):
            continue
        own[key] = None
        refused[key] = f"{value!r:.80}"
        warnings[key] = f"holds a number of over {MOST_DIGITS} digits, or none that JSON can say"


def _identity(value: Json) -> str | None:
    """The producer's own id; None where there is none."""
    if type(value) is str and len(value) <= 128 and value.isascii() and value.isprintable():
        return value or None
    if value is None:
        return None
    text = str(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else value
    if not isinstance(text, str) or len(text) > 128 or _CONTROL.search(text):
        raise Rejected("event_id", f"must be text of 1 to 128 characters without control characters, not {value!r:.60}")
    return text


def _event_type(wire: dict[str, Json], warnings: dict[str, str], refused: dict[str, Json]) -> str:
    said = wire.get("event_type")
    if type(said) is str and said in EVENT_TYPES:
        return said
    if said is None:
        return "click" if wire.get("item_id") is not None else "unknown"
    kind = said.strip().lower() if isinstance(said, str) else said
    if isinstance(kind, str) and _EVENT_TYPE.fullmatch(kind):
        return kind
    refused["event_type"] = said
    warnings["event_type"] = f"must be a name such as page_view or my_event, not {said!r:.60}; counted as unknown"
    return "unknown"


def _time(wire: dict[str, Json], received_ms: int) -> tuple[str, str]:
    """When it happened, and how that is known: client, corrected or received."""
    timestamp, sent_at = wire.get("timestamp"), wire.get("sent_at")
    received, quality = timestamps.from_ms(received_ms), "client"
    if timestamp is None:
        return received, "received"
    if sent_at is not None:
        error_ms = received_ms - _sent_ms(sent_at)
        if abs(error_ms) > _CLOCK_ERROR_MS:
            happened_ms, quality = timestamps.to_ms(timestamp) + error_ms, "corrected"
            timestamp = timestamps.from_ms(happened_ms) if 0 <= happened_ms <= received_ms else ""
    return (timestamp, quality) if _EPOCH <= timestamp <= received else (received, "received")


def _key(value: Json) -> Json:
    if value is None:
        return None
    text = str(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not 1 <= len(text) <= _LONGEST_KEY or _CONTROL.search(text):
        raise Rejected("", f"must be text of 1 to 256 characters without control characters, not {value!r:.60}")
    return text


def _text(value: Json) -> Json:
    if value is not None and (not isinstance(value, str) or not 1 <= len(value) <= 2048 or not is_unicode(value)):
        raise Rejected("", f"must be text of 1 to 2048 whole characters, not {value!r:.60}")
    return value


def _amount(value: Json) -> Json:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float | Decimal) or value < 0):
        raise Rejected("", f"must be a number of 0 or more, such as 12.5, not {value!r:.60}")
    return value


def _percent(value: Json) -> Json:
    if _amount(value) is not None and value > 100:
        raise Rejected("", f"must be from 0 to 100, not {value!r:.60}")
    return value


def _count(value: Json) -> Json:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_COUNT:
        raise Rejected("", f"must be a whole number from 0 to {_MOST_COUNT}, not {value!r:.60}; counted as 1")
    return value


def _anonymous_count(value: Json) -> Json:
    if _count(value) > MOST_ANONYMOUS_COUNT:
        raise Rejected("", f"over {MOST_ANONYMOUS_COUNT} is believed only of files and keyed producers; counted as 1")
    return value


def _moment(value: Json) -> Json:
    return None if value is None else timestamps.parse(value, "")


def _user_type(value: Json) -> Json:
    if value not in ("new", "returning", None):
        raise Rejected("", f"must be new or returning, not {value!r:.60}")
    return value


def _list(value: Json) -> Json:
    if value is not None and (not isinstance(value, list) or not all(isinstance(each, dict) for each in value)):
        raise Rejected("", f"must be a list of objects with item_id, price and quantity, not {value!r:.60}")
    return value


def _flag(value: Json) -> Json:
    if value is not None and not isinstance(value, bool):
        raise Rejected("", f"must be true or false, not {value!r:.60}")
    return value


def _object(value: Json) -> Json:
    if value is not None and not isinstance(value, dict):
        raise Rejected("", f"must be an object, not {value!r:.60}")
    return value


_IDS = ("user_id", "session_id", "customer_id", "browser_id", "item_id", "order_id", "recommendation_id")
_SPECIAL: dict[str, Read] = {
    "timestamp": _moment,
    "sent_at": _moment,
    "click_count": _count,
    "user_type": _user_type,
    "lines": _list,
    "properties": _object,
    "scroll_percent": _percent,
    **dict.fromkeys(("is_bot", "automated"), _flag),
    **dict.fromkeys(_IDS, _key),
    **dict.fromkeys(("price", "quantity", "search_results", "engaged_seconds", "position"), _amount),
}
_READERS: dict[str, Read] = {
    name: _SPECIAL.get(name, _text) for name in Click.model_fields if name not in ("event_id", "event_type")
}
_PLAIN = frozenset({"event_id", "event_type", *(name for name, read in _READERS.items() if read in (_key, _text))})
"""Fields in which an ordinary short text is right, or is judged apart."""
_ANONYMOUS: dict[str, Read] = {**_READERS, "click_count": _anonymous_count}
