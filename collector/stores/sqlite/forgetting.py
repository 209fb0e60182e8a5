"""Takes a person's identity, or a truck's positions, out of a store file, and leaves every count as it was.

What is derived of events and names somebody (sessions, pages) is derived anew.

Rows stay under their keys, so that a redelivery is a duplicate and the ledger stays settled; what they say is rewritten
in one transaction. `erase_traces` then writes the file anew, since SQLite keeps old contents in free pages and the WAL.
"""

import sqlite3
import time
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path

from collector.stores.forgetting import NamedIds, is_refused_of
from collector.stores.sqlite import click_dropping, click_sessions
from collector.stores.sqlite.schema import COUNT_PAGES, connect
from contract.codec import Json, canonical, parse
from contract.errors import Retryable
from contract.forgotten import GONE, Forgotten, Span, without_position

_PATIENCE_S = 30.0


def named_ids(path: Path) -> list[NamedIds]:
    """Who did each event of a store file; sessions whose events were dropped count too.

    Args:
        path: the store's file.

    Returns:
        A row an event, and one for each name that is kept of dropped ones.
    """
    with closing(connect(path, readonly=True)) as db:
        rows = db.execute(
            "SELECT '', NULL, user_id, NULL, session_id, customer_id FROM session_parts WHERE dropped = 1 UNION ALL"
            " SELECT said, NULL, user_id, NULL, NULL, customer_id FROM dropped_identities"
        ).fetchall()
        rows += db.execute(
            "SELECT timestamp, event_id, json_extract(text, '$.user_id'), json_extract(text, '$.browser_id'),"
            " session_id, json_extract(text, '$.customer_id') FROM clicks"
        ).fetchall()
    return [NamedIds(*row) for row in rows]


def forget_person(
    path: Path, event_ids: Sequence[str], identifiers: Collection[str], marks: Forgotten
) -> dict[str, int]:
    """Rewrite a person's events, and dead letters that hold one of its identifiers; one transaction.

    Args:
        path: the store's file.
        event_ids: of `person_of`; those of other stores are left out.
        identifiers: what names the person.
        marks: what was forgotten, for what comes again.

    Returns:
        `{clicks, click_rivals, dead_letters}`: how many rows were rewritten.

    Raises:
        Retryable: the store was locked, nothing was changed.
    """
    done = {"clicks": 0, "click_rivals": 0, "dead_letters": 0}
    with closing(connect(path)) as db, _writing(db):
        for event_id in event_ids:
            found = db.execute("SELECT text FROM clicks WHERE event_id = ?", [event_id]).fetchone()
            if found is None:  # another store has it
                continue
            kept = marks.scrubbed_click(parse(found[0]))
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
        _forget_dropped(db, identifiers, marks)
        for identifier in identifiers:
            done["dead_letters"] += db.execute(
                "UPDATE dead_letters SET payload = ?, reason = 'forgotten'"
                " WHERE instr(payload, ?) > 0 OR instr(reason, ?) > 0",
                [GONE, identifier.encode(), identifier],
            ).rowcount
    return done


def _forget_dropped(db: sqlite3.Connection, identifiers: Collection[str], marks: Forgotten) -> None:
    """Take a person out of what is kept of dropped events, and count pages anew."""
    for identifier in identifiers:
        for table, columns in (
            ("session_parts", ("session_id", "user_id", "customer_id")),
            ("dropped_identities", ("user_id", "customer_id")),
            ("dropped_browsers", ("browser_id", "user_id")),
            ("clicks_dropping", ("session_id",)),
        ):
            for column in columns:
                db.execute(
                    f"UPDATE OR REPLACE {table} SET {column} = ? WHERE {column} = ?",
                    [marks.pseudonym(identifier), identifier],
                )
    kept_from = click_dropping.kept_from(db)
    pages = db.execute("SELECT DISTINCT page FROM page_counts WHERE minute < ?", [kept_from]).fetchall()
    for (page,) in pages:
        if (scrubbed := str(marks.scrubbed_click({"page": page})["page"])) != page:
            old = db.execute(
                "DELETE FROM page_counts WHERE page = ? AND minute < ? RETURNING minute, event_type, count, bots",
                [page, kept_from],
            ).fetchall()
            db.executemany(
                "INSERT INTO page_counts VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET count = count + excluded.count, bots = bots + excluded.bots",
                [(minute, scrubbed, *counted) for minute, *counted in old],
            )
    db.execute("DELETE FROM page_counts WHERE minute >= ?", [kept_from])
    db.execute(COUNT_PAGES, [kept_from])


def forget_positions(path: Path, span: Span) -> dict[str, int]:
    """Rewrite a truck's samples of a span without their positions, and its refused records of that time.

    Args:
        path: the store's file.
        span: truck and time.

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
        letters = db.execute("SELECT id, source, payload, received_ms FROM dead_letters WHERE payload <> ?", [GONE])
        mine = [id for id, source, payload, at in letters if is_refused_of(span, source, payload, at)]
        db.executemany(
            "UPDATE dead_letters SET payload = ?, reason = 'forgotten' WHERE id = ?", [(GONE, id) for id in mine]
        )
        done["dead_letters"] = len(mine)
    return done


def positions_left(path: Path, span: Span) -> int:
    """How many samples of a span still have a position.

    Args:
        path: the store's file.
        span: truck and time.

    Returns:
        0 after `forget_positions`.
    """
    with closing(connect(path, readonly=True)) as db:
        query = (
            "SELECT count(*) FROM samples WHERE truck_id = ? AND order_key >= ? AND order_key < ?"
            " AND coalesce(json_extract(text, '$.quality.gps_location'), '') <> 'forgotten'"
        )
        return int(db.execute(query, [*span]).fetchone()[0])


def events(path: Path, event_ids: Collection[str]) -> list[dict[str, Json]]:
    """Events as they came: for an export of what is held.

    Args:
        path: the store's file.
        event_ids: which; what is not there is left out.

    Returns:
        The events' documents.
    """
    with closing(connect(path, readonly=True)) as db:
        found = [db.execute("SELECT text FROM clicks WHERE event_id = ?", [each]).fetchone() for each in event_ids]
    return [parse(row[0]) for row in found if row]


def erase_traces(path: Path) -> None:
    """Write a SQLite file anew, so that nothing of what was overwritten is left in it or beside it.

    Args:
        path: the store's file.

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


class SqliteForgetting:
    """The `StoreForgetting` of a store file. What stands in the file itself, the search of the data directory reads."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def named_ids(self) -> list[NamedIds]:
        return named_ids(self.path)

    def adopt_markers(self, marks: Forgotten) -> None:
        """Nothing to do: this store's writers read the data directory's own."""

    def publish_markers(self, marks: Forgotten) -> None:
        """Nothing to do: they are asked at each record."""

    def forget_person(self, event_ids: Sequence[str], identifiers: Collection[str], marks: Forgotten) -> dict[str, int]:
        return forget_person(self.path, event_ids, identifiers, marks)

    def forget_positions(self, span: Span, marks: Forgotten) -> dict[str, int]:
        del marks
        return forget_positions(self.path, span)

    def positions_left(self, span: Span) -> int:
        return positions_left(self.path, span)

    def events(self, event_ids: Collection[str]) -> list[dict[str, Json]]:
        return events(self.path, event_ids)

    def occurrences(self, identifiers: Collection[str]) -> list[dict[str, Json]]:
        del identifiers
        return []

    def out_of_reach(self, now_ms: int) -> list[dict[str, Json]]:
        del now_ms
        return []


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
