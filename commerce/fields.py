"""Reading the fields of a document: each has a reader that returns its value or refuses it by name.

A field that is refused is set to null, kept as it came under `refused_fields`, and named as a warning.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from commerce import currencies
from commerce.card_numbers import find_card_data
from contract import timestamps
from contract.codec import UNBOUNDED, Json, canonical, content_hash, has_bounded_numbers
from contract.errors import Rejected
from contract.topics import ID

MAX_DOCUMENT = 256 * 1024
_MAX_TEXT = 2048
_MOST_UNBOUNDED = 100
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_BOOKKEEPING = frozenset({"received_at", "forgotten"})

Read = Callable[[Json], Json]
"""Takes what came, returns what is kept, raises Rejected."""


class CardData(Rejected):
    """A document that holds payment card data: its bytes must be kept nowhere."""

    def __init__(self, field: str) -> None:
        super().__init__(field, "holds payment card data: send payment_method only; nothing of this was stored")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A document that was judged.

    id: what it is about, or its event_id. content: SHA-256 of the canonical JSON that came. text: that JSON with what
    was refused set aside, canonical. record: the same, parsed. warnings: field → why it was set to null.
    """

    id: str
    content: str
    text: str
    record: dict[str, Json]
    warnings: dict[str, str] = field(default_factory=dict)


def own_fields(document: Json, warnings: dict[str, str]) -> dict[str, Json]:
    """The producer's own fields.

    Args:
        document: as it was parsed.
        warnings: is told of each number out of all bounds, which is null in what is returned: written out in full a few
            bytes of it may be a megabyte.

    Raises:
        Rejected: it is no JSON object, or has more such numbers than are worth a warning. CardData: some field holds
            card data.
    """
    refuse_card_data(document)
    if not isinstance(document, dict):
        raise Rejected("", "must be a JSON object")
    own = {key: value for key, value in document.items() if key not in _BOOKKEEPING}
    return own if has_bounded_numbers(own) else {key: _bounded(value, key, warnings) for key, value in own.items()}


def _bounded(value: Json, name: str, warnings: dict[str, str]) -> Json:
    if isinstance(value, dict):
        return {key: _bounded(inner, f"{name}.{key}", warnings) for key, inner in value.items()}
    if isinstance(value, list):
        return [_bounded(inner, f"{name}.{index}", warnings) for index, inner in enumerate(value)]
    if has_bounded_numbers(value):
        return value
    reason = f"is {UNBOUNDED}"
    if len(warnings) == _MOST_UNBOUNDED:
        raise Rejected(name, reason)
    warnings[name] = reason
    return None


def refuse_card_data(value: Json, name: str = "") -> None:
    """Let nothing pass that holds payment card data.

    Args:
        value: a parsed document, or one value.
        name: of that value.

    Raises:
        CardData: it holds some.
    """
    if found := find_card_data(value, name):
        raise CardData(found)


def read_fields(record: dict[str, Json], readers: Mapping[str, Read], warnings: dict[str, str]) -> None:
    """Read optional fields in place; what is refused becomes null and goes to `warnings`."""
    for name, read in readers.items():
        try:
            record[name] = read(record.get(name))
        except Rejected as error:
            record[name] = None
            warnings[error.field or name] = error.reason


def accepted(id: str, own: dict[str, Json], record: dict[str, Json], warnings: dict[str, str]) -> Accepted:
    """The judged document.

    Raises:
        Rejected: over MAX_DOCUMENT bytes.
    """
    if warnings:
        record["refused_fields"] = {name: {"value": _at(own, name), "reason": why} for name, why in warnings.items()}
    text = canonical(record)
    if len(text) > MAX_DOCUMENT:
        raise Rejected("", f"over {MAX_DOCUMENT} bytes: leave out what does not belong to it")
    return Accepted(id, content_hash(canonical(own)), text, record, warnings)


def identifier(value: Json, name: str) -> str:
    """An id as text: text or a whole number of 1 to 128 characters without control characters.

    Raises:
        Rejected: anything else, naming `name`.
    """
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not 1 <= len(text) <= 128 or _CONTROL.search(text):
        found = "missing" if value is None else f"{value!r:.40}"
        raise Rejected(name, f"must be text of 1 to 128 characters without control characters, not {found}")
    return text


