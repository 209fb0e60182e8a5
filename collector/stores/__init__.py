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
- **Idempotent puts.** A sample or an event already stored is reported as such and left as it was first stored. Only
  `received_ms` of a sample may change: of several deliveries it is the smallest, whichever was committed first.
- **Who retries.** `Retryable` means nothing was changed and the caller keeps its input and tries again.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, Protocol

from collector.completeness.ledger import StreamLedger
from collector.history import Point, Steps, Version
from collector.rows import DeadLetter, StoredClick, StoredSample
from collector.stores.alert_store import AlertStore
from collector.stores.reader import Reader
from contract.errors import Rejected, Retryable

__all__ = ["Change", "Conflict", "Reader", "Store", "TruckDamaged", "TruckHead"]


class Conflict(Retryable):
    """Another writer changed this truck since its head was read."""


class TruckDamaged(Rejected):
    """What is stored of a truck contradicts itself, and no other writer is at work: a version was deleted by hand, or
    a backup was restored in part. `milepost rebuild TRUCK` mends it from the samples."""

    def __init__(self, truck_id: str) -> None:
        super().__init__(
            "", f"the stored history of {truck_id} is damaged: run `milepost rebuild {truck_id}`, then retry this"
        )


# Nobody changes one, but it is not frozen: each truck's part of a batch makes two, which then take three times as long.
@dataclass(slots=True)
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


class Change(NamedTuple):
    """What one `apply` does to a truck: steps of history, the highest order key applied, the ledgers that changed."""

    steps: Steps = Steps()
    latest: str = ""
    ledgers: Mapping[str, StreamLedger] = MappingProxyType({})


class Store(AlertStore, Reader, Protocol):
    """What ingest writes to; see the module for the promises.

    chunk: samples of one truck that are put and applied at a time. most_versions: how many of them one `apply` may
    write, None for any number. too_late_ms: samples older than this when counted are refused, None where all are kept.
    read_on: so many stored samples are read sooner than the place of another one is looked up.
    clicks_too_old_ms: the same for shop events, but for those that `milepost ingest` brings. seconds_left: how long the
    process may still run: a store whose service says "later" raises Retryable rather than wait beyond it.
    """

    chunk: int
    read_on: int
    most_versions: int | None
    too_late_ms: int | None
    clicks_too_old_ms: int | None
    seconds_left: Callable[[], float]

    def now_ms(self) -> int:
        """The time of counting, Unix ms: what retention goes by.

        Returns:
            Unix ms by the store's own clock.
        """
        ...

    def unit(self) -> AbstractContextManager[None]:
        """Brackets calls that belong together: durable when the block ends.

        If the block raises, SQLite has done nothing of it; DynamoDB may have done its first calls, and each is harmless
        to repeat.

        Returns:
            A context; contexts are not nested.

        Raises:
            Retryable: the write lock was not to be had.
        """
        ...

    def remember_policy(self, text: str) -> None:
        """Keep the text of the track policy, in place of another.

        Args:
            text: canonical, as `TrackingPolicy.text`.
        """
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
        """Which of these order keys are stored and have not expired.

        Args:
            truck_id: whose.
            order_keys: in any order, repeated or not.

        Returns:
            Those of them that are there.
        """
        ...

    def put_samples(self, truck_id: str, samples: Sequence[StoredSample]) -> list[bool]:
        """Store at most `chunk` samples of one truck; what is there already is left as it is.

        One that is there with a later `received_ms` gets the earlier one, with all copies of it, by the next `apply` of
        this truck at the latest.

        Args:
            truck_id: whose.
            samples: in any order; a repeated one counts once.

        Returns:
            For each sample, in order, True if it was not there; of equal ones in one call the first.

        Raises:
            Retryable: some may be stored; the same call again puts the rest.
            Rejected: one is too large for the store, for good; others may be stored.
        """
        ...

    def put_keys(self, truck_id: str, keys: Mapping[str, str]) -> None:
        """Change the tracked keys of stored samples (order key → key); one that has expired is left out.

        Args:
            truck_id: whose.
            keys: order key of a stored sample → its tracked key from now on.
        """
        ...

    def head(self, truck_id: str, streams: Collection[str] = ()) -> TruckHead:
        """The fence and shortcut of a truck, with the ledgers of the streams asked for; read it before all else.

        Args:
            truck_id: whose.
            streams: stream_ids whose ledgers are wanted.

        Returns:
            An empty head of `rev` 0 for a truck of which nothing is stored.
        """
        ...

    def version_before(self, truck_id: str, order_key: str) -> Version | None:
        """The last version that opens before an order key; None where there is none.

        Its `end` may be None where the store does not keep it: who needs it reads on by `versions_from`.

        Args:
            truck_id: whose.
            order_key: excluded.

        Returns:
            A version that may be half of a change of another's: `apply` refuses a plan made from it.
        """
        ...

    def versions_from(self, truck_id: str, order_key: str) -> Iterator[Version]:
        """The versions that open at an order key and after it, ascending, read as they are asked for.

        Args:
            truck_id: whose.
            order_key: included.

        Returns:
            As `version_before` says.
        """
        ...

    def points_from(self, truck_id: str, order_key: str) -> Iterator[Point]:
        """The retained samples at an order key and after it, ascending, read as they are asked for.

        Args:
            truck_id: whose.
            order_key: included.

        Returns:
            Order key and tracked key of each.
        """
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
        """Keep a truck's last status, canonical JSON.

        Args:
            truck_id: whose.
            text: replaces the one before.
        """
        ...

    def put_clicks(self, clicks: Sequence[StoredClick]) -> list[bool]:
        """Store and count events, each id once, whatever was delivered how often.

        Of several deliveries of one id, the lowest `rank` counts: one that comes later takes the place, and the count,
        of the one before, in one act. Where identities expire, they do so 14 days after they were counted, and never
        once `milepost ingest` has brought the event.

        Args:
            clicks: in any order; one id may come several times.

        Returns:
            For each event, in order, True if its id was not there.

        Raises:
            Retryable: some may be stored and counted; the same call again does the rest.
        """
        ...

    def clicks_kept_from(self) -> str:
        """The instant `…:00.000Z` before which events were dropped by `drop_clicks`; "" where none were.

        Ingest refuses an event of an earlier time, also one from a file: it may have been counted.

        Returns:
            A text that sorts as events' times do.
        """
        ...

    def drop_clicks(self, before: str, at_most: int) -> int:
        """Remove some of the counted events from before an instant; what is counted of them stays.

        Counters, sessions, funnel, and who was identified as whom stay as they were. A session part keeps all of its
        events until nothing that is still taken could prolong it. On DynamoDB events expire by themselves.

        Args:
            before: the beginning of a minute, `…:00.000Z`; the latest one ever given counts.
            at_most: how many events go in this call, which is one act.

        Returns:
            How much was done; 0 when nothing is left to do.

        Raises:
            Retryable: the write lock was not to be had.
        """
        ...

    def put_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Keep each letter; one whose id is there is counted in `times`, and stays as it first came.

        Args:
            letters: one id may come several times.
        """
        ...

    def remove_dead_letter(self, id: str) -> None:
        """Forget a letter; nothing happens where there is none.

        Args:
            id: as `dead_letters` gave it.
        """
        ...

    def replace_click_counts(self) -> None:
        """Count the retained events anew, for every minute from `recountable_from` on. Stop other writers first."""
        ...
