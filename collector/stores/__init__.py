"""Where samples, history, clicks and dead letters are kept: the `Store` protocol. `collector.stores.factory` opens one.

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
from typing import Protocol

from collector.completeness.ledger import StreamLedger
from collector.history import Point, Steps, Version
from collector.rows import Counter, DeadLetter, Received, StoredClick, StoredSample
from contract.errors import Retryable


class Conflict(Retryable):
    """Another writer changed this truck since its head was read."""


@dataclass(frozen=True, slots=True)
class TruckHead:
    """A truck's fence and shortcut: the highest order key applied, the current version, and a revision.

    "", None and 0 where nothing is stored yet. ledgers: those of the streams that were asked for, empty where new.
    more: the store's own business, handed back to it with the rest.
    """

    latest: str = ""
    current: Version | None = None
    rev: int = 0
    ledgers: Mapping[str, StreamLedger] = field(default_factory=dict)
    more: object = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Change:
    """What one `apply` does to a truck: steps of history, the highest order key applied, the ledgers that changed."""

    steps: Steps = field(default_factory=Steps)
    latest: str = ""
    ledgers: Mapping[str, StreamLedger] = field(default_factory=dict)


class Reader(Protocol):
    """What the queries read. Safe while others write."""

    def truck_ids(self) -> list[str]: ...
    def latest(self, truck_id: str) -> StoredSample | None: ...
    def sample_at(self, truck_id: str, instant: str) -> StoredSample | None:
        """The newest retained sample of a truck that was taken at or before an instant; None where there is none.

        Args:
            truck_id: the truck.
            instant: RFC 3339 in this project's form, `…sssZ`.
        """
        ...

    def versions(self, truck_id: str) -> Iterator[tuple[Version, StoredSample]]: ...
    def version_count(self, truck_id: str) -> int: ...
    def version_at(self, truck_id: str, instant: str) -> tuple[Version, StoredSample] | None: ...
    def ledgers(self, truck_id: str) -> dict[str, StreamLedger]: ...
    def ledger_trucks(self) -> list[str]: ...
    def incomplete(self) -> list[tuple[str, str, StreamLedger]]: ...
    def status(self, truck_id: str) -> str | None: ...
    def samples_between(self, truck_id: str, first: str, last: str) -> Iterator[StoredSample]:
        """A truck's retained samples from one instant to another, both included, ascending in time."""
        ...

    def version_before_samples(self, truck_id: str) -> tuple[Version, StoredSample] | None:
        """The version that was in force just before a truck's earliest retained sample, as it is stored today.

        Returns:
            None where nothing is older than what is retained, or nothing is retained.
        """
        ...

    def sample_counts(self, truck_id: str) -> tuple[int, int]: ...
    def samples(self, truck_id: str) -> Iterator[StoredSample]: ...
    def samples_after(self, mark: str | None) -> Received[tuple[str, StoredSample]]:
        """Samples of all trucks, each with its truck_id, that were stored after a mark; all of them where it is None.

        A store that cannot tell what came after the mark (it keeps no order of storing, another file was put in its
        place, its rows were renumbered) gives all rows again and says so in `whole`.
        """
        ...

    def clicks_after(self, mark: str | None, since_ms: int) -> Received[StoredClick]:
        """Events stored after a mark, as `samples_after`, and those received at or after `since_ms` (Unix ms).

        A delivery that takes the place of one already counted keeps the older one's row: only `since_ms` finds it.
        """
        ...

    def click_counts(self) -> Iterator[tuple[Counter, int]]: ...
    def recountable_from(self) -> str: ...
    def clicks(self) -> Iterator[StoredClick]: ...
    def clicks_of_session(self, session_id: str) -> Iterator[StoredClick]:
        """The counted events of one session, ascending in time."""
        ...

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
    def head(self, truck_id: str, streams: Collection[str] = ()) -> TruckHead: ...
    def version_before(self, truck_id: str, order_key: str) -> Version | None: ...
    def versions_from(self, truck_id: str, order_key: str) -> Iterator[Version]: ...
    def points_from(self, truck_id: str, order_key: str) -> Iterator[Point]: ...
    def apply(self, truck_id: str, read: TruckHead, change: Change) -> TruckHead: ...
    def put_status(self, truck_id: str, text: str) -> None: ...
    def put_clicks(self, clicks: Sequence[StoredClick]) -> list[bool]: ...
    def put_dead_letters(self, letters: Sequence[DeadLetter]) -> None: ...
    def remove_dead_letter(self, id: str) -> None: ...
    def replace_click_counts(self) -> None: ...
