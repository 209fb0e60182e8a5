"""Strings. Arguments of other types become Strings by the standard conversions (page: iot-sql-functions)."""

from collections.abc import Callable

from iot_rules.errors import TooMuch
from iot_rules.sql.functions.registry import function
from iot_rules.sql.scope import Scope
from iot_rules.sql.values import MAX_TEXT, UNDEFINED, Undefined, Value, plain, to_int, to_text

_SPACES = " \t"
_MAX_PAD = 1000
_MAX_ITEMS = 100_000
_TOO_LONG = f"makes a String of more than {MAX_TEXT:,} characters: select less"


def texts(values: list[Value]) -> list[str] | Undefined:
    """All arguments as Strings, or UNDEFINED if one has no String (Null, Undefined)."""
    converted = [to_text(value) for value in values]
    return UNDEFINED if UNDEFINED in converted else [text for text in converted if text is not UNDEFINED]


def _of_texts(name: str, count: int, compute: Callable[..., Value], *, latest_only: bool = False) -> None:
    def apply(values: list[Value], scope: Scope) -> Value:
        strings = texts(values)
        return UNDEFINED if strings is UNDEFINED else compute(*strings)

    apply.__doc__ = f"{name}: of {count} Strings; Null or Undefined gives Undefined. Page: iot-sql-function-{name}."
    function(name, count, count, latest_only=latest_only)(apply)


def _replace(text: str, old: str, new: str) -> Value:
    if text.count(old) * max(0, len(new) - len(old)) > MAX_TEXT:
        raise TooMuch(f"replace() {_TOO_LONG}")
    return text.replace(old, new)


_of_texts("endswith", 2, lambda text, end: text.endswith(end))
_of_texts("startswith", 2, lambda text, start: text.startswith(start))
_of_texts("indexof", 2, lambda text, part: text.find(part), latest_only=True)
_of_texts("length", 1, len, latest_only=True)
_of_texts("numbytes", 1, lambda text: len(text.encode("utf-8", "replace")), latest_only=True)
_of_texts("lower", 1, str.lower)
_of_texts("upper", 1, str.upper)
_of_texts("ltrim", 1, lambda text: text.lstrip(_SPACES))
_of_texts("rtrim", 1, lambda text: text.rstrip(_SPACES))
_of_texts("trim", 1, str.strip)
_of_texts("replace", 3, _replace)


def _padded(name: str, pad: Callable[[str, str], str]) -> None:
    def apply(values: list[Value], scope: Scope) -> Value:
        text, count = to_text(values[0]), to_int(values[1])
        if text is UNDEFINED or count is UNDEFINED:
            return UNDEFINED
        return pad(text, " " * max(0, min(_MAX_PAD, count)))

    apply.__doc__ = f"{name}(String, Int): that many spaces, 0 to 1000. Page: iot-func-{name}."
    function(name, 2, 2)(apply)


_padded("lpad", lambda text, spaces: spaces + text)
_padded("rpad", lambda text, spaces: text + spaces)


@function("substring", 2, 3)
def _substring(values: list[Value], scope: Scope) -> Value:
    """substring(String, Int[, Int]): from, 0-based, up to, not including. Page: iot-func-substring."""
    text = to_text(values[0])
    bounds = [to_int(value) for value in values[1:]]
    if text is UNDEFINED or UNDEFINED in bounds:
        return UNDEFINED
    places = [max(0, min(len(text), bound)) for bound in bounds if bound is not UNDEFINED]
    return text[places[0] : places[1]] if len(places) == 2 else text[places[0] :]


@function("chr", 1, 1)
def _chr(values: list[Value], scope: Scope) -> Value:
    """chr(Int): the ASCII character; Undefined outside 0 to 127. Page: iot-func-chr."""
    code = to_int(values[0])
    return chr(code) if code is not UNDEFINED and 0 <= code < 128 else UNDEFINED


@function("concat", 0, 10_000)
def _concat(values: list[Value], scope: Scope) -> Value:
    """concat(…): Arrays into one Array, else Strings into one String. Page: iot-sql-function-concat.

    One argument comes back as it is, a number or Boolean as its String, as the page's example has it.
    """
    if len(values) < 2:
        return _single(values)
    if any(isinstance(value, list) for value in values):
        joined: list[Value] = []
        for value in values:
            joined.extend(value if isinstance(value, list) else [] if value is UNDEFINED else [plain(value)])
        if len(joined) > _MAX_ITEMS:
            raise TooMuch(f"concat() makes an Array of more than {_MAX_ITEMS:,} items: select less")
        return scope.budget.built(joined)
    strings = texts(values)
    if strings is UNDEFINED or not any(isinstance(value, str) for value in values):
        return UNDEFINED
    if sum(map(len, strings)) > MAX_TEXT:
        raise TooMuch(f"concat() {_TOO_LONG}")
    return "".join(strings)


def _single(values: list[Value]) -> Value:
    if not values:
        return UNDEFINED
    value = values[0]
    return value if value is None or isinstance(value, list | dict) else to_text(value)
