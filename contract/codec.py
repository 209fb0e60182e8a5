"""JSON in and out, exactly: the one place that parses, and the one that makes canonical text.

A record's identity is the SHA-256 of its canonical text, so two producers' spellings of one value (36.0, 36, 3.6e1)
must become one value, and no digit may be lost on the way. Numbers become `int` where they are whole, `float` where
a float says the same as the text, and `Decimal` in the rare case that a float would not.
"""

import hashlib
import json
import re
from collections.abc import Callable
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from math import isfinite, nan
from typing import Any

from contract.errors import Rejected

try:
    from contract import codec_orjson as swift
except ImportError:  # a truck does without
    swift = None  # type: ignore[assignment]

Json = Any
"""A parsed JSON value: dict, list, str, int, float, Decimal, bool or None."""

MAX_DEPTH = 64
MOST_DIGITS = 40
UNBOUNDED = f"NaN, Infinity or a number of over {MOST_DIGITS} digits: send null or text there"
"""What `unbounded_number` finds, and the remedy."""
_TOO_MANY_DIGITS = 10**MOST_DIGITS
_EXACT_FLOAT_TEXT = 16  # any decimal text of up to 15 digits (and a point) survives float and back
_MAX_EXPONENT = 400  # beyond it ten bytes of text would make a number that takes gigabytes to reckon with
_EVERY_DIGIT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


def _number(text: str) -> int | float | Decimal:
    value = float(text)
    if len(text) <= _EXACT_FLOAT_TEXT and "e" not in text and "E" not in text:
        return int(value) if value.is_integer() else value
    try:
        exact = Decimal(text)
    except InvalidOperation:  # an exponent of over 18 digits
        return nan
    if not exact:
        return 0
    if abs(exact.adjusted()) > _MAX_EXPONENT:
        return nan
    if exact == exact.to_integral_value():
        return int(exact)
    if abs(value) != float("inf") and Decimal(repr(value)) == exact:
        return value
    return exact.normalize(_EVERY_DIGIT)


def _whole_number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:  # of over 4,300 digits (sys.int_info)
        return nan


_decode = json.JSONDecoder(parse_float=_number).decode
_decode_long = json.JSONDecoder(parse_float=_number, parse_int=_whole_number).decode


