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

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from collector.clicks.sessions import SessionPart
from collector.completeness.ledger import StreamLedger
from collector.history import Point, Steps, Version
from collector.rows import Counter, DeadLetter, Received, StoredClick, StoredSample
from collector.stores.alert_store import AlertReader, AlertStore
from contract.errors import Rejected, Retryable


class Conflict(Retryable):
    """Another writer changed this truck since its head was read."""


class Damaged(Rejected):
    """What is stored of a truck contradicts itself, and no other writer is at work: a version was deleted by hand, or
    a backup was restored in part. `milepost rebuild TRUCK` mends it from the samples."""

    def __init__(self, truck_id: str) -> None:
        super().__init__(
            "", f"the stored history of {truck_id} is damaged: run `milepost rebuild {truck_id}`, then retry this"
        )


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


class Reader(AlertReader, Protocol):
    """What the queries read. Safe while others write."""

    def truck_ids(self) -> list[str]:
        """The trucks that have at least one applied sample, ascending."""
        ...

    def latest(self, truck_id: str) -> StoredSample | None:
        """A truck's newest sample, None for an unknown truck.

        On DynamoDB samples expire: of a truck that was silent since, the one that the head or the current version kept.
        """
        ...

    def sample_at(self, truck_id: str, instant: str) -> StoredSample | None:
        """The newest retained sample of a truck that was taken at or before an instant; None where there is none.

        Args:
            truck_id: the truck.
            instant: RFC 3339 in this project's form, `…sssZ`.
        """
        ...

    def versions(self, truck_id: str) -> Iterator[tuple[Version, StoredSample]]:
        """All versions of a truck with their opening samples, oldest first; none for an unknown truck.

        They are those of one moment: a history that is changed meanwhile is read again.
        """
        ...

    def version_count(self, truck_id: str) -> int:
        """How many versions a truck has."""
        ...

    def version_at(self, truck_id: str, instant: str) -> tuple[Version, StoredSample] | None:
        """The version in force at an instant (`…sssZ`) with its opening sample; None before the first.

        Of several that start at that instant it is the last: one of zero length is never in force.
        """
        ...

    def ledgers(self, truck_id: str) -> dict[str, StreamLedger]:
        """The completeness ledgers of a truck: stream_id → ledger, ascending; empty for an unknown truck."""
        ...

    def ledger_trucks(self) -> list[str]:
        """The trucks that have a ledger, ascending: also those of which nothing but a report or a refusal came."""
        ...

    def incomplete(self) -> list[tuple[str, str, StreamLedger]]:
        """`(truck_id, stream_id, ledger)` of every ledger that has a hole, ascending."""
        ...

    def status(self, truck_id: str) -> str | None:
        """The last status that a truck published, canonical JSON; None where none came."""
        ...

    def samples_between(self, truck_id: str, first: str, last: str) -> Iterator[StoredSample]:
        """A truck's retained samples from one instant to another, both included, ascending in time."""
        ...

    def version_before_samples(self, truck_id: str) -> tuple[Version, StoredSample] | None:
        """The version that was in force just before a truck's earliest retained sample, as it is stored today.

        Returns:
            None where nothing is older than what is retained, or nothing is retained.
        """
        ...

    def sample_counts(self, truck_id: str) -> tuple[int, int]:
        """`(retained samples with a stream_id, different (stream_id, seq) among them)` of a truck.

        The two are equal unless two contents came under one number.
        """
        ...

    def samples(self, truck_id: str) -> Iterator[StoredSample]:
        """The retained samples of a truck in the order of history, read as they are asked for."""
        ...

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

    def click_counts(self) -> Iterator[tuple[Counter, int]]:
        """Each counter with its sum, ordered by minute, item and event type."""
        ...

    def item_counts(self, since: str, until: str) -> Iterator[tuple[str | None, str | None, str, int, int]]:
        """`(item_id, item_name, event_type, Σ click_count, that of robots)` of whole minutes, in any order.

        Args:
            since: the first minute's beginning, `…sssZ`.
            until: the minute before which it ends.
        """
        ...

    def minute_counts(self, since: str, until: str) -> Iterator[tuple[str, str | None, str, int, int]]:
        """`(minute, item_id, event_type, Σ click_count, that of robots)`, as `item_counts`."""
        ...

    def page_counts(self, since: str, until: str) -> Iterator[tuple[str | None, str, int, int]]:
        """`(page, event_type, Σ click_count, that of robots)`, as `item_counts`. DynamoDB reads every event."""
        ...

    def session_parts(self, since: str, until: str) -> Iterator[SessionPart]:
        """The sessions that begin at `since` or later and before `until`, by their beginning.

        They are what collector.clicks.sessions makes of all events. DynamoDB reads every event.
        """
        ...

    def events_of_no_session(self, since: str, until: str) -> tuple[int, int]:
        """How many events name no session, and how many of these are robots'. DynamoDB reads every event."""
        ...

    def identified_users(self) -> Iterator[tuple[str, str, str]]:
        """`(user_id, customer_id, when that was first said)`. DynamoDB reads every event."""
        ...

    def recountable_from(self) -> str:
        """The first minute (`YYYY-MM-DDTHH:MM`) whose events are all retained, so that it can be recounted.

        "" where nothing expires.
        """
        ...

    def clicks(self) -> Iterator[StoredClick]:
        """The retained events that are counted, ascending in time."""
        ...

    def clicks_of_session(self, session_id: str) -> Iterator[StoredClick]:
        """The counted events of one session, ascending in time."""
        ...

    def has_clicks(self, event_ids: Sequence[str]) -> set[str]:
        """Which of these event ids are stored and have not expired."""
        ...

    def dead_letters(self) -> Iterator[DeadLetter]:
        """All dead letters with their payloads, oldest first."""
        ...

    def dead_letter(self, id: str) -> DeadLetter | None:
        """One dead letter by its id; None where there is none."""
        ...

    def policy(self) -> str | None:
        """The text of the track policy that the histories were made with; None in a new store.

        Raises:
            Misconfigured: the tables or the file are not there.
        """
        ...

    def close(self) -> None:
        """Give back what is held; nothing may be called after it."""
        ...


