"""The table `session_parts`: sessions as collector.clicks.sessions makes them, kept up to date with the events.

An event that comes after all others of its session prolongs the last part; any other has the whole session made anew.
A very long session that events come into out of order is marked instead (part 0), and made when it is read: a stranger
may send as many events of one session as he likes, and each must not cost a reading of all others.
"""

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
    SELECT {_COLUMNS}, (SELECT sum(events) FROM session_parts WHERE session_id = p.session_id) FROM session_parts p
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
    put: list[SessionPart] = []
    for name in names:
        row, events = known.get(name), by_id.get(name, [])
        if row is not None and row[1] == 0:
            continue  # marked already
        before = _part(row[:-1]) if row else None
        if name not in spoiled and (before is None or prolongs(before, events)):
            put += parts_of_session(name, events, before)
        elif row is not None and row[-1] > LONGEST:
            db.execute("DELETE FROM session_parts WHERE session_id = ?", [name])
            put.append(SessionPart(name, 0, "", ""))
        else:
            db.execute("DELETE FROM session_parts WHERE session_id = ?", [name])
            put += parts_of_session(name, _events(db, name))
    db.executemany(_PUT, map(_row, put))


def read(db: sqlite3.Connection, since: str, until: str) -> Iterator[SessionPart]:
    """The parts that begin at `since` or later and before `until`, by their beginning."""
    marked = db.execute("SELECT session_id FROM session_parts WHERE part = 0").fetchall()
    made = [part for (name,) in marked for part in parts_of_session(name, _events(db, name))]
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM session_parts WHERE part > 0 AND first >= ? AND first < ? ORDER BY first",
        [since, until],
    )
    if not made:
        return map(_part, rows)
    chosen = [part for part in made if since <= part.first < until]
    return iter(sorted([*map(_part, rows), *chosen], key=lambda part: part.first))


def rebuild(db: sqlite3.Connection) -> None:
    """Make the table anew from the events."""
    db.execute("DELETE FROM session_parts")
    rows = db.execute(f"SELECT {CLICK} FROM clicks WHERE session_id IS NOT NULL ORDER BY session_id")
    mine: list[StoredClick] = []
    for event in map(read_click, rows):
        if mine and mine[0].session_id != event.session_id:
            _put_session(db, mine)
            mine = []
        mine.append(event)
    _put_session(db, mine)


def _put_session(db: sqlite3.Connection, events: Sequence[StoredClick]) -> None:
    if events:
        db.executemany(_PUT, map(_row, parts_of_session(events[0].session_id or "", events)))


def _events(db: sqlite3.Connection, session_id: str) -> Iterator[StoredClick]:
    return map(read_click, db.execute(f"SELECT {CLICK} FROM clicks WHERE session_id = ?", [session_id]))


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
