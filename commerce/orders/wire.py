"""What a shop posts about an order, judged: required fields refuse a document, optional ones are set aside.

An order needs an order_id, a known currency and lines that can be priced. Anything else that is wrong becomes null,
is kept as it came under `refused_fields`, and is named in the receipt as a warning, so that no sale is lost.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from commerce import currencies
from commerce.orders.card_numbers import find_card_data
from contract import timestamps
from contract.codec import Json, canonical, content_hash
from contract.errors import Rejected
from contract.topics import ID

EVENT_TYPES = ("placed", "paid", "packed", "loaded", "delivered", "failed", "cancelled", "returned")
FUTURE_MS = 5 * 60_000
"""A time later than its arrival by more than this is not believed: the arrival's is taken."""

_MAX_LINES = 1000
_MAX_QUANTITY = 1_000_000
_MAX_TEXT = 2048
_MAX_DOCUMENT = 256 * 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_BOOKKEEPING = frozenset({"received_at"})


class CardData(Rejected):
    """A document that holds payment card data: its bytes must be kept nowhere."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A document that was judged.

    id: order_id or event_id. content: SHA-256 of the canonical JSON that came. text: that JSON with what was refused
    set aside, canonical. warnings: field → why it was set to null.
    """

    id: str
    content: str
    text: str
    record: dict[str, Json]
    warnings: dict[str, str] = field(default_factory=dict)


def read_order(document: Json) -> Accepted:
    """Judge the body of `POST /v1/orders`.

    Raises:
        Rejected: no object, card data, no usable order_id, currency or lines, or over 256 KB.
    """
    own = _own(document)
    order_id = identifier(own.get("order_id"), "order_id")
    record: dict[str, Json] = {**own, "order_id": order_id, "currency": _currency(own.get("currency"))}
    record["lines"] = _lines(own.get("lines"))
    warnings: dict[str, str] = {}
    for name, read in _ORDER_FIELDS.items():
        _set(record, name, read, warnings)
    _check_total(record, warnings)
    return _accepted(order_id, own, record, warnings)


def read_event(document: Json) -> Accepted:
    """Judge the body of `POST /v1/orders/{id}/events`.

    Raises:
        Rejected: no object, card data, no usable event_id or type, a `loaded` without a truck_id, or over 256 KB.
    """
    own = _own(document)
    event_id = identifier(own.get("event_id"), "event_id")
    kind = own.get("type")
    if kind not in EVENT_TYPES:
        raise Rejected("type", f"must be one of {', '.join(EVENT_TYPES)}, not {kind!r:.40}")
    warnings: dict[str, str] = {}
    record = {**own, "event_id": event_id}
    if kind == "loaded":
        record["truck_id"] = _truck_id(own.get("truck_id"))
    else:
        _set(record, "truck_id", lambda value: None if value is None else _truck_id(value), warnings)
    _set(record, "at", lambda value: None if value is None else timestamps.parse(value, "at"), warnings)
    return _accepted(event_id, own, record, warnings)


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


def effective_ms(claimed: str | None, received_ms: int) -> int:
    """The time that counts: the claimed one, or the arrival's where there is none or it lies in the future."""
    if claimed is None:
        return received_ms
    claimed_ms = timestamps.to_ms(claimed)
    return received_ms if claimed_ms > received_ms + FUTURE_MS else claimed_ms


def _own(document: Json) -> dict[str, Json]:
    if not isinstance(document, dict):
        raise Rejected("", "must be a JSON object")
    if found := find_card_data(document):
        raise CardData(found, "holds payment card data: send payment_method only; nothing of this was stored")
    return {key: value for key, value in document.items() if key not in _BOOKKEEPING}


def _accepted(id: str, own: dict[str, Json], record: dict[str, Json], warnings: dict[str, str]) -> Accepted:
    if warnings:
        record["refused_fields"] = {name: {"value": _at(own, name), "reason": why} for name, why in warnings.items()}
    text = canonical(record)
    if len(text) > _MAX_DOCUMENT:
        raise Rejected("", f"over {_MAX_DOCUMENT} bytes: leave out what is no part of the order")
    return Accepted(id, content_hash(canonical(own)), text, record, warnings)


