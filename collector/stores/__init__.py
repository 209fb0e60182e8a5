"""Where samples, history, clicks and dead letters are kept: the `Store` protocol, and how one is opened.

Promises, to ingest and to the queries:

- **Atomic.** Each call happens whole or not at all; `apply` changes a truck's head, versions and ledgers in one act.
  `unit()` brackets the calls that belong together: they are durable when the block ends. If it fails, SQLite has done
  nothing of it. DynamoDB has no transactions of many calls: it may have done the first calls of the block, and the
  order of calls (samples before what is said of them, dead letters before the ledger) makes each harmless to repeat.
- **Fenced.** `apply` takes the head that the caller planned with; if another writer got there first, or what was read
  since was no snapshot, it raises `Conflict` and changes nothing, and the caller reads and plans again. Read the head
  first, then versions, then samples: whatever is seen is at least as new as the head.
- **Deaf to SCD2.** A store applies `Steps` and knows nothing of versions' meaning.
- **Idempotent puts.** A sample or an event already stored is reported as such and left as it was first stored:
  `received_ms` is never rewritten.
- **Who retries.** `Retryable` means nothing was changed and the caller keeps its input and tries again.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from collector.history import Point, Steps, Version
from collector.ledger import Stream
from contract.errors import Misconfigured, Retryable

_DYNAMODB = "dynamodb://"


class Conflict(Retryable):
    """Another writer changed this truck since its head was read."""


class StoredSample(NamedTuple):
    """A sample as kept; `text` is the producer's canonical JSON (contract.records.Sample.text)."""

    order_key: str
    key: str
    stream_id: str | None
    seq: int | None
    content: str
    received_ms: int
    by_arrival: bool
    text: str


@dataclass(frozen=True, slots=True)
class Head:
    """A truck's fence and shortcut: the highest order key applied, the current version, and a revision.

    "", None and 0 where nothing is stored yet. ledgers: those of the streams that were asked for, empty where new.
    more: the store's own business, handed back to it with the rest.
    """

    latest: str = ""
    current: Version | None = None
    rev: int = 0
    ledgers: Mapping[str, Stream] = field(default_factory=dict)
    more: object = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Change:
    """What one `apply` does to a truck: steps of history, the highest order key applied, the ledgers that changed."""

    steps: Steps = field(default_factory=Steps)
    latest: str = ""
    ledgers: Mapping[str, Stream] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counter:
    """What clicks are counted under; `minute` is the instant at which it began."""

    minute: str
    item_id: str | None
    item_name: str | None
    event_type: str


@dataclass(frozen=True, slots=True)
class StoredClick:
    """An event as kept, with the counter that it adds `count` to."""

    event_id: str
    timestamp: str
    session_id: str | None
    page: str | None
    counter: Counter
    count: int
    received_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Input that was refused: `payload` is the bytes as they came; `times` counts how often they came."""

    id: str
    received_ms: int
    source: str
    field: str
    reason: str
    payload: bytes
    times: int = 1


class Reader(Protocol):
    """What the queries read. Safe while others write."""

    def truck_ids(self) -> list[str]: ...
    def latest(self, truck_id: str) -> StoredSample | None: ...
    def versions(self, truck_id: str) -> Iterator[tuple[Version, StoredSample]]: ...
    def version_count(self, truck_id: str) -> int: ...
    def version_at(self, truck_id: str, instant: str) -> tuple[Version, StoredSample] | None: ...
    def ledgers(self, truck_id: str) -> dict[str, Stream]: ...
    def ledger_trucks(self) -> list[str]: ...
    def incomplete(self) -> list[tuple[str, str, Stream]]: ...
    def status(self, truck_id: str) -> str | None: ...
    def sample_counts(self, truck_id: str) -> tuple[int, int]: ...
    def samples(self, truck_id: str) -> Iterator[StoredSample]: ...
    def click_counts(self) -> Iterator[tuple[Counter, int]]: ...
    def recountable_from(self) -> str: ...
    def clicks(self) -> Iterator[StoredClick]: ...
    def has_clicks(self, event_ids: Sequence[str]) -> set[str]: ...
    def dead_letters(self) -> Iterator[DeadLetter]: ...
    def dead_letter(self, id: str) -> DeadLetter | None: ...
    def policy(self) -> str | None: ...
    def close(self) -> None: ...


class Store(Reader, Protocol):
    """What ingest writes to; see the module for the promises.

    chunk: samples of one truck that are put and applied at a time. most_versions: how many of them one `apply` may
    write, None for any number. too_late_ms: samples older than this when received are refused, None where all are kept.
    """

    chunk: int
    most_versions: int | None
    too_late_ms: int | None

    def unit(self) -> AbstractContextManager[None]: ...
    def remember_policy(self, text: str) -> None: ...
    def claim(self, truck_id: str, contents: Mapping[str, str]) -> dict[str, str]: ...
    def has_samples(self, truck_id: str, order_keys: Sequence[str]) -> set[str]: ...
    def put_samples(self, truck_id: str, samples: Sequence[StoredSample]) -> list[bool]: ...
    def put_keys(self, truck_id: str, keys: Mapping[str, str]) -> None: ...
    def head(self, truck_id: str, streams: Collection[str] = ()) -> Head: ...
    def version_before(self, truck_id: str, order_key: str) -> Version | None: ...
    def versions_from(self, truck_id: str, order_key: str) -> Iterator[Version]: ...
    def points_from(self, truck_id: str, order_key: str) -> Iterator[Point]: ...
    def apply(self, truck_id: str, read: Head, change: Change) -> Head: ...
    def put_status(self, truck_id: str, text: str) -> None: ...
    def put_clicks(self, clicks: Sequence[StoredClick]) -> list[bool]: ...
    def put_dead_letters(self, letters: Sequence[DeadLetter]) -> None: ...
    def remove_dead_letter(self, id: str) -> None: ...
    def replace_click_counts(self) -> None: ...


def open_store(url: str, *, make: bool = True) -> Store:
    """The store that a URL names: `sqlite:///relative.db` or `sqlite:////absolute.db`, or `dynamodb://PREFIX`: the
    tables `PREFIX-samples` … of the account or endpoint that AWS's own variables name.

    make: a file that is not there is made, else Misconfigured; tables are made by who deploys them.
    """
    if url.startswith(_DYNAMODB):
        from collector.stores.dynamodb import DynamoDbStore

        return DynamoDbStore(url.removeprefix(_DYNAMODB))
    from collector.stores.sqlite import SqliteStore

    path = _sqlite_path(url)
    if not make and not path.exists():
        raise Misconfigured(f"no store at {url}: give its --data-dir; `milepost up` or `milepost ingest` makes one")
    return SqliteStore(path)


def open_reader(url: str) -> Reader | None:
    """The store for reading only; None where there is no store yet. Changes no file."""
    if url.startswith(_DYNAMODB):
        from collector.stores.dynamodb import DynamoDbReader

        reader = DynamoDbReader(url.removeprefix(_DYNAMODB))
        return reader if reader.exists() else None
    from collector.stores.sqlite_reader import SqliteReader
    from collector.stores.sqlite_schema import NotYetMade

    path = _sqlite_path(url)
    try:
        return SqliteReader(path) if path.exists() else None
    except NotYetMade:
        return None


def _sqlite_path(url: str) -> Path:
    if not url.startswith("sqlite:///") or url == "sqlite:///":
        raise Misconfigured(f"store {url!r}: give sqlite:///path/to/milepost.db or dynamodb://PREFIX")
    return Path(url.removeprefix("sqlite:///"))
