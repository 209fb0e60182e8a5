"""Ingest of JSON Lines: read in bounded batches, each durable before the next is read."""

import gc
import gzip
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from itertools import islice
from math import inf
from typing import Any, BinaryIO

from collector.ingest import Ingest, unpack
from collector.ingest.archive_lines import items_of_line
from contract.errors import Misconfigured, Rejected
from contract.ingest_items import Item, Kind

BATCH = 10_000
"""Lines that are sorted and planned at once: each truck's in one plan, whatever their order."""
_GZIP = b"\x1f\x8b"
KINDS: dict[str, Kind] = {"telemetry": "telemetry", "clicks": "click"}


class OtherEncoding(Misconfigured):
    """A file that is not in UTF-8."""


def ingest_lines(
    ingest: Ingest, lines: Iterable[bytes], stream: str, *, clock_ms: Callable[[], int]
) -> Iterator[dict[str, int]]:
    """Take all lines into the store; gives `{"accepted", "duplicate", "rejected"}` after each batch, summed up.

    stream: "telemetry" or "clicks". Blank lines and a byte-order mark are skipped. A line may be a batch of records, or
    a line of the archive on S3, which knows its own stream. Raises Rejected where the lines do, when all that came
    before is stored.
    """
    counts = {"accepted": 0, "duplicate": 0, "rejected": 0}
    written = (line.strip() for line in lines)
    records = (text for line in written if (text := line.removeprefix(BOM_UTF8)))
    fault: Rejected | None = None
    while fault is None:
        batch, fault = _batch(records)
        if not batch:
            break
        now = clock_ms()
        with _uncollected():
            items = [
                item
                for line in batch
                for own in unpack(Item(KINDS[stream], f"file:{stream}", line, now, date_by_arrival=False), most=inf)
                for item in items_of_line(own)
            ]
            for receipt in ingest.ingest(items):
                counts[receipt.status] += 1
        yield dict(counts)
    if fault:
        raise fault


def _batch(records: Iterator[bytes]) -> tuple[list[bytes], Rejected | None]:
    """The next records, and why there are no more where that is no fault of theirs."""
    batch: list[bytes] = []
    try:
        for record in islice(records, BATCH):
            batch.append(record)
    except Rejected as fault:
        return batch, fault
    return batch, None


@contextmanager
def _uncollected() -> Iterator[None]:
    """No search for cycles meanwhile: among a batch's 200,000 objects there are none, and it is a fifth of the CPU."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def lines_of(file: BufferedReader, name: str) -> Iterator[BufferedReader]:
    """What is in a file of JSON Lines, plain or gzip.

    Args:
        file: at its beginning; a pipe will do.
        name: what to call it in errors.

    Returns:
        Its lines. Of a gzip file that is cut off or damaged those before the damage.

    Raises:
        OtherEncoding: it is in UTF-16 or UTF-32, of which every line would be refused.
        Rejected: it is a damaged gzip file; raised when all that could be unpacked has been read.
    """
    start = file.peek(4)[:4]  # a pipe cannot be rewound
    if start.startswith((BOM_UTF16_LE, BOM_UTF16_BE, BOM_UTF32_BE)) or start[1:2] == b"\0" or start[:1] == b"\0":
        raise OtherEncoding(f"{name} is in UTF-16 or UTF-32: convert it to UTF-8 first, such as by `iconv -t UTF-8`")
    if not start.startswith(_GZIP):
        yield file
        return
    unpacker = _Unpacker(file)
    yield BufferedReader(unpacker)
    if unpacker.damage:
        raise Rejected(
            "",
            f"{name} is gzip and damaged or cut off ({unpacker.damage}): what could be unpacked was taken; get the file"
            " whole and ingest it again, what is known then counts as duplicate",
        )


class _Unpacker(RawIOBase):
    """A gzip file's content. At damage it ends, and `damage` says what it is, so that what came before is not lost."""

    def __init__(self, file: BinaryIO) -> None:
        self._unpacked = gzip.GzipFile(fileobj=file)
        self.damage: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.damage:
            return 0
        try:
            data = self._unpacked.read1(len(buffer))  # `readinto` reads on, and loses all when it meets the damage
        except (EOFError, OSError, zlib.error) as error:
            self.damage = error
            return 0
        buffer[: len(data)] = data
        return len(data)
