"""What a damaged buffer file still says: rows that prove themselves, whatever has become of the pages around them.

`collect` reads a file that was set aside and changes nothing; `pour` writes into a new one. A sample is believed when
its checksum agrees (files of version 1 have none: then when it parses), and when it names its truck, its stream and
its number. Whether it had been sent is taken from the file where that can still be read; else it is sent again, which
costs data and nothing more.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from agent.buffer.schema import checksum, sent_seal
from agent.buffer.sqlite_pages import Value, read_what_can_be, rows
from contract.ranges import Ranges

_SAMPLE, _DRAFT, _OLD_SAMPLE = 6, 7, 2
_LOST = ("gone", "thinned")
_BESIDE = (*_LOST, "predecessors", "boots", "notes")
_CHUNK = 500

Row = tuple[Value, ...]


@dataclass(slots=True)
class Salvaged:
    """Of one stream: whole rows of samples and drafts by number, which of them were sent (number → age), and the rows
    of the small tables that could be read."""

    stream_id: str
    samples: dict[int, Row] = field(default_factory=dict)
    drafts: dict[int, Row] = field(default_factory=dict)
    sent: dict[int, int] = field(default_factory=dict)
    beside: dict[str, list[Row]] = field(default_factory=dict)

    @property
    def numbers(self) -> Ranges:
        """Every number that was found."""
        return Ranges.of_numbers((*self.samples, *self.drafts))


def collect(main: Path, log: bytes, truck_id: str, stream_id: str | None) -> Salvaged | None:
    """What can be read of a file and of its write-ahead log's bytes; None if not a single sample.

    stream_id: whose samples are wanted; None for the stream that most of them name.
    """
    chosen = collect_from(read_what_can_be(main), log, truck_id, stream_id)
    if chosen:
        _read_beside(main, chosen)
    return chosen


def collect_from(main: bytes, log: bytes, truck_id: str, stream_id: str | None) -> Salvaged | None:
    """The samples alone, of the files' bytes."""
    found: dict[str, Salvaged] = {}
    count: Counter[str] = Counter()
    for name, seq, values in _believable(rows(main, log), truck_id):
        salvaged = found.setdefault(name, Salvaged(name))
        (salvaged.drafts if len(values) == _DRAFT else salvaged.samples)[seq] = (seq, *values[1:])
        count[name] += 1
    chosen = found.get(stream_id or (count.most_common(1)[0][0] if count else ""))
    if chosen is None:
        return None
    for seq in chosen.samples:
        chosen.drafts.pop(seq, None)
    return chosen


def _believable(found: Iterator[tuple[int, list[Value]]], truck_id: str) -> Iterator[tuple[str, int, list[Value]]]:
    seen: set[tuple[int, int]] = set()
    for seq, values in found:
        if len(values) not in (_SAMPLE, _DRAFT, _OLD_SAMPLE) or not isinstance(values[1], bytes):
            continue
        key = (seq, len(values))
        if key in seen or (len(values) != _OLD_SAMPLE and values[5] != checksum(seq, values[1])):
            continue
        stream_id = _stream_of(values[1], seq, truck_id)
        if stream_id is not None:
            seen.add(key)
            yield stream_id, seq, values


def _stream_of(body: bytes, seq: int, truck_id: str) -> str | None:
    try:
        sample = json.loads(body)
        stream_id = sample["stream_id"]
        return str(stream_id) if (sample["seq"], sample["truck_id"]) == (seq, truck_id) else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _read_beside(main: Path, salvaged: Salvaged) -> None:
    """The small tables, as far as SQLite can read them, with its log if that is possible; what it cannot read is
    missed, not wrong."""
    uri = f"{main.resolve().as_uri()}?mode=ro"
    for each in (uri, f"{uri}&immutable=1"):
        try:
            connection = sqlite3.connect(each, uri=True)
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            try:
                connection.execute("SELECT count(*) FROM sent").fetchone()
                _read_tables(connection, salvaged)
                return
            finally:
                connection.close()
        except (sqlite3.Error, UnicodeDecodeError):
            continue


def _read_tables(connection: sqlite3.Connection, salvaged: Salvaged) -> None:
    for row in _read(connection, "sent"):
        seq, age = row[:2]
        if isinstance(seq, int) and isinstance(age, int) and row[2:] in ((), (sent_seal(seq, age),)):
            salvaged.sent[seq] = age
    for table in _BESIDE:
        salvaged.beside[table] = _read(connection, table)


def _read(connection: sqlite3.Connection, table: str) -> list[Row]:
    found: list[Row] = []
    with suppress(sqlite3.Error, UnicodeDecodeError):
        for row in connection.execute(f"SELECT * FROM {table}"):
            found.append(row)
    return found


def pour(salvaged: Salvaged, connection: sqlite3.Connection) -> None:
    """Into a file whose tables are there; every sample that is not known to be sent becomes pending."""
    samples = [_whole(row) for row in salvaged.samples.values()]
    for at in range(0, len(samples), _CHUNK):
        part = samples[at : at + _CHUNK]
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR IGNORE INTO samples VALUES (?, ?, ?, ?, ?, ?)", part)
            for row in part:
                seq = int(row[0])  # type: ignore[arg-type]
                if seq in salvaged.sent:
                    age = salvaged.sent[seq]
                    connection.execute("INSERT OR IGNORE INTO sent VALUES (?, ?, ?)", (seq, age, sent_seal(seq, age)))
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT OR IGNORE INTO drafts VALUES (?, ?, ?, ?, ?, ?, ?)", salvaged.drafts.values())
        for table, beside in salvaged.beside.items():
            for row in _without(salvaged.numbers, beside) if table in _LOST else beside:
                places = ", ".join("?" * len(row))
                with suppress(sqlite3.Error):  # the damage may have been in the table's definition
                    connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", row)


def _without(held: Ranges, runs: list[Row]) -> list[Row]:
    """Runs of lost numbers, as far as they can be true: what is held was not lost, whatever a damaged row says."""
    whole = [(row[0], row[1], row[2:]) for row in runs if isinstance(row[0], int) and isinstance(row[1], int)]
    wrong = Ranges.of((first, last) for first, last, _ in whole) & held
    kept: list[Row] = []
    for first, last, rest in whole:
        left = Ranges.of([(first, last)])
        kept.extend((*piece, *rest) for piece in (left - wrong if wrong else left))
    return kept


def _whole(row: Row) -> Row:
    """A row of version 1 gets what it did not have."""
    seq, body = row[0], row[1]
    assert isinstance(seq, int)
    assert isinstance(body, bytes)
    return row if len(row) == _SAMPLE else (seq, body, None, None, 0, checksum(seq, body))
