"""orjson in the codec's place, wherever it is certain to say the very same; UNSURE where it is not.

The codec's own way is the definition, and stands alone where orjson is not installed (a truck). orjson reads every
number with a point as a float and every NaN it writes as null, so certainty is looked for on the way: what was parsed
must be written back byte for byte as it came, and what was written must hold no null that may have been a NaN.
"""

import re
from math import isfinite
from typing import Any, Final

import orjson

UNSURE: Final = object()
"""Take the codec's own way."""

_MOST_DEEP = 64
_EXACT_WHOLE = 1e16  # a float of more may be another integer than its text says
_SPELLED_ALIKE = 1e-4  # smaller floats the codec writes with an exponent; so it does from _EXACT_WHOLE on
_EXPONENT = re.compile(rb"(?:^|[:,\[])-?[0-9][0-9.]*e-")
_SMALL, _SMALLEST, _NULL = (re.compile(text).search for text in (rb"0\.0000", rb"e-", rb"null"))  # quicker than `in`
_WRITE = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


def parse(data: bytes) -> Any:
    """What `codec.parse` gives, or UNSURE: not compact, not exact, not shallow, or not JSON."""
    try:
        value = orjson.loads(data)
        if orjson.dumps(value) != data:
            return UNSURE
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return UNSURE
    if type(value) is dict or type(value) is list:
        return value if _made_whole(value) else UNSURE
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _EXACT_WHOLE else UNSURE
    return value


def canonical(value: Any) -> str | None:
    """What `codec.canonical` gives for a value that was parsed, or None: the codec must decide."""
    try:
        text = orjson.dumps(value, option=_WRITE)
    except orjson.JSONEncodeError:  # a Decimal, an integer of over 64 bits, half a surrogate pair
        return None
    # The codec escapes DEL and beyond ASCII, and writes 1e-05 where orjson writes 0.00001, 1e-07 where it writes 1e-7.
    if not text.isascii() or b"\x7f" in text:
        return None
    if (type(value) is dict or type(value) is list) and _spelled_alike(value):
        return text.decode("ascii")
    if _SMALL(text) or (_SMALLEST(text) and _EXPONENT.search(text)):
        return None
    if _NULL(text) and not _finite(value):
        return None
    return text.decode("ascii")


def _spelled_alike(node: dict[Any, Any] | list[Any]) -> bool:
    """Whether it is flat, and holds no number that the two write in different ways, nor one that is written as null.

    For most records and tracked keys this is quicker than to look through their text, where ids hold many an "e-".
    """
    for value in node.values() if type(node) is dict else node:
        kind = type(value)
        if kind is str or kind is int or kind is bool or value is None:
            continue
        if kind is float:
            if not _SPELLED_ALIKE <= abs(value) < _EXACT_WHOLE:
                return False
        elif value or not (kind is list or kind is dict):
            return False
    return True


def _made_whole(value: dict[Any, Any] | list[Any]) -> bool:
    """Turn 36.0 into 36 everywhere in it; False where a number is too large for that to be certain, or it is deep."""
    level = [value]
    for _ in range(_MOST_DEEP):
        inner = []
        for node in level:
            for place, each in node.items() if type(node) is dict else enumerate(node):
                kind = type(each)
                if kind is float and each.is_integer():
                    if not -_EXACT_WHOLE < each < _EXACT_WHOLE:
                        return False
                    node[place] = int(each)
                elif kind is dict or kind is list:
                    inner.append(each)
        if not inner:
            return True
        level = inner
    return False


def _finite(value: Any) -> bool:
    nodes: list[Any] = [[value]]
    for node in nodes:
        for each in node.values() if type(node) is dict else node:
            kind = type(each)
            if kind is float:
                if not isfinite(each):
                    return False
            elif kind is dict or kind is list or kind is tuple:
                nodes.append(each)
    return True
