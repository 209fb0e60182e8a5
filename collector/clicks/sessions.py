"""Sessions and the funnel, from events alone: pure, and the same in whatever order the events came.

30 minutes of silence end a session, whatever the browser says: the first part keeps the session's id, later parts are
`ID.2`, `ID.3` in time order. The funnel's steps count in time order within a session: a purchase without a view before
it is no view. Events of no session are counted apart, never dropped.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from collector.rows import StoredClick
from contract import timestamps

FUNNEL = ("page_view", "view", "add_to_cart", "purchase")
UNATTRIBUTED = "unattributed"
SILENCE_MS = 30 * 60_000
_PLACE = {step: place for place, step in enumerate(FUNNEL)}


class Session(NamedTuple):
    """One session, or a part of one that was interrupted; its events ascend in time."""

    session_id: str
    events: tuple[StoredClick, ...]


def sessions(events: Iterable[StoredClick]) -> list[Session]:
    """The sessions of events in any order, by their first event; without events of no session."""
    by_id: dict[str, list[StoredClick]] = {}
    for event in events:
        if event.session_id is not None:
            by_id.setdefault(event.session_id, []).append(event)
    found = [part for session_id, mine in by_id.items() for part in _parts(session_id, sorted(mine, key=_in_order))]
    return sorted(found, key=lambda session: (session.events[0].timestamp, session.session_id))


def _in_order(event: StoredClick) -> tuple[str, int, str]:
    """By time; within one millisecond in the funnel's own order, so that random ids decide nothing."""
    return event.timestamp, _PLACE.get(event.counter.event_type, len(FUNNEL)), event.event_id


def _parts(session_id: str, events: Sequence[StoredClick]) -> list[Session]:
    parts: list[list[StoredClick]] = []
    last_ms = 0
    for event in events:
        at_ms = timestamps.to_ms(event.timestamp)
        if not parts or at_ms - last_ms > SILENCE_MS:
            parts.append([])
        parts[-1].append(event)
        last_ms = at_ms
    return [
        Session(session_id if number == 1 else f"{session_id}.{number}", tuple(part))
        for number, part in enumerate(parts, start=1)
    ]


def depth(session: Session) -> int:
    """How many of the funnel's steps a session took, one after the other in time."""
    reached = 0
    for event in session.events:
        if reached < len(FUNNEL) and event.counter.event_type == FUNNEL[reached]:
            reached += 1
    return reached


def funnel(events: Iterable[StoredClick]) -> list[tuple[str, int]]:
    """Each step with the number of sessions that came as far, then UNATTRIBUTED with the number of events of none."""
    every = list(events)
    depths = [depth(session) for session in sessions(every)]
    steps = [(step, sum(reached > place for reached in depths)) for place, step in enumerate(FUNNEL)]
    return [*steps, (UNATTRIBUTED, sum(event.session_id is None for event in every))]
