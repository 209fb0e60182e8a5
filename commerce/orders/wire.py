"""What a shop posts about an order, judged: required fields refuse a document, optional ones are set aside.

An order needs an order_id, a known currency and lines that can be priced. Anything else that is wrong becomes null,
is kept as it came under `refused_fields`, and is named in the receipt as a warning, so that no sale is lost.
"""

from decimal import Decimal
from typing import Any

from commerce import currencies
from commerce.fields import (
    Accepted,
    a_currency,
    a_text,
    a_time,
    accepted,
    an_id,
    identifier,
    optional,
    own_fields,
    place_reader,
    read_fields,
    truck_id,
)
from contract import timestamps
from contract.codec import Json
from contract.errors import Rejected

EVENT_TYPES = ("placed", "paid", "packed", "loaded", "delivered", "failed", "cancelled", "returned")
FUTURE_MS = 5 * 60_000
"""A time later than its arrival by more than this is not believed: the arrival's is taken."""

_MAX_LINES = 1000
_MAX_QUANTITY = 1_000_000
_ORDER_FIELDS = {
    "customer_id": an_id("customer_id"),
    "session_id": an_id("session_id"),
    "payment_method": a_text("payment_method"),
    "promised_at": a_time("promised_at"),
    "placed_at": a_time("placed_at"),
    "shipping": place_reader("shipping"),
}
_EVENT_FIELDS = {"at": a_time("at"), "truck_id": optional(truck_id)}


def read_order(document: Json) -> Accepted:
    """Judge the body of `POST /v1/orders`.

    Raises:
        Rejected: no object, card data, no usable order_id, currency or lines, or over 256 KB.
    """
    warnings: dict[str, str] = {}
    own = own_fields(document, warnings)
    order_id = identifier(own.get("order_id"), "order_id")
    record: dict[str, Json] = {**own, "order_id": order_id, "currency": a_currency(own.get("currency"))}
    record["lines"] = _lines(own.get("lines"))
    read_fields(record, _ORDER_FIELDS, warnings)
    _check_total(record, warnings)
    return accepted(order_id, own, record, warnings)


def read_event(document: Json) -> Accepted:
    """Judge the body of `POST /v1/orders/{id}/events`.

    Raises:
        Rejected: no object, card data, no usable event_id or type, a `loaded` without a truck_id, or over 256 KB.
    """
    warnings: dict[str, str] = {}
    own = own_fields(document, warnings)
    event_id = identifier(own.get("event_id"), "event_id")
    kind = own.get("type")
    if kind not in EVENT_TYPES:
        raise Rejected("type", f"must be one of {', '.join(EVENT_TYPES)}, not {kind!r:.40}")
    if kind == "loaded":
        truck_id(own.get("truck_id"))
    record = {**own, "event_id": event_id}
    read_fields(record, _EVENT_FIELDS, warnings)
    return accepted(event_id, own, record, warnings)


def effective_ms(claimed: str | None, received_ms: int) -> int:
    """The time that counts: the claimed one, or the arrival's where there is none or it lies in the future."""
    if claimed is None:
        return received_ms
    claimed_ms = timestamps.to_ms(claimed)
    return received_ms if claimed_ms > received_ms + FUTURE_MS else claimed_ms


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