def identifier_of_path(value: str, name: str) -> str:
    """The same, of a request's path, which no document's judgement covers.

    Raises:
        Rejected: as `identifier` does. CardData: it is a payment card's number.
    """
    refuse_card_data(value, name)
    return identifier(value, name)


def truck_id(value: Json, name: str = "truck_id") -> str:
    """A truck's name.

    Raises:
        Rejected: anything that no truck can be called.
    """
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise Rejected(name, f"must be 1 to 64 of A-Z, a-z, 0-9, _ and -, not {value!r:.40}")
    return value


def optional(read: Read) -> Read:
    """The same, but null stays null."""
    return lambda value: None if value is None else read(value)


def an_id(name: str) -> Read:
    """An optional identifier."""
    return optional(lambda value: identifier(value, name))


def a_time(name: str) -> Read:
    """An optional RFC 3339 time, in this project's form."""
    return optional(lambda value: timestamps.parse(value, name))


def a_time_or_day(name: str) -> Read:
    """An optional RFC 3339 time, in this project's form; a day, `2026-11-01`, is 00:00 UTC of it."""

    def read(value: Json) -> Json:
        is_day = isinstance(value, str) and _DAY.fullmatch(value)
        try:
            return timestamps.parse(f"{value}T00:00Z" if is_day else value, name)
        except Rejected as error:
            raise Rejected(name, f"{error.reason}, or a day such as 2026-01-31") from None

    return optional(read)


def a_text(name: str) -> Read:
    """An optional text of at most 2,048 characters."""

    def read(value: Json) -> Json:
        if not isinstance(value, str) or len(value) > _MAX_TEXT:
            raise Rejected(name, f"must be text of at most {_MAX_TEXT} characters, not {value!r:.40}")
        return value

    return optional(read)


def a_choice(name: str, choices: Sequence[str]) -> Read:
    """An optional one of some words."""

    def read(value: Json) -> Json:
        if value not in choices:
            raise Rejected(name, f"must be one of {', '.join(choices)}, not {value!r:.40}")
        return value

    return optional(read)


def a_truth(name: str) -> Read:
    """An optional true or false."""

    def read(value: Json) -> Json:
        if not isinstance(value, bool):
            raise Rejected(name, f"must be true or false, not {value!r:.40}")
        return value

    return optional(read)


def a_number(name: str, least: float, most: float, *, whole: bool = False) -> Read:
    """An optional number within bounds."""
    wanted = "a whole number" if whole else "a number"

    def read(value: Json) -> Json:
        kinds: Any = int if whole else int | float | Decimal
        if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
            raise Rejected(name, f"must be {wanted} from {least:g} to {most:g}, not {value!r:.40}")
        return value

    return optional(read)


def an_amount(name: str) -> Read:
    """An optional amount of money, as decimal text."""
    return optional(lambda value: currencies.text(currencies.amount(value, name)))


def a_currency(value: Json) -> str:
    """A currency code.

    Raises:
        Rejected: not in ISO 4217.
    """
    code = value.strip().upper() if isinstance(value, str) else None
    if code not in currencies.CODES:
        raise Rejected("currency", f"must be an ISO 4217 code such as EUR, not {value!r:.40}")
    return str(code)


def place_reader(prefix: str) -> Read:
    """An optional object whose latitude and longitude, if any, are a pair on Earth."""
    latitude = a_number(f"{prefix}.latitude", -90, 90)
    longitude = a_number(f"{prefix}.longitude", -180, 180)

    def read(value: Json) -> Json:
        if not isinstance(value, dict):
            raise Rejected(prefix, f"must be an object such as {{latitude, longitude}}, not {value!r:.40}")
        pair = latitude(value.get("latitude")), longitude(value.get("longitude"))
        if (pair[0] is None) != (pair[1] is None):
            raise Rejected(f"{prefix}.latitude", "latitude and longitude go together: send both or neither")
        return value

    return optional(read)


def _at(document: dict[str, Json], path: str) -> Json:
    value: Json = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
