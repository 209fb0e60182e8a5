"""What stays of the order of somebody who is forgotten: what was sold, when, and how far it came."""

from collections.abc import Mapping
from dataclasses import replace

from commerce.fields import Accepted
from commerce.orders.wire import effective_ms
from contract import timestamps
from contract.codec import Json, canonical
from contract.forgotten import Forgotten

_KEEPS = ("order_id", "currency", "payment_method", "placed_at", "promised_at", "total")
_LINE_KEEPS = ("item_id", "item_name", "category", "price", "quantity")
_EVENT_KEEPS = ("event_id", "type", "at", "truck_id")


def scrubbed_order(record: Mapping[str, Json], marks: Forgotten) -> dict[str, Json]:
    """A judged order without customer, session, address and whatever else was sent with it; country stays."""
    kept: dict[str, Json] = {name: record[name] for name in _KEEPS if name in record}
    kept["lines"] = [{name: line[name] for name in _LINE_KEEPS if name in line} for line in record["lines"]]
    for name in ("customer_id", "session_id"):
        kept[name] = None if record.get(name) is None else marks.pseudonym(str(record[name]))
    country = (record.get("shipping") or {}).get("country")
    kept["shipping"] = {"country": country} if country else None
    return {**kept, "forgotten": True}


def scrubbed_event(record: Mapping[str, Json]) -> dict[str, Json]:
    """A judged event of such an order."""
    return {name: record[name] for name in _EVENT_KEEPS if name in record}


def without_forgotten(accepted: Accepted, marks: Forgotten, received_ms: int) -> Accepted:
    """A posted order as it may be kept: as it is, unless it was placed before its customer was forgotten."""
    record = accepted.record
    at = timestamps.from_ms(effective_ms(record.get("placed_at"), received_ms))
    if not any(marks.is_forgotten(record.get(name), at) for name in ("customer_id", "session_id")):
        return accepted
    kept = scrubbed_order(record, marks)
    return replace(accepted, record=kept, text=canonical(kept))