class Store(AlertStore, Reader, Protocol):
    """What ingest writes to; see the module for the promises.

    chunk: samples of one truck that are put and applied at a time. most_versions: how many of them one `apply` may
    write, None for any number. too_late_ms: samples older than this when counted are refused, None where all are kept.
    clicks_too_old_ms: the same for shop events, but for those that `milepost ingest` brings. seconds_left: how long the
    process may still run: a store whose service says "later" raises Retryable rather than wait beyond it.
    """

    chunk: int
    most_versions: int | None
    too_late_ms: int | None
    clicks_too_old_ms: int | None
    seconds_left: Callable[[], float]

    def now_ms(self) -> int:
        """The time of counting, Unix ms: what retention goes by."""
        ...

    def unit(self) -> AbstractContextManager[None]:
        """Brackets calls that belong together: durable when the block ends.

        If the block raises, SQLite has done nothing of it; DynamoDB may have done its first calls, and each is harmless
        to repeat.

        Raises:
            Retryable: the write lock was not to be had.
        """
        ...

    def remember_policy(self, text: str) -> None:
        """Keep the text of the track policy, in place of another."""
        ...

    def claim(self, truck_id: str, contents: Mapping[str, str]) -> dict[str, str]:
        """Decide once under which order key an estimated sample is known.

        Args:
            truck_id: whose.
            contents: content hash → order key by this delivery.

        Returns:
            content hash → order key of the delivery that was claimed first; the given one where this is the first. A
            claim lasts as long as the sample.
        """
        ...

    def has_samples(self, truck_id: str, order_keys: Sequence[str]) -> set[str]:
        """Which of these order keys are stored and have not expired."""
        ...

    def put_samples(self, truck_id: str, samples: Sequence[StoredSample]) -> list[bool]:
        """Store at most `chunk` samples of one truck; what is there already is left as it is.

        Returns:
            For each sample, in order, True if it was not there; of equal ones in one call the first.

        Raises:
            Retryable: some may be stored; the same call again puts the rest.
            Rejected: one is too large for the store, for good; others may be stored.
        """
        ...

    def put_keys(self, truck_id: str, keys: Mapping[str, str]) -> None:
        """Change the tracked keys of stored samples (order key → key); one that has expired is left out."""
        ...

    def head(self, truck_id: str, streams: Collection[str] = ()) -> TruckHead:
        """The fence and shortcut of a truck, with the ledgers of the streams asked for; read it before all else.

        Returns:
            An empty head of `rev` 0 for a truck of which nothing is stored.
        """
        ...

    def version_before(self, truck_id: str, order_key: str) -> Version | None:
        """The last version that opens before an order key; None where there is none."""
        ...

    def versions_from(self, truck_id: str, order_key: str) -> Iterator[Version]:
        """The versions that open at an order key and after it, ascending, read as they are asked for."""
        ...

    def points_from(self, truck_id: str, order_key: str) -> Iterator[Point]:
        """The retained samples at an order key and after it, ascending, read as they are asked for."""
        ...

    def apply(self, truck_id: str, read: TruckHead, change: Change) -> TruckHead:
        """Change head, versions and ledgers of a truck in one act, if the head is still the one that was read.

        Args:
            truck_id: whose.
            read: from `head`, or from the `apply` before.
            change: what was planned from it.

        Returns:
            The head as it is now, its `rev` one higher.

        Raises:
            Conflict: nothing was changed. Another writer was first, what was read was no snapshot, or the change is too
                large for one act (then `most_versions` is lower): read the head and plan again.
            Retryable: nothing was changed, or all of it: take the same samples again.
        """
        ...

    def put_status(self, truck_id: str, text: str) -> None:
        """Keep a truck's last status, canonical JSON."""
        ...

    def put_clicks(self, clicks: Sequence[StoredClick]) -> list[bool]:
        """Store and count events, each id once, whatever was delivered how often.

        Of several deliveries of one id, the lowest `rank` counts: one that comes later takes the place, and the count,
        of the one before, in one act. Where identities expire, they do so 14 days after they were counted, and never
        once `milepost ingest` has brought the event.

        Returns:
            For each event, in order, True if its id was not there.

        Raises:
            Retryable: some may be stored and counted; the same call again does the rest.
        """
        ...

    def put_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Keep each letter; one whose id is there is counted in `times`, and stays as it first came."""
        ...

    def remove_dead_letter(self, id: str) -> None:
        """Forget a letter; nothing happens where there is none."""
        ...

    def replace_click_counts(self) -> None:
        """Count the retained events anew, for every minute from `recountable_from` on. Stop other writers first."""
        ...
