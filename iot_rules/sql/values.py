"""The values of AWS IoT SQL and its conversions (reference page: iot-sql-data-types).

Int is `int`, Decimal is `decimal.Decimal`, Boolean is `bool`, String is `str`, Array is `list`, Object is `dict`,
Null is `None`, Undefined is `UNDEFINED`, and a payload that is not a JSON object or array is `bytes`. Conversions
return UNDEFINED where the reference's table says so; none of them raises.
"""

import enum
import json
import re
from collections.abc import Callable, Iterable
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Final

from contract import codec
from iot_rules.errors import TooMuch

Value = Any


class Undefined(enum.Enum):
    """Not a value: left out wherever JSON is written."""

    UNDEFINED = "undefined"

    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED: Final = Undefined.UNDEFINED

MAX_DIGITS = 34
MAX_EXPONENT = 999
MAX_TEXT = 1 << 20
"""Characters of a String that an operator or function makes; a longer one is TooMuch (AWS IoT takes 128 KB)."""

_TOO_WIDE = 10**MAX_DIGITS
_OUT_OF_RANGE: int = 10 ** (MAX_EXPONENT + 1)
_DECIMAL_TEXT = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE]-?[0-9]+)?")
_LONGEST_NUMBER = 4000
_TOO_DEEP = f"the JSON nests more than {codec.MAX_DEPTH} deep: flatten it, or encode(*, 'base64')"


def is_number(value: Value) -> bool:
    """Whether a value is an Int or a Decimal (a Boolean is neither)."""
    kind = type(value)
    return kind is int or kind is Decimal


def in_range(number: int | Decimal) -> bool:
    """Whether a number lies within the magnitudes of the reference (1E-999 to 9.99…E999, and 0)."""
    if isinstance(number, int):
        return -_OUT_OF_RANGE < number < _OUT_OF_RANGE
    return number.is_finite() and (not number or abs(number.adjusted()) <= MAX_EXPONENT)


def to_number(value: Value) -> int | Decimal | Undefined:
    """To Decimal: numbers as they are; a String that is wholly a number; all else Undefined.

    The table says that Null stays Null; as an operand that is a wrong type, so Undefined.
    """
    kind = type(value)
    if kind is int or kind is Decimal:
        return value if in_range(value) else UNDEFINED
    if kind is bytes:
        value = to_text(value)
        kind = type(value)
    if kind is str and len(value) <= _LONGEST_NUMBER and _DECIMAL_TEXT.fullmatch(value):
        try:
            number = Decimal(value)
        except ArithmeticError:
            return UNDEFINED
        return number if in_range(number) else UNDEFINED
    return UNDEFINED


def to_int(value: Value) -> int | Undefined:
    """To Int, rounded down, as the functions' own tables and examples have it (substring, bitand, lpad, …)."""
    number = to_number(value)
    if isinstance(number, Decimal):
        return int(number.to_integral_value(ROUND_FLOOR))
    return number


def to_boolean(value: Value) -> bool | Undefined:
    """To Boolean: Booleans, and "true" or "false" in any case; a number needs cast()."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower(), UNDEFINED)
    return UNDEFINED


def to_text(value: Value) -> str | Undefined:
    """To String: Arrays and Objects as JSON; Null and Undefined are Undefined."""
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is Decimal:
        return decimal_text(value)
    if kind is list or kind is dict:
        return codec.dump(value)
    if kind is bytes:
        try:
            return str(value, "utf-8")
        except UnicodeDecodeError:
            return UNDEFINED
    return UNDEFINED


def decimal_text(number: int | Decimal) -> str:
    """An Int in standard notation; a Decimal possibly in scientific notation, by the same rule as Java's."""
    return str(number) if isinstance(number, Decimal) or number.bit_length() < 3400 else str(Decimal(number))


def plain(value: Value) -> Value:
    """A value that can stand inside JSON: raw bytes become text, or Undefined if they are none."""
    return to_text(value) if type(value) is bytes else value


def equal(left: Value, right: Value) -> bool:
    """Equality by type and value: Int equals Decimal, Arrays in order, Objects in any order, true is not 1."""
    if is_number(left) and is_number(right):
        return bool(left == right)
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return bool(left == right)


def narrow(number: Decimal) -> int | Decimal:
    """A whole Decimal as Int, as version 2016-03-23 processes 10.0 (reference: iot-sql-data-types, note)."""
    if number == 0:
        return 0
    if 0 <= number.adjusted() < MAX_DIGITS and number == number.to_integral_value():
        return int(number)
    return number


