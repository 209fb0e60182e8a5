"""Events that were counted long ago leave the store, and everything counted of them stays.

Counters stay as they are; a session part whose events go is kept as it is (`dropped`), and so is who was identified as
whom, and how many events named no session. From then on an event of a time before `kept_from` is refused, since nobody
could tell whether it was counted. A part goes whole, once it is so old that nothing which is still taken could prolong
it; until then it keeps all of its events.
"""

import json
import sqlite3
from collections.abc import Sequence

from collector.clicks.sessions import SILENCE_MS, parts_of_session
from collector.stores.sqlite import click_sessions
from collector.stores.sqlite.schema import BROWSERS
from contract import timestamps

_NAME = "clicks_kept_from"
_PARTS_AT_ONCE = 200


def kept_from(db: sqlite3.Connection) -> str:
    """The beginning of the minute (`…:00.000Z`) from which on all events are kept; "" where none was dropped."""
    row = db.execute(f"SELECT value FROM meta WHERE name = '{_NAME}'").fetchone()
    return row[0] if row else ""


def drop(db: sqlite3.Connection, before: str, at_most: int) -> int:
    """Remove some of the events from before an instant; within the caller's transaction.

    Args:
        db: the store.
        before: the beginning of a minute, `…:00.000Z`; an earlier one than the last time changes nothing.
        at_most: so many events.

    Returns:
        How many events and session parts were dealt with; 0 when there is nothing left to do.
    """
    before = max(before, kept_from(db))
    db.execute(f"INSERT OR REPLACE INTO meta VALUES ('{_NAME}', ?)", [before])
    emptied = _empty_parts(db, at_most)
    return emptied or _drop_of_no_session(db, before, at_most) or _settle_parts(db, before)


def _empty_parts(db: sqlite3.Connection, at_most: int) -> int:
    """Remove events of parts that are settled; how many, and the parts that are empty then."""
    done = 0
    for session_id, first, last in db.execute("SELECT session_id, first, last FROM clicks_dropping").fetchall():
        rows = db.execute(
            "SELECT event_id FROM clicks WHERE session_id = ? AND timestamp >= ? AND timestamp <= ? LIMIT ?",
            [session_id, first, last, at_most - done],
        ).fetchall()
        _remove(db, [row[0] for row in rows])
        done += len(rows)
        if done >= at_most:
            return done
        db.execute("DELETE FROM clicks_dropping WHERE session_id = ? AND first = ?", [session_id, first])
        done += 1
    return done


def _drop_of_no_session(db: sqlite3.Connection, before: str, at_most: int) -> int:
    rows = db.execute(
        "SELECT event_id, minute, is_bot FROM clicks WHERE session_id IS NULL AND timestamp < ? LIMIT ?",
        [before, at_most],
    ).fetchall()
    db.executemany(
        "INSERT INTO dropped_of_no_session VALUES (?, 1, ?)"
        " ON CONFLICT DO UPDATE SET events = events + 1, bots = bots + excluded.bots",
        [(minute, is_bot) for _, minute, is_bot in rows],
    )
    _remove(db, [row[0] for row in rows])
    return len(rows)


def _settle_parts(db: sqlite3.Connection, before: str) -> int:
    """Settle parts that nothing can prolong any more, so that their events may go; how many."""
    bound = timestamps.from_ms(timestamps.to_ms(before) - SILENCE_MS)
    parts: list[tuple[str, int, str, str]] = db.execute(
        "SELECT session_id, part, first, last FROM session_parts"
        " WHERE dropped = 0 AND first > '' AND first < ? AND last < ? LIMIT ?",
        [bound, bound, _PARTS_AT_ONCE],
    ).fetchall()
    for session_id in click_sessions.marked(db):
        events = click_sessions.events_of(db, session_id)
        if (earliest := next(events, None)) is None or earliest.timestamp >= bound:
            continue
        whole = parts_of_session(
            session_id, [earliest, *events], after=click_sessions.last_dropped_part(db, session_id)[0]
        )
        old = [part for part in whole if part.last < bound]
        click_sessions.put(db, old)
        parts += [(part.session_id, part.part, part.first, part.last) for part in old]
    db.executemany(
        "UPDATE session_parts SET dropped = 1 WHERE session_id = ? AND part = ?", [each[:2] for each in parts]
    )
    db.executemany(
        "INSERT INTO clicks_dropping VALUES (?, ?, ?)", [(name, first, last) for name, _, first, last in parts]
    )
    return len(parts)


def _remove(db: sqlite3.Connection, event_ids: Sequence[str]) -> None:
    ids = json.dumps(event_ids)
    db.execute(
        "INSERT INTO dropped_identities SELECT user_id, customer_id, min(timestamp) FROM clicks"
        " WHERE event_id IN (SELECT value FROM json_each(?)) AND user_id IS NOT NULL AND customer_id IS NOT NULL"
        " GROUP BY 1, 2 ON CONFLICT DO UPDATE SET said = min(said, excluded.said)",
        [ids],
    )
    db.execute(
        "INSERT OR IGNORE INTO dropped_browsers SELECT json_extract(text, '$.browser_id'), user_id FROM clicks"
        f" WHERE event_id IN (SELECT value FROM json_each(?)) AND {BROWSERS}"
        " AND json_extract(text, '$.browser_id') IS NOT NULL",
        [ids],
    )
    for table in ("clicks", "click_rivals"):
        db.execute(f"DELETE FROM {table} WHERE event_id IN (SELECT value FROM json_each(?))", [ids])
