"""The table `session_parts`: sessions as collector.clicks.sessions makes them, kept up to date with the events.

An event that comes after all others of its session prolongs the last part; any other has the whole session made anew.
A very long session that events come into out of order is marked instead (part 0), and made when it is read: a stranger
may send as many events of one session as he likes, and each must not cost a reading of all others.

A part whose events were dropped (collector.stores.sqlite.click_dropping) is settled: it stays as it is, and what comes
later belongs to parts after it.
"""

import heapq
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from collector.clicks.sessions import SessionPart, parts_of_session, prolongs
from collector.rows import StoredClick
from collector.stores.sqlite.click_rows import CLICK, read_click

LONGEST = 2_000
"""Events of a session that is made anew at once."""
_COLUMNS = "session_id, part, first, last, events, count, purchases, depth, user_id, customer_id, is_bot"
_PUT = f"INSERT OR REPLACE INTO session_parts ({_COLUMNS}) VALUES ({', '.join('?' * 11)})"
_LAST = f"""
    SELECT {_COLUMNS}, dropped,
        (SELECT sum(events) FROM session_parts WHERE session_id = p.session_id AND dropped = 0),
        EXISTS (SELECT 1 FROM session_parts WHERE session_id = p.session_id AND part = 0)
    FROM session_parts p
    WHERE session_id IN (SELECT value FROM json_each(?))
        AND part = (SELECT max(part) FROM session_parts WHERE session_id = p.session_id)"""


def update(db: sqlite3.Connection, added: Sequence[StoredClick], removed: Iterable[StoredClick]) -> None:
    """Bring the table up to date with events that were stored, and with those whose place they took."""
    by_id: dict[str, list[StoredClick]] = {}
    for event in added:
        if event.session_id is not None:
            by_id.setdefault(event.session_id, []).append(event)
    spoiled = {event.session_id: True for event in removed if event.session_id is not None}
    names = [*by_id, *(name for name in spoiled if name not in by_id)]
    if not names:
        return
    known = {row[0]: row for row in db.execute(_LAST, [json.dumps(names)])}
    made: list[SessionPart] = []
    for name in names:
        row, events = known.get(name), by_id.get(name, [])
        *columns, is_settled, count, is_marked = row or (0, 0, 0)
        if is_marked:
            continue
        before = _part(columns) if columns and not is_settled else None
        if name not in spoiled and (before is None or prolongs(before, events)):
            made += parts_of_session(name, events, before, after=columns[1] if is_settled else 0)
        elif (count or 0) > LONGEST:
            db.execute("DELETE FROM session_parts WHERE session_id = ? AND dropped = 0", [name])
            made.append(SessionPart(name, 0, "", ""))
        else:
            db.execute("DELETE FROM session_parts WHERE session_id = ? AND dropped = 0", [name])
            made += _made_anew(db, name)
    put(db, made)


def read(db: sqlite3.Connection, since: str, until: str) -> Iterator[SessionPart]:
    """The parts that begin at `since` or later and before `until`, by their beginning."""
    chosen = [part for name in marked(db) for part in _made_anew(db, name) if since <= part.first < until]
    kept, dropped = (
        db.execute(
            f"SELECT {_COLUMNS} FROM session_parts"
            " WHERE dropped = ? AND part > 0 AND first >= ? AND first < ? ORDER BY first",
            [which, since, until],
        )
        for which in (0, 1)
    )
    return heapq.merge(
        map(_part, dropped),
        map(_part, kept),
        sorted(chosen, key=lambda part: part.first),
        key=lambda part: part.first,
    )


def marked(db: sqlite3.Connection) -> list[str]:
    """The sessions that are made when they are read."""
    return [row[0] for row in db.execute("SELECT session_id FROM session_parts WHERE dropped = 0 AND first = ''")]


def last_dropped_part(db: sqlite3.Connection, session_id: str) -> tuple[int, str]:
    """`(number, time of its last event)` of the last part whose events were dropped; `(0, "")` where none were."""
    row = db.execute(
        "SELECT part, last FROM session_parts WHERE session_id = ? AND dropped = 1 ORDER BY part DESC LIMIT 1",
        [session_id],
    ).fetchone()
    return row or (0, "")


def events_of(db: sqlite3.Connection, session_id: str) -> Iterator[StoredClick]:
    """The events of a session after its settled parts, ascending in time."""
    return map(
        read_click,
        db.execute(
            f"SELECT {CLICK} FROM clicks WHERE session_id = ? AND timestamp > ? ORDER BY timestamp, event_id",
            [session_id, last_dropped_part(db, session_id)[1]],
        ),
    )


def put(db: sqlite3.Connection, parts: Iterable[SessionPart]) -> None:
    """Store parts that are not settled, in place of those of the same number."""
    db.executemany(_PUT, map(_row, parts))


def rebuild(db: sqlite3.Connection) -> None:
    """Make the table anew from the events."""
    db.execute("DELETE FROM session_parts WHERE dropped = 0")
    names = db.execute("SELECT DISTINCT session_id FROM clicks WHERE session_id IS NOT NULL").fetchall()
    for (name,) in names:
        put(db, _made_anew(db, name))


def _made_anew(db: sqlite3.Connection, session_id: str) -> list[SessionPart]:
    return parts_of_session(session_id, events_of(db, session_id), after=last_dropped_part(db, session_id)[0])


def _part(row: Sequence[Any]) -> SessionPart:
    made = SessionPart(*row)
    made.is_bot = bool(made.is_bot)
    return made


def _row(part: SessionPart) -> tuple[object, ...]:
    return (
        part.session_id,
        part.part,
        part.first,
        part.last,
        part.events,
        part.count,
        part.purchases,
        part.depth,
        part.user_id,
        part.customer_id,
        part.is_bot,
    )