def parse(data: bytes | str) -> Json:
    """Parse one JSON document; numbers as the module says.

    Args:
        data: JSON text, or its UTF-8 bytes.

    Returns:
        The value. NaN and Infinity come through as floats, and so does, as NaN, a number beyond 1e±400 that has an
        exponent, a point or over 4,300 digits: one bad record of a batch can be named and the rest kept, since the
        models and `canonical` refuse them.

    Raises:
        Rejected: what else is not JSON (RFC 8259), not UTF-8, or nests over 64 deep.
    """
    if swift and isinstance(data, bytes) and (value := swift.parse(data)) is not swift.UNSURE:
        return value
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Rejected("", f"not UTF-8 at byte {error.start}: send JSON in UTF-8") from None
    try:
        value = _decoded(text)
    except json.JSONDecodeError as error:
        raise Rejected("", f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Rejected("", f"nested more than {MAX_DEPTH} deep") from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise Rejected("", f"nested more than {MAX_DEPTH} deep")
    return value


def _decoded(text: str) -> Json:
    try:
        return _decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an int of over 4,300 digits
        return _decode_long(text)


def _depth(value: Json) -> int:
    deepest, stack = 0, [(value, 1)]
    while stack:
        node, depth = stack.pop()
        deepest = max(deepest, depth)
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        stack.extend((child, depth + 1) for child in children if isinstance(child, dict | list))
    return deepest


def _encoder(*, sort_keys: bool) -> Callable[[Json], str]:
    """`JSONEncoder.encode`, which sets its C encoder up anew for every call, with one that is set up once."""
    slow = json.JSONEncoder(sort_keys=sort_keys, separators=(",", ":"), allow_nan=False)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return slow.encode
    pieces = make(None, slow.default, json.encoder.encode_basestring_ascii, None, ":", ",", sort_keys, False, False)
    return lambda value: "".join(pieces(value, 0))


_encode = _encoder(sort_keys=True)
_encode_plain = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_HALF_PAIR = re.compile("[\ud800-\udfff]")


def canonical(value: Json) -> str:
    """The one ASCII text of a parsed value.

    Args:
        value: as `parse` gives it.

    Returns:
        Keys sorted, no spaces, numbers in shortest form (36, never 36.0), beyond ASCII as escapes: equal values have
        equal texts.

    Raises:
        Rejected: the value holds NaN or Infinity, which JSON cannot say.
    """
    if swift and (text := swift.canonical(value)) is not None:
        return text
    try:
        return _write(value, _encode, sort=True)
    except ValueError:
        raise Rejected("", "NaN, Infinity or a number beyond 1e±400: send null where there is no value") from None


def dump(value: Json) -> str:
    """Compact JSON text for others to read.

    Args:
        value: as `parse` gives it; Decimals are written as numbers.

    Returns:
        Text with keys in the order given. Half a surrogate pair, which UTF-8 cannot say, is written as its escape.

    Raises:
        ValueError: it holds NaN or Infinity.
    """
    text = _write(value, _encode_plain, sort=False)
    return text if text.isascii() else _HALF_PAIR.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can say a text.

    Args:
        text: any.

    Returns:
        False where it holds half a surrogate pair.
    """
    return text.isascii() or not _HALF_PAIR.search(text)


def _write(value: Json, encode: Callable[[Json], str], *, sort: bool) -> str:
    try:
        return encode(value)
    except TypeError:  # the encoder knows no Decimal
        if isinstance(value, Decimal):
            return str(value)
        if isinstance(value, dict):
            items = sorted(value.items()) if sort else value.items()
            return "{" + ",".join(f"{encode(key)}:{_write(item, encode, sort=sort)}" for key, item in items) + "}"
        if isinstance(value, list):
            return "[" + ",".join(_write(item, encode, sort=sort) for item in value) + "]"
        raise


def has_bounded_numbers(value: Json) -> bool:
    """Whether `unbounded_number` finds none in it.

    Args:
        value: as `parse` gives it.

    Returns:
        True where every number is finite and has a canonical text of at most 40 characters.
    """
    return unbounded_number(value) is None


def unbounded_number(value: Json) -> list[str] | None:
    """The keys to the first number that is not finite, or whose canonical text is of over 40 characters.

    A whole number is written out in full: `1e400`, five characters, would be 401, and a megabyte of them 68.

    Args:
        value: as `parse` gives it.

    Returns:
        The keys to it and the places in lists, the innermost first; none for `value` itself. None where every number
        is bounded.
    """
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if (way := unbounded_number(inner)) is not None:
                way.append(str(key))
                return way
        return None
    if isinstance(value, float):
        bounded = isfinite(value)
    elif isinstance(value, int):
        bounded = -_TOO_MANY_DIGITS < value < _TOO_MANY_DIGITS
    else:
        bounded = not isinstance(value, Decimal) or len(str(value)) <= MOST_DIGITS
    return None if bounded else []


def refuse_unbounded_numbers(value: Json) -> None:
    """Let nothing pass in which `unbounded_number` finds one.

    Args:
        value: as `parse` gives it.

    Raises:
        Rejected: naming the number's field.
    """
    if (way := unbounded_number(value)) is not None:
        raise Rejected(".".join(reversed(way)), f"holds {UNBOUNDED}")


def content_hash(canonical_text: str) -> str:
    """The identity of a record's content.

    Args:
        canonical_text: of `canonical`.

    Returns:
        SHA-256, 64 hexadecimal digits.
    """
    return hashlib.sha256(canonical_text.encode("ascii")).hexdigest()


_skim = json.JSONDecoder(parse_float=len, parse_int=len).raw_decode  # to where a value ends, at no number's cost
_SPACE = re.compile(r"[ \t\r\n]*")


def elements(text: str, key: str) -> list[str]:
    """The source text of each element of an array, for dead letters of one record in a batch.

    Args:
        text: a JSON object that has already parsed.
        key: of the array, at the top level of the object.

    Returns:
        The elements in order, exactly as they came; empty where the object has no such array.
    """
    skip: Callable[[int], int] = lambda at: _SPACE.match(text, at).end()  # type: ignore[union-attr]  # noqa: E731
    found: list[str] = []
    at = skip(skip(0) + 1)
    while text[at] != "}":
        name, at = _skim(text, at)
        at = skip(skip(at) + 1)
        if name == key and text[at] == "[":
            found, at = _array(text, at, skip)
        else:
            _, at = _skim(text, at)
        at = skip(at)
        at = skip(at + 1) if text[at] == "," else at
    return found


def _array(text: str, at: int, skip: Callable[[int], int]) -> tuple[list[str], int]:
    found: list[str] = []
    at = skip(at + 1)
    while text[at] != "]":
        _, end = _skim(text, at)
        found.append(text[at:end])
        at = skip(end)
        at = skip(at + 1) if text[at] == "," else at
    return found, at + 1
