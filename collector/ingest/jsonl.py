"""Ingest of JSON Lines: read in bounded batches, each durable before the next is read."""

import gzip
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

from collector.ingest import Ingest, unpack
from contract.errors import Misconfigured
from contract.ingest_items import Item, Kind

BATCH = 2_000
_GZIP = b"\x1f\x8b"
KINDS: dict[str, Kind] = {"telemetry": "telemetry", "clicks": "click"}


def ingest_lines(
    ingest: Ingest, lines: Iterable[bytes], stream: str, *, clock_ms: Callable[[], int]
) -> Iterator[dict[str, int]]:
    """Take all lines into the store; gives `{"accepted", "duplicate", "rejected"}` after each batch, summed up.

    stream: "telemetry" or "clicks". Blank lines and a byte-order mark are skipped. A line may be a batch of records.
    """
    counts = {"accepted": 0, "duplicate": 0, "rejected": 0}
    written = (line.strip() for line in lines)
    records = (text for line in written if (text := line.removeprefix(BOM_UTF8)))
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


@contextmanager
def open_lines(path: Path) -> Iterator[BinaryIO]:
    """A file of JSON Lines, plain or gzip.

    Raises:
        Misconfigured: it is in UTF-16 or UTF-32, of which every line would be refused.
    """
    with path.open("rb") as file:
        start = file.peek(4)[:4]  # a pipe cannot be rewound
        if start.startswith((BOM_UTF16_LE, BOM_UTF16_BE, BOM_UTF32_BE)) or start[1:2] == b"\0" or start[:1] == b"\0":
            raise Misconfigured(
                f"{path} is in UTF-16 or UTF-32: convert it to UTF-8 first, such as by `iconv -t UTF-8`"
            )
        if start.startswith(_GZIP):
            with gzip.open(file) as unpacked:
                yield cast(BinaryIO, unpacked)
        else:
            yield file
