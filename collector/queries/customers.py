"""Which visits were a customer's: anonymous browsing joined by `identify`, also in hindsight.

A user (a browser) is the customer whom the newest of its events names, by (timestamp, event_id); that holds for all its
events that name nobody, earlier ones too. Two browsers that name one customer are one customer's. It is a function of
the set of events, in whatever order they come (warehouse: base.identity).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from collector.rows import StoredClick
from collector.stores import Reader
from contract.codec import parse

_OVERLAP_MS = 3_600_000


@dataclass(slots=True)
class _Stay:
    first: str
    last: str

    def reach(self, first: str, last: str) -> None:
        self.first, self.last = min(self.first, first), max(self.last, last)


@dataclass(slots=True)
class _User:
    """Sessions in which a user's events name nobody, and whom its newest event names."""

    newest: tuple[str, str, str] = ("", "", "")
    sessions: dict[str, _Stay] = field(default_factory=dict)


class Visits:
    """Kept in memory and brought up to date with each question; belongs to one thread at a time.

    What an event says is added once however often it is read, so rows may come again.
    """

    def __init__(self) -> None:
        self._mark: str | None = None
        self._read_ms = 0
        self._clear()

    def _clear(self) -> None:
        self._users: dict[str, _User] = {}
        self._named: dict[str, dict[str, _Stay]] = {}
        self._users_of: dict[str, set[str]] = {}
        self.newest = ""

    def forget(self) -> None:
        """Read everything again at the next question: the store has forgotten somebody."""
        self._mark = None

    def catch_up(self, reader: Reader | None) -> None:
        """Read the events that came since the last time."""
        if reader is None:
            return
        received = reader.clicks_after(self._mark, self._read_ms - _OVERLAP_MS)
        if received.whole:
            self._clear()
        self._add(received.rows)
        self._mark = received.mark

    def _add(self, clicks: Iterable[StoredClick]) -> None:
        for click in clicks:
            self._read_ms = max(self._read_ms, click.received_ms)
            self.newest = max(self.newest, click.timestamp)
            record = parse(click.text)
            user, customer = record.get("user_id"), record.get("customer_id")
            session = click.session_id or ""
            if customer is not None:
                _stay(self._named.setdefault(customer, {}), session, click.timestamp)
            if user is None:
                continue
            known = self._users.setdefault(user, _User())
            if customer is None:
                _stay(known.sessions, session, click.timestamp)
                continue
            said = (click.timestamp, click.event_id, customer)
            if said > known.newest:
                self._users_of.get(known.newest[2], set()).discard(user)
                known.newest = said
                self._users_of.setdefault(customer, set()).add(user)

    def of(self, customer_id: str) -> dict[str, Any] | None:
        """What is known of a customer's visits.

        Returns:
            `{users, sessions, first_seen, last_seen}`: the user_ids that turned out to be this customer, how many
            sessions, and when the first and the last event was. None for a customer of whom no event is known.
        """
        users, sessions = self._visited(customer_id)
        if not sessions:
            return None
        return {
            "users": users,
            "sessions": len([name for name in sessions if name]),
            "first_seen": min(stay.first for stay in sessions.values()),
            "last_seen": max(stay.last for stay in sessions.values()),
        }

    def newest_sessions(self, customer_id: str, most: int) -> list[str]:
        """A customer's sessions, anonymous ones that turned out to be its included.

        Args:
            customer_id: whose.
            most: at most so many.

        Returns:
            session_ids, that of the newest event last; none for a customer of whom no event is known.
        """
        sessions = self._visited(customer_id)[1]
        ranked = sorted((name for name in sessions if name), key=lambda name: (sessions[name].last, name))
        return ranked[-most:]

    def _visited(self, customer_id: str) -> tuple[list[str], dict[str, _Stay]]:
        sessions = {name: _Stay(each.first, each.last) for name, each in self._named.get(customer_id, {}).items()}
        users = sorted(self._users_of.get(customer_id, ()))
        for user in users:
            for name, stay in self._users[user].sessions.items():
                sessions.setdefault(name, _Stay(stay.first, stay.last)).reach(stay.first, stay.last)
        return users, sessions


def _stay(sessions: dict[str, _Stay], name: str, at: str) -> None:
    sessions.setdefault(name, _Stay(at, at)).reach(at, at)
