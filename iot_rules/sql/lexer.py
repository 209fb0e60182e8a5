"""Characters to tokens, one at a time, so that a template can stop at its closing brace.

`read(text, at)` skips white space and returns the token that starts next; the last one has kind "end". AWS IoT
SQL has no comments (reference page: iot-sql-reference).
"""

from dataclasses import dataclass
from decimal import Decimal

from iot_rules.errors import SqlError
from iot_rules.sql.values import MAX_DIGITS, Value, in_range

_TWO = ("<=", ">=", "<>")
_ONE = frozenset("()[]{},.:*+-/%=<>")
DASHES = "–−"
"""Taken for minus, since the reference's own example is printed so (iot-sql-select); lint says to write -."""

_LONGEST_NUMBER = 1100
_HINTS = {
    "!": "write <> for not equal",
    "|": "write OR, or + to concatenate",
    "&": "write AND",
    "‘": "write straight quotes, '",
    "’": "write straight quotes, '",
    "“": 'write straight quotes, "',
    "”": 'write straight quotes, "',
    "`": "names cannot be quoted; use get(*, 'name') for a name that is not a word",
    "$": "names start with a letter or _; use get(*, '$name')",
    "@": "a variable is @ and a name of letters, digits and _",
}


@dataclass(frozen=True, slots=True)
class Token:
    """kind: word, number, string, variable, symbol or end; text as written; value of numbers and strings."""

    kind: str
    text: str
    position: int
    end: int
    value: Value = None


def skip_space(text: str, at: int) -> int:
    """The first position from `at` on that is not white space."""
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def read(text: str, at: int) -> Token:
    """The token that starts at or after `at`. Raises SqlError for what no token can start with."""
    at = skip_space(text, at)
    if at >= len(text):
        return Token("end", "", len(text), len(text))
    char = text[at]
    if char in "'\"":
        return _string(text, at)
    if char.isascii() and char.isdigit():
        return _number(text, at)
    if char == "_" or char.isalpha():
        end = _word_end(text, at)
        return Token("word", text[at:end], at, end)
    if char == "@" and (end := _word_end(text, at + 1)) > at + 1:
        return Token("variable", text[at + 1 : end], at, end)
    if text[at : at + 2] in _TWO:
        return Token("symbol", text[at : at + 2], at, at + 2)
    if text.startswith("--", at):
        raise SqlError("AWS IoT SQL has no comments: leave it out, or write - -x for minus minus", text, at)
    if char in DASHES:
        return Token("symbol", "-", at, at + 1)
    if char in _ONE:
        return Token("symbol", char, at, at + 1)
    raise SqlError(f"{char!r} is no part of AWS IoT SQL: {_HINTS.get(char, 'remove it')}", text, at)


def _word_end(text: str, at: int) -> int:
    while at < len(text) and (text[at] == "_" or text[at].isalnum()):
        at += 1
    return at


def _string(text: str, start: int) -> Token:
    quote, at = text[start], start + 1
    pieces: list[str] = []
    while at < len(text):
        char, after = text[at], text[at + 1 : at + 2]
        if char == quote and after != quote:
            return Token("string", text[start : at + 1], start, at + 1, "".join(pieces))
        if char == quote or (char == "\\" and after in (quote, "\\")):
            pieces.append(after)
            at += 2
        else:
            pieces.append(char)
            at += 1
    raise SqlError(f"this string has no closing {quote}", text, start)


def _digits(text: str, at: int) -> int:
    while at < len(text) and text[at].isascii() and text[at].isdigit():
        at += 1
    return at


def _number(text: str, start: int) -> Token:
    end = _digits(text, start)
    whole = True
    if text[end : end + 1] == "." and (after := _digits(text, end + 1)) > end + 1:
        end, whole = after, False
    if text[end : end + 1] in ("e", "E"):
        sign = 1 if text[end + 1 : end + 2] in ("+", "-") and text[end + 1 : end + 2] else 0
        if (after := _digits(text, end + 1 + sign)) > end + 1 + sign:
            end, whole = after, False
    if end < len(text) and (text[end] == "_" or text[end].isalnum()):
        raise SqlError("a name cannot start with a digit", text, start)
    return Token("number", text[start:end], start, end, _number_value(text, start, end, whole=whole))


def _number_value(text: str, start: int, end: int, *, whole: bool) -> int | Decimal:
    if end - start > _LONGEST_NUMBER:
        raise SqlError("this number is too long: 34 digits are kept", text, start)
    try:
        value: int | Decimal = Decimal(text[start:end])
        if whole and end - start <= MAX_DIGITS:
            value = int(text[start:end])
    except ArithmeticError:
        value = Decimal("Infinity")
    if not in_range(value):
        raise SqlError("this number is out of range (1E-999 to 9.99E999)", text, start)
    return value
