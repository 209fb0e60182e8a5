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
    said = record.get
    counter = Counter(
        event.timestamp[:_MINUTE] + ":00.000Z", said("item_id"), said("item_name") or None, record["event_type"]
    )
    return StoredClick(
        event.event_id,
        event.timestamp,
        said("session_id"),
        said("page"),
        counter,
        said("click_count", 1),
        received_ms,
        event.text,
        event.content,
        event.sent_at,
        from_file,
        said("user_id"),
        said("customer_id"),
        said("is_bot") is True,
    )