def _set(record: dict[str, Json], name: str, read: Callable[[Json], Json], warnings: dict[str, str]) -> None:
    try:
        record[name] = read(record.get(name))
    except Rejected as error:
        record[name] = None
        warnings[error.field or name] = error.reason


def _at(document: dict[str, Json], path: str) -> Json:
    value: Json = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _currency(value: Json) -> str:
    code = value.strip().upper() if isinstance(value, str) else value
    if code not in currencies.CODES:
        raise Rejected("currency", f"must be an ISO 4217 code such as EUR, not {value!r:.40}")
    return str(code)


def _lines(value: Json) -> list[dict[str, Json]]:
    if not isinstance(value, list) or not 1 <= len(value) <= _MAX_LINES:
        raise Rejected("lines", f"must be a list of 1 to {_MAX_LINES} lines, each with item_id, price and quantity")
    return [_line(line, f"lines.{index}") for index, line in enumerate(value)]


def _line(value: Json, where: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise Rejected(where, "must be an object with item_id, price and quantity")
    quantity = value.get("quantity", 1)
    if isinstance(quantity, bool) or not isinstance(quantity, int) or not 1 <= quantity <= _MAX_QUANTITY:
        raise Rejected(f"{where}.quantity", f"must be a whole number from 1 to {_MAX_QUANTITY}, not {quantity!r:.40}")
    return {
        **value,
        "item_id": identifier(value.get("item_id"), f"{where}.item_id"),
        "quantity": quantity,
        "price": currencies.text(currencies.amount(value.get("price"), f"{where}.price")),
    }


def _truck_id(value: Json) -> str:
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise Rejected("truck_id", f"must be 1 to 64 of A-Z, a-z, 0-9, _ and -, not {value!r:.40}")
    return value


def _optional_id(name: str) -> Callable[[Json], Json]:
    return lambda value: None if value is None else identifier(value, name)


def _optional_time(name: str) -> Callable[[Json], Json]:
    return lambda value: None if value is None else timestamps.parse(value, name)


def _optional_text(name: str) -> Callable[[Json], Json]:
    def read(value: Json) -> Json:
        if value is not None and (not isinstance(value, str) or len(value) > _MAX_TEXT):
            raise Rejected(name, f"must be text of at most {_MAX_TEXT} characters, not {value!r:.40}")
        return value

    return read


def _shipping(value: Json) -> Json:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Rejected("shipping", f"must be an object with postcode, country, latitude, longitude, not {value!r:.40}")
    place = (value.get("latitude"), value.get("longitude"))
    for number, name, most in zip(place, ("latitude", "longitude"), (90, 180), strict=True):
        if number is None:
            continue
        if isinstance(number, bool) or not isinstance(number, int | float | Decimal) or not -most <= number <= most:
            raise Rejected(f"shipping.{name}", f"must be a number from -{most} to {most}, not {number!r:.40}")
    if (place[0] is None) != (place[1] is None):
        raise Rejected("shipping.latitude", "latitude and longitude go together: send both or neither")
    return value


def _check_total(record: dict[str, Any], warnings: dict[str, str]) -> None:
    """A total that is not the sum of the lines is set aside; the lines are what counts."""
    if record.get("total") is None:
        return
    try:
        claimed = currencies.amount(record["total"], "total")
    except Rejected as error:
        record["total"], warnings["total"] = None, error.reason
        return
    whole = lines_total(record["lines"])
    if claimed == whole:
        record["total"] = currencies.text(claimed)
        return
    record["total"] = None
    warnings["total"] = f"{currencies.text(claimed)} is not the sum of the lines, {currencies.text(whole)}"


def lines_total(lines: list[dict[str, Json]]) -> Decimal:
    """Σ price × quantity of judged lines, in the order's currency."""
    return sum((Decimal(line["price"]) * line["quantity"] for line in lines), Decimal(0))


_ORDER_FIELDS: dict[str, Callable[[Json], Json]] = {
    "customer_id": _optional_id("customer_id"),
    "session_id": _optional_id("session_id"),
    "payment_method": _optional_text("payment_method"),
    "promised_at": _optional_time("promised_at"),
    "placed_at": _optional_time("placed_at"),
    "shipping": _shipping,
}
