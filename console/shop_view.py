"""The shop's newest events, kept in memory for all pages: any period, filter, breakdown and funnel of them.

The first look reads what is stored, each later one only what came since. Of more than `most` events the newest are
kept, and every answer says from when on they are all there. What goes further back is in the marts.

Sessions are those of docs/metrics.md: 30 minutes of silence end one, and one belongs to the instant of its first event;
robots are left out. A filter keeps the sessions in which it holds for an event; a breakdown counts a session once under
each value that occurs in it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from collector import queries
from console.fleet_view import OpenReader
from contract import timestamps
from contract.codec import Json, parse
from contract.errors import Rejected

DIMENSIONS = ("page", "source", "campaign", "device", "country", "item")
STANDARD = ("page_view", "view", "add_to_cart", "purchase")
FEWEST_STEPS, MOST_STEPS = 2, 6
_SILENCE_MS = 30 * 60_000
_OVERLAP_MS = 60_000
_MOST_VALUES = 100
_POINTS = 120

Row = dict[str, Any]


class ShopEvent(NamedTuple):
    """An event as it is looked at. values: of DIMENSIONS, None where unknown. refused: field → why it is null."""

    event_id: str
    at_ms: int
    received_ms: int
    session_id: str | None
    kind: str
    clicks: int
    is_bot: bool
    values: tuple[str | None, ...]
    item_name: str | None
    refused: Mapping[str, str]


class Session(NamedTuple):
    """A session, or the part of one between two silences."""

    events: tuple[ShopEvent, ...]

    @property
    def began_ms(self) -> int:
        """Its first event, Unix ms."""
        return self.events[0].at_ms

    @property
    def bought(self) -> bool:
        """Whether it has a purchase."""
        return any(event.kind == "purchase" for event in self.events)


class ShopView:
    """Safe to use from many threads.

    Args:
        open_reader: gives the store for reading, None within where there is none yet.
        now_ms: Unix ms.
        every: seconds between two looks at the store, however many ask.
        most: events that are kept.
    """

    def __init__(
        self, open_reader: OpenReader, *, now_ms: Callable[[], int], every: float = 1.0, most: int = 100_000
    ) -> None:
        self._open_reader, self._now_ms, self._every, self._most = open_reader, now_ms, every, most
        self._guard = threading.Lock()
        self._events: dict[str, ShopEvent] = {}
        self._mark: str | None = None
        self._looked_ms = 0
        self._due = 0.0
        self._whole_from_ms = 0

    def summary(self, first_ms: int, last_ms: int, filters: Mapping[str, str], by: str) -> Row:
        """A period beside the one of the same length before it.

        Args:
            first_ms: Unix ms.
            last_ms: Unix ms, not included.
            filters: of DIMENSIONS, the value that an event of a session must have.
            by: one of DIMENSIONS.

        Returns:
            `{from, to, complete_from, now, before, by, points}`: now and before are `{events, sessions,
            purchases, conversion}`; by is `[{value, events, sessions, purchases, before}]` by sessions, before being
            the sessions of the period before; points is `[[from when, events, events before]]`; complete_from is null
            where nothing is left out.

        Raises:
            Rejected: no such dimension, or the period is empty.
        """
        _check_dimensions((*filters, by))
        if last_ms <= first_ms:
            raise Rejected("to", "must be after `from`")
        events = self._look()
        span = last_ms - first_ms
        now = _within(events, filters, first_ms, last_ms)
        before = _within(events, filters, first_ms - span, first_ms)
        return {
            "from": timestamps.from_ms(first_ms),
            "to": timestamps.from_ms(last_ms),
            "complete_from": timestamps.from_ms(self._whole_from_ms) if self._whole_from_ms else None,
            "now": _totals(now),
            "before": _totals(before),
            "by": _breakdown(now, before, DIMENSIONS.index(by)),
            "points": _points(now, before, first_ms, span),
        }

    def funnel(self, steps: Sequence[str], first_ms: int, last_ms: int, filters: Mapping[str, str]) -> list[Row]:
        """How many sessions took each step after those before it, in time order.

        Args:
            steps: two to six event types.
            first_ms: Unix ms.
            last_ms: Unix ms, not included.
            filters: as for `summary`.

        Returns:
            `[{step, sessions, share}]`; share is of the sessions that took the first one, null where there is none.

        Raises:
            Rejected: too few or too many steps, or no such dimension.
        """
        if not FEWEST_STEPS <= len(steps) <= MOST_STEPS:
            raise Rejected("steps", f"give {FEWEST_STEPS} to {MOST_STEPS} event types, separated by commas")
        _check_dimensions(filters)
        deep = [0] * (len(steps) + 1)
        for session in _within(self._look(), filters, first_ms, last_ms):
            deep[_depth(session, steps)] += 1
        counts = [sum(deep[place + 1 :]) for place in range(len(steps))]
        return [
            {"step": step, "sessions": count, "share": round(count / counts[0], 4) if counts[0] else None}
            for step, count in zip(steps, counts, strict=True)
        ]

    def newest(self, most: int) -> list[Row]:
        """The events that came last, robots among them.

        Args:
            most: at most so many.

        Returns:
            `[{event_id, received_at, timestamp, session_id, event_type, page, item_id, item_name, is_bot, refused}]`,
            newest first; refused is field → why it was set to null.
        """
        newest = sorted(self._look(), key=lambda event: (event.received_ms, event.at_ms))[: -most - 1 : -1]
        return [
            {
                "event_id": event.event_id,
                "received_at": timestamps.from_ms(event.received_ms),
                "timestamp": timestamps.from_ms(event.at_ms),
                "session_id": event.session_id,
                "event_type": event.kind,
                "page": event.values[0],
                "item_id": event.values[5],
                "item_name": event.item_name,
                "is_bot": event.is_bot,
                "refused": dict(event.refused),
            }
            for event in newest
        ]

    def _look(self) -> list[ShopEvent]:
        with self._guard:
            if time.monotonic() >= self._due:
                now_ms = self._now_ms()
                with self._open_reader() as reader:
                    if reader is not None:
                        self._take(reader)
                self._looked_ms = now_ms
                self._due = time.monotonic() + self._every
            return [*self._events.values()]

    def _take(self, reader: Any) -> None:
        received = queries.clicks_received(reader, self._mark, self._looked_ms - _OVERLAP_MS if self._mark else 0)
        newest = deque(received.rows, self._most)
        if received.whole:
            self._events.clear()
        for click in newest:
            self._events[click.event_id] = shop_event(click)
        self._mark = received.mark
        if len(newest) == self._most or len(self._events) > self._most:
            kept = sorted(self._events.values(), key=lambda event: event.at_ms)[-self._most :]
            self._whole_from_ms = max(self._whole_from_ms, kept[0].at_ms)
            self._events = {event.event_id: event for event in kept}


def shop_event(click: Any) -> ShopEvent:
    """A stored event as it is looked at.

    Args:
        click: a collector.rows.StoredClick.

    Returns:
        It, with its dimensions: a source is the campaign's, else the host of a foreign referrer, else `direct`.
    """
    record: Any = parse(click.text)
    host = urlsplit(record.get("referrer_url") or "").hostname if record.get("referrer_class") != "internal" else None
    values = (
        click.page,
        record.get("utm_source") or host or "direct",
        record.get("utm_campaign"),
        record.get("device_type"),
        record.get("country"),
        click.counter.item_id,
    )
    return ShopEvent(
        click.event_id,
        timestamps.to_ms(click.timestamp),
        click.received_ms,
        click.session_id,
        click.counter.event_type,
        click.count,
        click.is_bot,
        values,
        click.counter.item_name,
        record.get("refused_fields") or {},
    )


def steps_of(clicks: Iterable[Any]) -> list[Row]:
    """What a session did.

    Args:
        clicks: of one session, as `Reader.clicks_of_session` gives them.

    Returns:
        `[{timestamp, event_type, page, item_id, item_name, count}]`, in time order.
    """
    return [
        {
            "timestamp": click.timestamp,
            "event_type": click.counter.event_type,
            "page": click.page,
            "item_id": click.counter.item_id,
            "item_name": click.counter.item_name,
            "count": click.count,
        }
        for click in clicks
    ]


def _check_dimensions(names: Iterable[str]) -> None:
    for name in names:
        if name not in DIMENSIONS:
            raise Rejected(name, f"is none of {', '.join(DIMENSIONS)}")


def _sessions(events: Iterable[ShopEvent]) -> Iterator[Session]:
    by_id: dict[str, list[ShopEvent]] = {}
    for event in events:
        if event.session_id is not None:
            by_id.setdefault(event.session_id, []).append(event)
    for mine in by_id.values():
        mine.sort(key=lambda event: (event.at_ms, event.event_id))
        first = 0
        for place in range(1, len(mine) + 1):
            if place == len(mine) or mine[place].at_ms - mine[place - 1].at_ms > _SILENCE_MS:
                part = mine[first:place]
                first = place
                if not any(event.is_bot for event in part):
                    yield Session(tuple(part))


def _within(events: Iterable[ShopEvent], filters: Mapping[str, str], first_ms: int, last_ms: int) -> list[Session]:
    wanted = [(DIMENSIONS.index(name), value) for name, value in filters.items()]
    return [
        session
        for session in _sessions(events)
        if first_ms <= session.began_ms < last_ms
        and all(any(event.values[place] == value for event in session.events) for place, value in wanted)
    ]


def _totals(sessions: Sequence[Session]) -> Row:
    purchases = sum(session.bought for session in sessions)
    return {
        "events": sum(event.clicks for session in sessions for event in session.events),
        "sessions": len(sessions),
        "purchases": purchases,
        "conversion": round(purchases / len(sessions), 4) if sessions else None,
    }


def _breakdown(now: Sequence[Session], before: Sequence[Session], place: int) -> list[Row]:
    rows: dict[str | None, Row] = {}
    earlier: dict[str | None, int] = {}
    for session in now:
        for value in _values(session, place):
            row = rows.setdefault(value, {"value": value, "events": 0, "sessions": 0, "purchases": 0})
            row["events"] += sum(event.clicks for event in session.events if event.values[place] == value)
            row["sessions"] += 1
            row["purchases"] += session.bought
    for session in before:
        for value in _values(session, place):
            earlier[value] = earlier.get(value, 0) + 1
    ordered = sorted(rows.values(), key=lambda row: (-row["sessions"], row["value"] or ""))[:_MOST_VALUES]
    return [{**row, "before": earlier.get(row["value"], 0)} for row in ordered]


def _values(session: Session, place: int) -> set[str | None]:
    """What occurs in it; "unknown" only where nothing does."""
    found = {event.values[place] for event in session.events}
    return found - {None} or found


def _points(now: Sequence[Session], before: Sequence[Session], first_ms: int, span: int) -> list[Json]:
    width = max(60_000, -(-span // _POINTS))
    many = -(-span // width)
    counts = [[0, 0] for _ in range(many)]
    for which, (sessions, begin) in enumerate(((now, first_ms), (before, first_ms - span))):
        for session in sessions:
            for event in session.events:
                place = (event.at_ms - begin) // width
                if 0 <= place < many:
                    counts[place][which] += event.clicks
    return [[timestamps.from_ms(first_ms + place * width), *pair] for place, pair in enumerate(counts)]


def _depth(session: Session, steps: Sequence[str]) -> int:
    """How many steps it took one after the other; those of one millisecond in the order of the steps."""
    places = {step: place for place, step in enumerate(steps)}
    ordered = sorted(session.events, key=lambda each: (each.at_ms, places.get(each.kind, len(steps)), each.event_id))
    depth = 0
    for event in ordered:
        if depth < len(steps) and event.kind == steps[depth]:
            depth += 1
    return depth
