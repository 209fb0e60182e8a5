"""What is counted of a shop event: pure, from the event alone, so that counters can be rebuilt from events."""

from collector.rows import Counter, StoredClick
from contract.click_records import ClickEvent

_MINUTE = len("2026-01-01T00:00")


def stored(event: ClickEvent, received_ms: int, *, from_file: bool = False) -> StoredClick:
    """The event as a store keeps it, with the counter that it adds to.

    Args:
        event: as it was read.
        received_ms: Unix ms of its arrival.
        from_file: `milepost ingest` brings it.
    """
    record = event.record
    counter = Counter(
        minute=event.timestamp[:_MINUTE] + ":00.000Z",
        item_id=record.get("item_id"),
        item_name=record.get("item_name") or None,
        event_type=record["event_type"],
    )
    return StoredClick(
        event_id=event.event_id,
        timestamp=event.timestamp,
        session_id=record.get("session_id"),
        page=record.get("page"),
        counter=counter,
        count=record.get("click_count", 1),
        received_ms=received_ms,
        text=event.text,
        content=event.content,
        sent_at=event.sent_at,
        from_file=from_file,
        user_id=record.get("user_id"),
        customer_id=record.get("customer_id"),
        is_bot=record.get("is_bot") is True,
    )
