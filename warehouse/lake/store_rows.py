"""The store's rows as Arrow batches for DuckDB: what Python must decide of a row stands here, the typing does not."""

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from collector.history import Version
from collector.rows import DeadLetter, StoredClick, StoredSample
from collector.stores import Reader
from contract import legacy_records
from contract.codec import dump, parse

_BATCH = 2_048  # rows: what DuckDB takes at a time, and what stays in the processor's cache
# Half a surrogate is no Unicode, and a zero no text in PostgreSQL: DuckDB's JSON or an engine behind refuses them.
_UNTYPEABLE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")

_SAMPLE_TYPES = {"seq": pa.int64(), "received_ms": pa.int64(), "by_arrival": pa.bool_(), "estimated": pa.bool_()}
SAMPLE = pa.schema(
    [
        ("truck_id", pa.string()),
        *((name, _SAMPLE_TYPES.get(name, pa.string())) for name in StoredSample._fields),
        ("wire", pa.string()),
    ]
)
"""A StoredSample as it stands, so that no row of it is built anew."""

VERSION = pa.schema(
    [
        ("truck_id", pa.string()),
        ("order_key", pa.string()),
        ("key", pa.string()),
        ("ends", pa.string()),
        ("received_ms", pa.int64()),
        ("text", pa.string()),
        ("wire", pa.string()),
    ]
)
CLICK = pa.schema(
    [
        ("event_id", pa.string()),
        ("occurred", pa.string()),
        ("received_ms", pa.int64()),
        ("text", pa.string()),
        ("wire", pa.string()),
    ]
)
DEAD_LETTER = pa.schema(
    [
        ("id", pa.string()),
        ("received_ms", pa.int64()),
        ("source", pa.string()),
        ("field", pa.string()),
        ("reason", pa.string()),
        ("payload", pa.string()),
        ("payload_is_base64", pa.bool_()),
        ("times", pa.int64()),
    ]
)
STREAM_GAP = pa.schema(
    [
        ("truck_id", pa.string()),
        ("stream_id", pa.string()),
        ("state", pa.string()),
        ("first_seq", pa.int64()),
        ("last_seq", pa.int64()),
    ]
)


def batches(schema: pa.Schema, rows: Iterable[tuple[Any, ...]]) -> pa.RecordBatchReader:
    """A stream of rows, never whole in memory."""

    def made() -> Iterator[pa.RecordBatch]:
        part: list[tuple[Any, ...]] = []
        for row in rows:
            part.append(row)
            if len(part) == _BATCH:
                yield _batch(schema, part)
                part = []
        if part:
            yield _batch(schema, part)

    return pa.RecordBatchReader.from_batches(schema, made())


def _batch(schema: pa.Schema, rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    return pa.record_batch(
        [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)], schema=schema
    )


def samples(rows: Iterable[tuple[str, StoredSample]]) -> Iterator[tuple[Any, ...]]:
    """Rows of SAMPLE."""
    for truck_id, sample in rows:
        yield (truck_id, *sample, _wire(sample.text, legacy=sample.stream_id is None))


def versions(truck_id: str, rows: Iterable[tuple[Version, StoredSample]]) -> Iterator[tuple[Any, ...]]:
    """Rows of VERSION."""
    for version, sample in rows:
        wire = _wire(sample.text, legacy=sample.stream_id is None)
        yield truck_id, version.order_key, version.key, version.end, sample.received_ms, sample.text, wire


def clicks(rows: Iterable[StoredClick]) -> Iterator[tuple[Any, ...]]:
    """Rows of CLICK."""
    for click in rows:
        yield click.event_id, click.timestamp, click.received_ms, click.text, _wire(click.text, legacy=False)


def dead_letters(rows: Iterable[DeadLetter]) -> Iterator[tuple[Any, ...]]:
    """Rows of DEAD_LETTER."""
    for letter in rows:
        try:
            payload, encoded = letter.payload.decode("utf-8"), False
        except UnicodeDecodeError:
            payload, encoded = base64.b64encode(letter.payload).decode("ascii"), True
        texts = (letter.source, letter.field or None, letter.reason, payload)
        source, field, reason, payload_text = (text and text.replace("\0", "\\u0000") for text in texts)
        yield letter.id, letter.received_ms, source, field, reason, payload_text, encoded, letter.times


def stream_gaps(reader: Reader) -> Iterator[tuple[Any, ...]]:
    """Rows of STREAM_GAP from every ledger of the store."""
    for truck_id in reader.ledger_trucks():
        for stream_id, ledger in reader.ledgers(truck_id).items():
            states = {
                "missing": ledger.missing() - ledger.lost(),
                "lost": ledger.lost(),
                "thinned": ledger.thinned,
                "refused": ledger.dead_lettered,
            }
            for state, ranges in states.items():
                for first, last in ranges.as_lists():
                    yield truck_id, stream_id, state, first, last


def _wire(text: str, *, legacy: bool) -> str | None:
    """The document under the wire's names, as JSON that DuckDB and every engine behind it can read.

    None where that is the text as it stands, which is the rule: it is not handed over twice.
    """
    if legacy:
        return _UNTYPEABLE.sub(r"\\ufffd", dump(legacy_records.telemetry(parse(text))))
    return _UNTYPEABLE.sub(r"\\ufffd", text) if "\\u" in text else None