def fit(number: int) -> int | Decimal:
    """An Int of at most 34 digits; a longer one becomes a Decimal of 34 significant digits."""
    if -_TOO_WIDE < number < _TOO_WIDE:
        return number
    return Decimal(number) if number.bit_length() < 3400 else Decimal("Infinity")


def _whole_number(text: str) -> int | Decimal:
    return int(text) if len(text) <= MAX_EXPONENT else Decimal(text)


def _narrowed(text: str) -> int | Decimal:
    if text[-1] != "0" and "e" not in text and "E" not in text:
        return Decimal(text)  # cannot be whole
    return narrow(Decimal(text))


def _refuse(text: str) -> Value:
    raise ValueError(text)


Decode = Callable[[str], Value]


def _decoders(parse_float: Decode) -> tuple[Decode, Decode]:
    """A fast decoder, and one that also takes Ints beyond Python's 4,300 digits."""
    fast = json.JSONDecoder(parse_float=parse_float, parse_constant=_refuse)
    return fast.decode, json.JSONDecoder(
        parse_float=parse_float, parse_int=_whole_number, parse_constant=_refuse
    ).decode


_EXACT = _decoders(Decimal)
_NARROW = _decoders(_narrowed)


def parse_json(text: str, *, whole_as_int: bool = False) -> Value:
    """Parse JSON with exact Decimals; UNDEFINED if it is not JSON, holds NaN, or nests over 64 deep."""
    try:
        return parse_payload(text, whole_as_int=whole_as_int)
    except TooMuch:
        return UNDEFINED


def parse_payload(text: str, *, whole_as_int: bool = False) -> Value:
    """The same, but raises TooMuch for JSON that nests over 64 deep: it is no binary payload."""
    fast, patient = _NARROW if whole_as_int else _EXACT
    try:
        try:
            value = fast(text)
        except json.JSONDecodeError:
            return UNDEFINED
        except ValueError:
            value = patient(text)
    except (ValueError, ArithmeticError):
        return UNDEFINED
    except RecursionError:
        raise TooMuch(_TOO_DEEP) from None
    shallow = text.count("[") + text.count("{") <= codec.MAX_DEPTH
    if shallow or depth(value) <= codec.MAX_DEPTH:
        return value
    raise TooMuch(_TOO_DEEP)


def from_python(value: object) -> Value:
    """A value from outside (a resolver's answer) as one of ours: floats become Decimals.

    Raises ValueError for what no JSON can say.
    """
    if isinstance(value, dict):
        return {str(key): from_python(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [from_python(below) for below in value]
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal) and not value.is_finite():
        raise ValueError("NaN and Infinity are no JSON values")
    if value is None or isinstance(value, str | bool | int | Decimal | Undefined):
        return value
    raise ValueError(f"{type(value).__name__} is no JSON value")


def depth(value: Value) -> int:
    """How many Arrays and Objects nest in each other."""
    deepest, stack = 0, [(value, 1)]
    while stack:
        node, level = stack.pop()
        if isinstance(node, dict | list):
            deepest = max(deepest, level)
            stack.extend((child, level + 1) for child in (node.values() if isinstance(node, dict) else node))
    return deepest


def weight(value: Value, limit: int) -> int:
    """About how much a value is when written out, shared parts counted each time; counting stops beyond limit."""
    total, stack = 0, [value]
    while stack and total <= limit:
        node = stack.pop()
        total += 1
        if isinstance(node, str):
            total += len(node) // 64
        elif isinstance(node, dict | list):
            stack.extend(node.values() if isinstance(node, dict) else node)
    return total


def dump(value: Value) -> bytes:
    """What an action is handed: compact JSON, raw bytes as they are, nothing for Undefined."""
    if value is UNDEFINED:
        return b""
    if isinstance(value, bytes):
        return value
    try:
        return "".join(_encode(value, 0)).encode("utf-8")
    except (ValueError, RecursionError):  # a digit that a float would lose, half a surrogate pair
        return codec.dump(value).encode("utf-8", "replace")


def _as_float(value: object) -> float:
    """A Decimal whose text is a float's too, so that the fast encoder can write it."""
    if isinstance(value, Decimal):
        number = float(value)
        if repr(number) == str(value):
            return number
    raise ValueError(value)


def _encoder() -> Callable[[Value, int], Iterable[str]]:
    """`JSONEncoder.iterencode`, which sets its C encoder up anew for every call, with one that is set up once."""
    slow = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_as_float)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return lambda value, _: slow.iterencode(value)
    text = json.encoder.encode_basestring
    encoder: Callable[[Value, int], Iterable[str]] = make(None, slow.default, text, None, ":", ",", False, False, False)
    return encoder


_encode = _encoder()
