"""Takes a person's identity, or a truck's positions, out of a store file, and leaves every count as it was.

What is derived of events and names somebody (sessions, pages) is derived anew.

Rows stay under their keys, so that a redelivery is a duplicate and the ledger stays settled; what they say is rewritten
in one transaction. `erase_traces` then writes the file anew, since SQLite keeps old contents in free pages and the WAL.
"""

import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from collector.stores.sqlite import click_sessions
from collector.stores.sqlite.schema import COUNT_PAGES, connect
from contract.codec import Json, canonical, parse
from contract.errors import Retryable
from contract.forgotten import GONE, Forgotten, Span, without_position

_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Person:
    """What the shop events say of a customer.

    event_ids: of the events that are its. user_ids, session_ids: those that only it has used; a browser_id counts as a
    user_id.
    """

    event_ids: tuple[str, ...]
    user_ids: tuple[str, ...]
    session_ids: tuple[str, ...]


def person(path: Path, customer_id: str) -> Person:
    """Find a customer's events: those that name it, and those without a name of users that turned out to be it.

    A browser that several customers signed in with is the newest one's, as in the warehouse's `identity`.
    """
    with closing(connect(path, readonly=True)) as db:
        rows = db.execute(
            "SELECT event_id, json_extract(text, '$.user_id'), json_extract(text, '$.browser_id'), session_id,"
            " json_extract(text, '$.customer_id') FROM clicks ORDER BY timestamp, event_id"
        ).fetchall()
    newest = {user: customer for _, user, _, _, customer in rows if user is not None and customer is not None}
    mine: list[tuple[str | None, ...]] = []
    others: list[tuple[str | None, ...]] = []
    for row in rows:
        _, user, _, _, customer = row
        is_mine = customer == customer_id or (customer is None and newest.get(user) == customer_id)
        (mine if is_mine else others).append(row)

    def own(*columns: int) -> tuple[str, ...]:
        used = {str(row[column]) for row in mine for column in columns if row[column] is not None}
        return tuple(sorted(used - {str(row[column]) for row in others for column in columns}))

    return Person(tuple(str(row[0]) for row in mine), own(1, 2), own(3))


def forget_person(path: Path, event_ids: Sequence[str], identifiers: Iterable[str], marks: Forgotten) -> dict[str, int]:
    """Rewrite a person's events, and dead letters that hold one of its identifiers; one transaction.

    Returns:
        `{clicks, click_rivals, dead_letters}`: how many rows were rewritten.

    Raises:
        Retryable: the store was locked, nothing was changed.
    """
    done = {"clicks": 0, "click_rivals": 0, "dead_letters": 0}
    with closing(connect(path)) as db, _writing(db):
        for event_id in event_ids:
            (text,) = db.execute("SELECT text FROM clicks WHERE event_id = ?", [event_id]).fetchone()
            kept = marks.scrubbed_click(parse(text))
            who = [kept.get(name) for name in ("session_id", "user_id", "customer_id", "page")]
            db.execute(
                "UPDATE clicks SET session_id = ?, user_id = ?, customer_id = ?, page = ?, text = ? WHERE event_id = ?",
                [*who, canonical(kept), event_id],
            )
            done["clicks"] += 1
            for content, rival in db.execute(
                "SELECT content, text FROM click_rivals WHERE event_id = ?", [event_id]
            ).fetchall():
                scrubbed = canonical(marks.scrubbed_click(parse(rival)))
                db.execute(
                    "UPDATE click_rivals SET text = ? WHERE event_id = ? AND content = ?", [scrubbed, event_id, content]
                )
                done["click_rivals"] += 1
        click_sessions.rebuild(db)
        db.execute("DELETE FROM page_counts")
        db.execute(COUNT_PAGES)
        for identifier in identifiers:
            done["dead_letters"] += db.execute(
                "UPDATE dead_letters SET payload = ?, reason = 'forgotten'"
                " WHERE instr(payload, ?) > 0 OR instr(reason, ?) > 0",
                [GONE, identifier.encode(), identifier],
            ).rowcount
    return done


def forget_positions(path: Path, span: Span) -> dict[str, int]:
    """Rewrite a truck's samples of a span without their positions, and its dead letters that came within it.

    Returns:
        `{samples, dead_letters}`: how many rows were rewritten.
    """
    done = {"samples": 0, "dead_letters": 0}
    with closing(connect(path)) as db, _writing(db):
        rows = db.execute(
            "SELECT order_key, text FROM samples WHERE truck_id = ? AND order_key >= ? AND order_key < ?", [*span]
        ).fetchall()
        for order_key, text in rows:
            db.execute(
                "UPDATE samples SET text = ? WHERE truck_id = ? AND order_key = ?",
                [without_position(text), span.truck_id, order_key],
            )
        done["samples"] = len(rows)
        done["dead_letters"] = db.execute(
            "UPDATE dead_letters SET payload = ?, reason = 'forgotten' WHERE source LIKE ? ESCAPE '!'"
            " AND strftime('%Y-%m-%dT%H:%M:%fZ', received_ms / 1000.0, 'unixepoch') BETWEEN ? AND ?",
            [GONE, f"%/{span.truck_id.replace('_', '!_')}%", span.begin, span.end],
        ).rowcount
    return done


def positions_left(path: Path, span: Span) -> int:
    """How many samples of a span still have a position."""
    with closing(connect(path, readonly=True)) as db:
        query = (
            "SELECT count(*) FROM samples WHERE truck_id = ? AND order_key >= ? AND order_key < ?"
            " AND coalesce(json_extract(text, '$.quality.gps_location'), '') <> 'forgotten'"
        )
        return int(db.execute(query, [*span]).fetchone()[0])


def events(path: Path, customer_id: str) -> list[dict[str, Json]]:
    """A customer's events as they came, ascending in time: for an export of what is held."""
    with closing(connect(path, readonly=True)) as db:
        found = [
            parse(db.execute("SELECT text FROM clicks WHERE event_id = ?", [event_id]).fetchone()[0])
            for event_id in person(path, customer_id).event_ids
        ]
    return sorted(found, key=lambda event: (event["timestamp"], event["event_id"]))


def erase_traces(path: Path) -> None:
    """Write a SQLite file anew, so that nothing of what was overwritten is left in it or beside it.

    Raises:
        Retryable: readers or writers held the file for too long; what was rewritten stays so, and this may be repeated.
    """
    with closing(sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)) as db:
        try:
            db.execute("PRAGMA secure_delete = ON")
            db.execute("VACUUM")
            deadline = time.monotonic() + _PATIENCE_S
            while db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() > deadline:
                    raise Retryable(
                        f"{path}: a reader keeps old pages in the WAL: run the same `milepost forget` again"
                    )
                time.sleep(0.05)
        except sqlite3.OperationalError as error:
            raise Retryable(
                f"{path} could not be written anew ({error}): run the same `milepost forget` again"
            ) from None


class _writing:
    """BEGIN IMMEDIATE … COMMIT, rolled back if the block raises."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        try:
            self._db.execute("PRAGMA secure_delete = ON")
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise Retryable(f"the store is locked ({error}): try again") from None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
