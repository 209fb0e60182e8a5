"""Ingest of JSON Lines: read in bounded batches, each durable before the next is read."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from collector.ingest import Ingest, unpack
from contract.ingest_items import Item, Kind

BATCH = 500
KINDS: dict[str, Kind] = {"telemetry": "telemetry", "clicks": "click"}


def ingest_lines(
    ingest: Ingest, lines: Iterable[bytes], stream: str, *, clock_ms: Callable[[], int]
) -> Iterator[dict[str, int]]:
    """Take all lines into the store; gives `{"accepted", "duplicate", "rejected"}` after each batch, summed up.

    stream: "telemetry" or "clicks". Blank lines are skipped. A line may be a batch of records.
    """
    counts = {"accepted": 0, "duplicate": 0, "rejected": 0}
    written = (line.strip() for line in lines)
    records = (line for line in written if line)
    while batch := list(islice(records, BATCH)):
        now = clock_ms()
        items = [
            item
            for line in batch
            for item in unpack(Item(KINDS[stream], f"file:{stream}", line, now, date_by_arrival=False))
        ]
        for receipt in ingest.ingest(items):
            counts[receipt.status] += 1
        yield dict(counts)
