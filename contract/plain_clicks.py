"""Shop events whose every field is of the plainest kind: most of them, known and written in a few microseconds.

Plain are texts of printable ASCII without quotes and backslashes and numbers that all encoders spell alike, each
within the bounds of contract.click_schema, of which the tables here are made, and a few texts of a form of their own.
Whatever else comes is for contract.click_records to judge, which also words the refusal. Without orjson nothing is
plain.
"""

import re
from typing import Any

from annotated_types import Le, MaxLen

from contract.click_schema import EVENT_TYPES, Click
from contract.codec import Json, canonical

try:
    import orjson
except ImportError:  # a truck does without
    orjson = None  # type: ignore[assignment]

_SPELLED_ALIKE = 1e-4  # smaller floats have an exponent in one spelling and none in the other; so have those beyond:
_MOST = 1e15
_MOST_COUNT = 1000  # what is believed of everybody
_TIME = len("2026-01-01T00:00:00.000Z")
_EVENT_TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_WRITE = orjson.OPT_SORT_KEYS if orjson else 0


def plain_text(own: dict[str, Json]) -> bytes | None:
    """The canonical text of an event, as its producer sent it, that is plain.

    Args:
        own: the event without `sent_at`, as contract.codec.parse gives it.

    Returns:
        Canonical JSON; None where the event must be judged field by field.
    """
    longest, most = _LONGEST.get, _MOST_OF.get
    for name, value in own.items():
        kind = type(value)
        if kind is str:
            if not 0 < len(value) <= longest(name, 0):
                return None
        elif kind is int:
            if not 0 <= value <= most(name, -1):
                return None
        elif kind is float:
            if name in _WHOLE or not _SPELLED_ALIKE <= value <= most(name, -1):
                return None
        elif name != "properties" or kind is not dict or any(type(each) is not str for each in value.values()):
            return None
    said = own.get("event_type", "")
    if not orjson or "event_id" not in own or not (said in EVENT_TYPES or _EVENT_TYPE.fullmatch(said)):
        return None
    if own.get("user_type", "new") not in ("new", "returning"):
        return None
    try:
        text: bytes = orjson.dumps(own, option=_WRITE)
    except orjson.JSONEncodeError:  # half a surrogate pair
        return None
    return text if text.isascii() and b"\\" not in text and b"\x7f" not in text else None


def written(wire: dict[str, Json]) -> str:
    """The canonical text of what is kept of a plain event.

    Args:
        wire: the event with what the door has added: texts, flags and nothing else.

    Returns:
        Canonical JSON.
    """
    try:
        text: bytes = orjson.dumps(wire, option=_WRITE)
    except orjson.JSONEncodeError:
        return canonical(wire)
    return text.decode("ascii") if text.isascii() and b"\x7f" not in text else canonical(wire)


def _bound(name: str, kind: type) -> Any:
    return next((each for each in Click.model_fields[name].metadata if isinstance(each, kind)), None)


_LONGEST = {name: bound.max_length for name in Click.model_fields if (bound := _bound(name, MaxLen))}
_LONGEST |= {"event_type": 64, "timestamp": _TIME, "user_type": len("returning")}
_WHOLE = frozenset({"click_count"})
_AMOUNTS = (name for name, field in Click.model_fields.items() if field.annotation == float | None)
_MOST_OF = {name: bound.le if (bound := _bound(name, Le)) else _MOST for name in _AMOUNTS}
_MOST_OF |= {"click_count": _MOST_COUNT}
