"""What a store received since a mark: the lake takes samples and clicks by it, each once (warehouse.lake)."""

from collector.rows import Received, StoredClick, StoredSample
from collector.stores import Reader


def samples_received(reader: Reader, mark: str | None) -> Received[tuple[str, StoredSample]]:
    """`Reader.samples_after`: samples with their truck_id, stored after `mark`; all where it is None."""
    return reader.samples_after(mark)


def clicks_received(reader: Reader, mark: str | None, since_ms: int = 0) -> Received[StoredClick]:
    """`Reader.clicks_after`: events stored after `mark`, and those received at or after `since_ms` (Unix ms)."""
    return reader.clicks_after(mark, since_ms)
