"""What the queries read of a store: the `Reader` protocol, part of every `Store`."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from collector.clicks.sessions import SessionPart
from collector.completeness.ledger import StreamLedger
from collector.history import Version
from collector.rows import Counter, DeadLetter, StoredClick, StoredSample, StoredSince
from collector.stores.alert_store import AlertReader


class Reader(AlertReader, Protocol):
    """What the queries read. Safe while others write."""

    def truck_ids(self) -> list[str]:
        """The trucks that have at least one applied sample, ascending.

        Returns:
            Each truck_id once.
        """
        ...

    def latest(self, truck_id: str) -> StoredSample | None:
        """A truck's newest sample, None for an unknown truck.

        On DynamoDB samples expire: of a truck that was silent since, the one that the head or the current version kept.

        Args:
            truck_id: whose.

        Returns:
            The sample as it was stored.
        """
        ...

    def sample_at(self, truck_id: str, instant: str) -> StoredSample | None:
        """The newest retained sample of a truck that was taken at or before an instant; None where there is none.

        Args:
            truck_id: the truck.
            instant: RFC 3339 in this project's form, `…sssZ`.

        Returns:
            The sample as it was stored.
        """
        ...

    def versions(self, truck_id: str) -> Iterator[tuple[Version, StoredSample]]:
        """All versions of a truck with their opening samples, oldest first; none for an unknown truck.

        They are those of one moment: a history that is changed meanwhile is read again.

        Args:
            truck_id: whose.

        Returns:
            `(version, opening sample)` pairs, read before the first is given.
        """
        ...

    def version_count(self, truck_id: str) -> int:
        """How many versions a truck has.

        Args:
            truck_id: whose.

        Returns:
            0 for an unknown truck.
        """
        ...

    def version_at(self, truck_id: str, instant: str) -> tuple[Version, StoredSample] | None:
        """The version in force at an instant (`…sssZ`) with its opening sample; None before the first.

        Of several that start at that instant it is the last: one of zero length is never in force.

        Args:
            truck_id: whose.
            instant: RFC 3339 in this project's form, `…sssZ`.

        Returns:
            `(version, opening sample)`; its `end` is null where it is the current one.
        """
        ...

    def ledgers(self, truck_id: str) -> dict[str, StreamLedger]:
        """The completeness ledgers of a truck: stream_id → ledger, ascending; empty for an unknown truck.

        Args:
            truck_id: whose.

        Returns:
            One of each stream ever heard of.
        """
        ...

    def ledger_trucks(self) -> list[str]:
        """The trucks that have a ledger, ascending: also those of which nothing but a report or a refusal came.

        Returns:
            Each truck_id once.
        """
        ...

    def incomplete(self) -> list[tuple[str, str, StreamLedger]]:
        """`(truck_id, stream_id, ledger)` of every ledger that has a hole, ascending.

        Returns:
            None where nothing is missing.
        """
        ...

    def status(self, truck_id: str) -> str | None:
        """The last status that a truck published, canonical JSON; None where none came.

        Args:
            truck_id: whose.

        Returns:
            The text as `put_status` was given it.
        """
        ...

    def samples_between(self, truck_id: str, first: str, last: str) -> Iterator[StoredSample]:
        """A truck's retained samples from one instant to another, both included, ascending in time.

        Args:
            truck_id: whose.
            first: the first instant, `…sssZ`.
            last: the last instant, `…sssZ`.

        Returns:
            Read as they are asked for.
        """
        ...

    def version_before_samples(self, truck_id: str) -> tuple[Version, StoredSample] | None:
        """The version that was in force just before a truck's earliest retained sample, as it is stored today.

        Args:
            truck_id: whose.

        Returns:
            None where nothing is older than what is retained, or nothing is retained.
        """
        ...

    def sample_counts(self, truck_id: str) -> tuple[int, int]:
        """`(retained samples with a stream_id, different (stream_id, seq) among them)` of a truck.

        The two are equal unless two contents came under one number.

        Args:
            truck_id: whose.

        Returns:
            Both 0 for an unknown truck.
        """
        ...

    def samples(self, truck_id: str) -> Iterator[StoredSample]:
        """The retained samples of a truck in the order of history, read as they are asked for.

        Args:
            truck_id: whose.

        Returns:
            None for an unknown truck.
        """
        ...

    def samples_after(self, mark: str | None) -> StoredSince[tuple[str, StoredSample]]:
        """Samples of all trucks, each with its truck_id, that were stored after a mark; all of them where it is None.

        A store that cannot tell what came after the mark (it keeps no order of storing, another file was put in its
        place, its rows were renumbered) gives all rows again and says so in `whole`.

        Args:
            mark: of the answer before; None: from the beginning.

        Returns:
            `(truck_id, sample)` in the order of storing, and the mark to go on from.
        """
        ...

    def clicks_after(self, mark: str | None, since_ms: int) -> StoredSince[StoredClick]:
        """Events stored after a mark, as `samples_after`, and those received at or after `since_ms` (Unix ms).

        A delivery that takes the place of one already counted keeps the older one's row: only `since_ms` finds it.

        Args:
            mark: of the answer before; None: from the beginning.
            since_ms: Unix ms of receipt.

        Returns:
            The events, and the mark to go on from.
        """
        ...

    def click_counts(self) -> Iterator[tuple[Counter, int]]:
        """Each counter with its sum, ordered by minute, item and event type.

        Returns:
            Read as they are asked for; a counter whose sum is 0 may be among them.
        """
        ...

    def item_counts(self, since: str, until: str) -> Iterator[tuple[str | None, str | None, str, int, int]]:
        """`(item_id, item_name, event_type, Σ click_count, that of robots)` of whole minutes, in any order.

        Args:
            since: the first minute's beginning, `…sssZ`.
            until: the minute before which it ends.

        Returns:
            One row for each item and event type.
        """
        ...

    def minute_counts(self, since: str, until: str) -> Iterator[tuple[str, str | None, str, int, int]]:
        """`(minute, item_id, event_type, Σ click_count, that of robots)`, as `item_counts`.

        Args:
            since: the first minute's beginning, `…sssZ`.
            until: the minute before which it ends.

        Returns:
            One row for each minute, item and event type; minutes as `YYYY-MM-DDTHH:MMZ`.
        """
        ...

    def page_counts(self, since: str, until: str) -> Iterator[tuple[str | None, str, int, int]]:
        """`(page, event_type, Σ click_count, that of robots)`, as `item_counts`. DynamoDB reads the span's events.

        Args:
            since: the first minute's beginning, `…sssZ`.
            until: the minute before which it ends.

        Returns:
            One row for each page and event type.
        """
        ...

    def session_parts(self, since: str, until: str, *, numbered: bool = True) -> Iterator[SessionPart]:
        """The sessions that begin at `since` or later and before `until`, by their beginning.

        They are what collector.clicks.sessions makes of all events. DynamoDB reads the events from `since` on, or all
        that it keeps where they are to be numbered.

        Args:
            since: RFC 3339, `…sssZ`.
            until: RFC 3339, `…sssZ`.
            numbered: whether `part` must be right: how many parts a session had before takes all its events to know.

        Returns:
            Each session whole, ascending by its beginning.
        """
        ...

    def events_of_no_session(self, since: str, until: str) -> tuple[int, int]:
        """How many events name no session, and how many of these are robots'.

        Args:
            since: RFC 3339, `…sssZ`, included.
            until: RFC 3339, `…sssZ`, excluded.

        Returns:
            `(events, those of robots)`.
        """
        ...

    def identified_users(self) -> Iterator[tuple[str, str, str]]:
        """`(user_id, customer_id, when that was first said)`. DynamoDB reads every event.

        Returns:
            In any order; one user may come with several customers.
        """
        ...

    def browser_users(self) -> Iterator[tuple[str, str]]:
        """`(browser_id, user_id)`, each pair once: which users one browser was. DynamoDB reads every event.

        Returns:
            In any order.
        """
        ...

    def recountable_from(self) -> str:
        """The first minute (`YYYY-MM-DDTHH:MM…`) whose events are all retained, so that it can be recounted.

        "" where nothing expires, and nothing was dropped.

        Returns:
            A text that sorts as the minutes of counters do.
        """
        ...

    def clicks(self) -> Iterator[StoredClick]:
        """The retained events that are counted, ascending in time.

        Returns:
            Read as they are asked for on SQLite; DynamoDB reads all at once.
        """
        ...

    def clicks_of_session(self, session_id: str) -> Iterator[StoredClick]:
        """The counted events of one session, ascending in time.

        Args:
            session_id: whose.

        Returns:
            None for an unknown session.
        """
        ...

    def purchases(self) -> Iterator[StoredClick]:
        """The counted events of type purchase, ascending in time. DynamoDB reads every event.

        Returns:
            The events as they are kept.
        """
        ...

    def has_clicks(self, event_ids: Sequence[str]) -> set[str]:
        """Which of these event ids are stored and have not expired.

        Args:
            event_ids: in any order, repeated or not.

        Returns:
            Those of them that are there.
        """
        ...

    def dead_letters(self) -> Iterator[DeadLetter]:
        """All dead letters with their payloads, oldest first.

        Returns:
            Read as they are asked for on SQLite; DynamoDB reads all at once.
        """
        ...

    def dead_letter(self, id: str) -> DeadLetter | None:
        """One dead letter by its id; None where there is none.

        Args:
            id: as `dead_letters` gave it.

        Returns:
            The letter with its whole payload.
        """
        ...

    def policy(self) -> str | None:
        """The text of the track policy that the histories were made with; None in a new store.

        Returns:
            As `remember_policy` was given it.

        Raises:
            Misconfigured: the tables or the file are not there.
        """
        ...

    def close(self) -> None:
        """Give back what is held; nothing may be called after it."""
        ...
