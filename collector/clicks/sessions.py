"""Sessions and the funnel, from events alone: pure, and the same in whatever order the events came.

30 minutes of silence end a session, whatever the browser says: the first part keeps the session's id, later parts are
`ID.2`, `ID.3` in time order. The funnel's steps count in time order within a session: a purchase without a view before
it is no view. Events of no session are counted apart, never dropped.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from collector.rows import StoredClick
from contract import timestamps
from contract.codec import parse

FUNNEL = ("page_view", "view", "add_to_cart", "purchase")
UNATTRIBUTED = "unattributed"
SILENCE_MS = 30 * 60_000
_PLACE = {step: place for place, step in enumerate(FUNNEL)}


@dataclass(slots=True)
class SessionPart:
    """A session, or a part of one that was interrupted.

    part: 1, 2, … in time order. first, last: times of its events. count: Σ click_count. purchases: different order_ids.
    depth: how many of the funnel's steps it took, one after the other in time. user_id: the first one named.
    customer_id: the last one named. is_bot: whether any event is a robot's.
    """

    session_id: str
    part: int
    first: str
    last: str
    events: int = 0
    count: int = 0
    purchases: int = 0
    depth: int = 0
    user_id: str | None = None
    customer_id: str | None = None
    is_bot: bool = False
    _orders: set[str] = field(default_factory=set, compare=False, repr=False)

    @property
    def name(self) -> str:
        """`ID`, `ID.2`, `ID.3`."""
        return self.session_id if self.part == 1 else f"{self.session_id}.{self.part}"

    def add(self, event: StoredClick) -> None:
        """Prolong it by an event that comes after all of its own."""
        kind = event.counter.event_type
        self.last = event.timestamp
        self.events += 1
        self.count += event.count
        if self.depth < len(FUNNEL) and kind == FUNNEL[self.depth]:
            self.depth += 1
        if kind == "purchase":
            order = str(parse(event.text).get("order_id") or event.event_id)
            self.purchases += order not in self._orders
            self._orders.add(order)
        self.user_id = self.user_id or event.user_id
        self.customer_id = event.customer_id or self.customer_id
        self.is_bot = self.is_bot or event.is_bot


def parts_of_session(
    session_id: str, events: Iterable[StoredClick], before: SessionPart | None = None, *, after: int = 0
) -> list[SessionPart]:
    """The parts of one session, in time order.

    Args:
        session_id: whose.
        events: in any order.
        before: a part that all of these events come after; the first of them may prolong it, and changes it then. Its
            order_ids are not known, so where it has purchases these events must have none (`prolongs`).
        after: the number of the last part whose events are not at hand; all of these events come later than its
            silence.
    """
    parts = [before] if before else []
    for event in sorted(events, key=_in_order):
        if not parts or _silence(parts[-1].last, event.timestamp) > SILENCE_MS:
            parts.append(
                SessionPart(session_id, parts[-1].part + 1 if parts else after + 1, event.timestamp, event.timestamp)
            )
        parts[-1].add(event)
    return parts


def prolongs(before: SessionPart, events: Iterable[StoredClick]) -> bool:
    """Whether events can be added to a session's last part without reading the ones before."""
    return all(
        (event.timestamp > before.last or (event.timestamp == before.last and _changes_nothing(before, event)))
        and not (before.purchases and event.counter.event_type == "purchase")
        for event in events
    )


def _changes_nothing(before: SessionPart, event: StoredClick) -> bool:
    """Whether it is all one where an event stands among those of its own millisecond."""
    return (
        _PLACE.get(event.counter.event_type, -1) < before.depth
        and (before.user_id is None or event.user_id in (None, before.user_id))
        and (before.customer_id is None or event.customer_id in (None, before.customer_id))
    )


def sessions(events: Iterable[StoredClick]) -> list[SessionPart]:
    """The sessions of events in any order, by their first event; without events of no session."""
    by_id: dict[str, list[StoredClick]] = {}
    for event in events:
        if event.session_id is not None:
            by_id.setdefault(event.session_id, []).append(event)
    found = [part for session_id, mine in by_id.items() for part in parts_of_session(session_id, mine)]
    return sorted(found, key=lambda part: (part.first, part.name))


def funnel(parts: Iterable[SessionPart], unattributed: int) -> list[tuple[str, int]]:
    """Each step with the number of sessions that came as far, then UNATTRIBUTED with the number of events of none."""
    deep = [0] * (len(FUNNEL) + 1)
    for part in parts:
        deep[part.depth] += 1
    return [*((step, sum(deep[place + 1 :])) for place, step in enumerate(FUNNEL)), (UNATTRIBUTED, unattributed)]


def _in_order(event: StoredClick) -> tuple[str, int, str]:
    """By time; within one millisecond in the funnel's own order, so that random ids decide nothing."""
    return event.timestamp, _PLACE.get(event.counter.event_type, len(FUNNEL)), event.event_id


def _silence(before: str, after: str) -> int:
    """Milliseconds; 0 is enough where both lie in one minute."""
    return 0 if before[:16] == after[:16] else timestamps.to_ms(after) - timestamps.to_ms(before)
