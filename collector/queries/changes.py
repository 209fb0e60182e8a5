"""What a store received since a mark: the lake takes samples and clicks by it, each once (warehouse.lake)."""

from collections.abc import Iterator
from typing import Any

from collector.rows import StoredClick, StoredSample, StoredSince
from collector.stores import Reader
from contract.codec import parse


def samples_received(reader: Reader, mark: str | None) -> StoredSince[tuple[str, StoredSample]]:
    """`Reader.samples_after`: samples with their truck_id, stored after `mark`; all where it is None.

    Args:
        reader: of the store.
        mark: of the answer before; None: from the beginning.

    Returns:
        As `Reader.samples_after`.
    """
    return reader.samples_after(mark)


def clicks_received(reader: Reader, mark: str | None, since_ms: int = 0) -> StoredSince[StoredClick]:
    """`Reader.clicks_after`: events stored after `mark`, and those received at or after `since_ms` (Unix ms).

    Args:
        reader: of the store.
        mark: of the answer before; None: from the beginning.
        since_ms: Unix ms of receipt.

    Returns:
        As `Reader.clicks_after`.
    """
    return reader.clicks_after(mark, since_ms)


def purchases(reader: Reader | None) -> Iterator[dict[str, Any]]:
    """Every counted purchase event as it is kept (docs/wire.md), ascending in time; none without a store."""
    for event in reader.purchases() if reader else ():
        yield {**parse(event.text), "event_id": event.event_id, "timestamp": event.timestamp, "is_bot": event.is_bot}
