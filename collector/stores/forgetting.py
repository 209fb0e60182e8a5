"""What any store is asked when a customer, or where a truck was, is to be forgotten; and whose an event is."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from contract import timestamps
from contract.codec import Json, parse
from contract.errors import Rejected
from contract.forgotten import Forgotten, Span
from contract.legacy_records import TIME_KEYS


@dataclass(frozen=True, slots=True)
class Person:
    """What the shop events say of a customer.

    event_ids: of the events that are its. user_ids, session_ids: those that only it has used; a browser_id counts as a
    user_id.
    """

    event_ids: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()
    session_ids: tuple[str, ...] = ()


class NamedIds(NamedTuple):
    """Who did one event, or, without event_id, what is kept of events that were dropped; timestamp: RFC 3339."""

    timestamp: str
    event_id: str | None
    user_id: str | None
    browser_id: str | None
    session_id: str | None
    customer_id: str | None


def person_of(rows: Iterable[NamedIds], customer_id: str) -> Person:
    """Find a customer's events: those that name it, and those without a name of users that turned out to be it.

    A browser that several customers signed in with is the newest one's, as in the warehouse's `identity`.

    Args:
        rows: of all events, in any order; of several stores, where they keep the same events.
        customer_id: whose.

    Returns:
        Its event ids and identifiers; empty where nothing is held.
    """
    known = sorted(set(rows), key=lambda row: (row.timestamp, row.event_id or ""))
    newest: dict[str | None, str] = {}
    for row in known:
        if row.user_id is not None and row.customer_id is not None:
            newest[row.user_id] = row.customer_id
    mine: list[NamedIds] = []
    others: list[NamedIds] = []
    for row in known:
        is_mine = row.customer_id == customer_id or (row.customer_id is None and newest.get(row.user_id) == customer_id)
        (mine if is_mine else others).append(row)

    def own(*names: str) -> tuple[str, ...]:
        used = {str(value) for row in mine for name in names if (value := getattr(row, name)) is not None}
        return tuple(sorted(used - {str(getattr(row, name)) for row in others for name in names}))

    ids = tuple(dict.fromkeys(row.event_id for row in mine if row.event_id is not None))
    return Person(ids, own("user_id", "browser_id"), own("session_id"))


def is_refused_of(span: Span, source: str, payload: bytes, received_ms: int) -> bool:
    """Whether a dead letter may say where the truck was in the span: it came then, or its record is of then.

    Args:
        span: truck and time.
        source: the letter's: its door says whose it is, or, where it vouches for nobody, the payload does.
        payload: the letter's.
        received_ms: Unix ms of its arrival.
    """
    owner = source.partition(":")[2].split("/")[1:2]
    if owner != [span.truck_id] and (owner or f'"{span.truck_id}"'.encode() not in payload):
        return False
    return any(span.begin <= time <= span.end for time in (timestamps.from_ms(received_ms), *_own_times(payload)))


def _own_times(payload: bytes) -> Iterator[str]:
    try:
        document = parse(payload)
    except Rejected:
        return
    records = document.get("records") if isinstance(document, dict) else None
    for record in records if isinstance(records, list) else [document]:
        for key in TIME_KEYS if isinstance(record, dict) else ():
            with suppress(Rejected):
                yield timestamps.parse(record.get(key), key)


class StoreForgetting(Protocol):
    """A store that forgets. Rows stay under their keys, so that a redelivery is a duplicate and every count stays."""

    def named_ids(self) -> Iterable[NamedIds]:
        """Who did each of the store's events.

        Returns:
            In any order; also what is kept of events that were dropped.
        """

    def adopt_markers(self, marks: Forgotten) -> None:
        """Add the markers that this store's writers judge by to those of the data directory.

        Args:
            marks: of the data directory.

        Raises:
            Misconfigured: they were made with another secret.
        """

    def publish_markers(self, marks: Forgotten) -> None:
        """Give the data directory's markers to this store's writers; all of them judge by these when it returns.

        Args:
            marks: of the data directory.
        """

    def forget_person(self, event_ids: Sequence[str], identifiers: Collection[str], marks: Forgotten) -> dict[str, int]:
        """Rewrite a person's events, and what else holds one of its identifiers; durable when it returns.

        Args:
            event_ids: of `person_of`; those of other stores are left out.
            identifiers: what names the person.
            marks: give pseudonyms.

        Returns:
            What was rewritten → how many.
        """

    def forget_positions(self, span: Span, marks: Forgotten) -> dict[str, int]:
        """Rewrite a truck's samples of a span without positions, and its refused records; durable when it returns.

        Args:
            span: truck and time.
            marks: of the data directory.

        Returns:
            What was rewritten → how many.
        """

    def positions_left(self, span: Span) -> int:
        """How many samples of a span still have a position.

        Args:
            span: truck and time.

        Returns:
            0 after `forget_positions`.
        """

    def events(self, event_ids: Collection[str]) -> list[dict[str, Json]]:
        """The documents of some events.

        Args:
            event_ids: which.

        Returns:
            In any order; those that are there.
        """

    def occurrences(self, identifiers: Collection[str]) -> list[dict[str, Any]]:
        """Where identifiers stand, apart from files in the data directory.

        Args:
            identifiers: each is looked for as a part of any text.

        Returns:
            `[{place, identifier, hits}]`.
        """

    def out_of_reach(self, now_ms: int) -> list[dict[str, Any]]:
        """What belongs to this store and cannot be rewritten.

        Args:
            now_ms: Unix ms.

        Returns:
            `[{place, until}]`, until: RFC 3339 or None.
        """
