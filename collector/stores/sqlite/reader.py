"""Reading the SQLite store: what the queries need, from a read-only connection, while others write."""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from collector.clicks.sessions import SessionPart
from collector.completeness.ledger import StreamLedger
from collector.history import Version
from collector.rows import Counter, DeadLetter, StoredClick, StoredSample, StoredSince
from collector.stores.sqlite import click_dropping, click_sessions
from collector.stores.sqlite.alerts import SqliteAlertReader
from collector.stores.sqlite.click_rows import CLICK, read_click
from collector.stores.sqlite.schema import BROWSERS, connect
from collector.stores.sqlite.storing_order import span

_SAMPLE = "s.order_key, s.key, s.stream_id, s.seq, s.content, s.received_ms, s.by_arrival, s.text, s.estimated"
_VERSION = "v.order_key, v.key, v.end"
_LETTER = "id, received_ms, source, field, reason, payload, times"
_JOIN = "FROM versions v JOIN samples s ON s.truck_id = v.truck_id AND s.order_key = v.order_key"


class SqliteReader(SqliteAlertReader):
    """The `Reader` on a store file; raises Misconfigured for a file of another format."""

    def __init__(self, path: Path, *, readonly: bool = True) -> None:
        self._db = connect(path, readonly=readonly)

    def limit_time(self, seconds: float) -> None:
        """From now on a read that goes on so long after this call raises sqlite3.OperationalError."""
        deadline = time.monotonic() + seconds
        self._db.set_progress_handler(lambda: time.monotonic() > deadline, 20_000)

    def close(self) -> None:
        self._db.close()

    def policy(self) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE name = 'track'").fetchone()
        return row[0] if row else None

    def truck_ids(self) -> list[str]:
        return [row[0] for row in self._db.execute("SELECT truck_id FROM heads WHERE latest <> '' ORDER BY truck_id")]

    def latest(self, truck_id: str) -> StoredSample | None:
        row = self._db.execute(
            f"SELECT {_SAMPLE} FROM samples s WHERE truck_id = ? ORDER BY order_key DESC LIMIT 1", [truck_id]
        ).fetchone()
        return _sample(row) if row else None

    def sample_at(self, truck_id: str, instant: str) -> StoredSample | None:
        row = self._db.execute(
            f"SELECT {_SAMPLE} FROM samples s WHERE truck_id = ? AND order_key < ? ORDER BY order_key DESC LIMIT 1",
            [truck_id, instant + "$"],  # '$' sorts just after the '#' that follows the instant in an order key
        ).fetchone()
        return _sample(row) if row else None

    def versions(self, truck_id: str) -> Iterator[tuple[Version, StoredSample]]:
        rows = self._db.execute(
            f"SELECT {_VERSION}, {_SAMPLE} {_JOIN} WHERE v.truck_id = ? ORDER BY v.order_key", [truck_id]
        )
        return ((Version(*row[:3]), _sample(row[3:])) for row in rows)

    def version_count(self, truck_id: str) -> int:
        return int(self._db.execute("SELECT count(*) FROM versions WHERE truck_id = ?", [truck_id]).fetchone()[0])

    def version_at(self, truck_id: str, instant: str) -> tuple[Version, StoredSample] | None:
        # '$' sorts just after '#': of several versions that start at one instant this finds the last, the one
        # that is not of zero length.
        row = self._db.execute(
            f"SELECT {_VERSION}, {_SAMPLE} {_JOIN}"
            " WHERE v.truck_id = ? AND v.order_key < ? ORDER BY v.order_key DESC LIMIT 1",
            [truck_id, instant + "$"],
        ).fetchone()
        return (Version(*row[:3]), _sample(row[3:])) if row else None

    def ledgers(self, truck_id: str) -> dict[str, StreamLedger]:
        rows = self._db.execute(
            "SELECT stream_id, ledger FROM streams WHERE truck_id = ? ORDER BY stream_id", [truck_id]
        )
        return {stream_id: StreamLedger.from_json(json.loads(text)) for stream_id, text in rows}

    def incomplete(self) -> list[tuple[str, str, StreamLedger]]:
        """Truck, stream and ledger wherever there is a hole."""
        rows = self._db.execute("SELECT truck_id, stream_id, ledger FROM streams WHERE holes > 0 ORDER BY 1, 2")
        return [(truck_id, stream_id, StreamLedger.from_json(json.loads(text))) for truck_id, stream_id, text in rows]

    def ledger_trucks(self) -> list[str]:
        return [row[0] for row in self._db.execute("SELECT DISTINCT truck_id FROM streams ORDER BY truck_id")]

    def status(self, truck_id: str) -> str | None:
        row = self._db.execute("SELECT text FROM statuses WHERE truck_id = ?", [truck_id]).fetchone()
        return row[0] if row else None

    def samples_between(self, truck_id: str, first: str, last: str) -> Iterator[StoredSample]:
        rows = self._db.execute(
            f"SELECT {_SAMPLE} FROM samples s"
            " WHERE truck_id = ? AND order_key >= ? AND order_key < ? ORDER BY order_key",
            [truck_id, first, last + "$"],
        )
        return (_sample(row) for row in rows)

    def version_before_samples(self, truck_id: str) -> tuple[Version, StoredSample] | None:
        """None: every sample is kept."""
        return None

    def sample_counts(self, truck_id: str) -> tuple[int, int]:
        """Stored samples with a stream_id, and how many different (stream_id, seq) they have."""
        return self._db.execute(  # type: ignore[no-any-return]
            "SELECT count(*), count(DISTINCT stream_id || '#' || seq) FROM samples"
            " WHERE truck_id = ? AND stream_id IS NOT NULL",
            [truck_id],
        ).fetchone()

    def samples(self, truck_id: str) -> Iterator[StoredSample]:
        rows = self._db.execute(f"SELECT {_SAMPLE} FROM samples s WHERE truck_id = ? ORDER BY order_key", [truck_id])
        return (_sample(row) for row in rows)

    def samples_after(self, mark: str | None) -> StoredSince[tuple[str, StoredSample]]:
        start, end, text = span(self._db, "samples", mark)
        rows = self._db.execute(
            f"SELECT s.truck_id, {_SAMPLE} FROM samples s WHERE s.rowid > ? AND s.rowid <= ? ORDER BY s.rowid",
            [start, end],
        )
        return StoredSince(((row[0], _sample(row[1:])) for row in rows), not start, text)

    def clicks_after(self, mark: str | None, since_ms: int) -> StoredSince[StoredClick]:
        start, end, text = span(self._db, "clicks", mark)
        rows = self._db.execute(
            f"SELECT {CLICK} FROM clicks WHERE rowid <= ? AND (rowid > ? OR received_ms >= ?) ORDER BY rowid",
            [end, start, since_ms],
        )
        return StoredSince(map(read_click, rows), not start, text)

    def click_counts(self) -> Iterator[tuple[Counter, int]]:
        rows = self._db.execute(
            "SELECT minute, item_id, item_name, event_type, count FROM click_counts ORDER BY 1, 2, 3, 4"
        )
        return (
            (Counter(minute, item_id or None, name or None, kind), count) for minute, item_id, name, kind, count in rows
        )

    def item_counts(self, since: str, until: str) -> Iterator[tuple[str | None, str | None, str, int, int]]:
        """Whole days from their own table; only the minutes before and after them one by one."""
        first, end = since[:10] if since.endswith("T00:00:00.000Z") or not since else since[:10] + "~", until[:10]
        columns = "item_id, item_name, event_type, count, bots"
        rows = self._db.execute(
            "SELECT nullif(item_id, ''), nullif(item_name, ''), event_type, sum(count), sum(bots) FROM ("
            f" SELECT {columns} FROM day_counts WHERE day >= ? AND day < ?"
            f" UNION ALL SELECT {columns} FROM click_counts WHERE minute >= ? AND minute < ?"
            f" UNION ALL SELECT {columns} FROM click_counts WHERE minute >= ? AND minute < ?) GROUP BY 1, 2, 3",
            [first, end, since, min(first, until), max(end, min(first, until)), until],
        )
        return iter(rows)

    def minute_counts(self, since: str, until: str) -> Iterator[tuple[str, str | None, str, int, int]]:
        rows = self._db.execute(
            "SELECT minute, nullif(item_id, ''), event_type, sum(count), sum(bots) FROM click_counts"
            " WHERE minute >= ? AND minute < ? GROUP BY 1, item_id, 3",
            [since, until],
        )
        return iter(rows)

    def page_counts(self, since: str, until: str) -> Iterator[tuple[str | None, str, int, int]]:
        rows = self._db.execute(
            "SELECT nullif(page, ''), event_type, sum(count), sum(bots) FROM page_counts"
            " WHERE minute >= ? AND minute < ? GROUP BY 1, 2",
            [since, until],
        )
        return iter(rows)

    def session_parts(self, since: str, until: str, *, numbered: bool = True) -> Iterator[SessionPart]:
        del numbered  # they are
        return click_sessions.read(self._db, since, until)

    def events_of_no_session(self, since: str, until: str) -> tuple[int, int]:
        """Of events that were dropped whole minutes are known."""
        return self._db.execute(  # type: ignore[no-any-return]
            "SELECT sum(events), sum(bots) FROM (SELECT count(*) AS events, ifnull(sum(is_bot), 0) AS bots FROM clicks"
            " WHERE session_id IS NULL AND timestamp >= ? AND timestamp < ? UNION ALL"
            " SELECT ifnull(sum(events), 0), ifnull(sum(bots), 0) FROM dropped_of_no_session"
            " WHERE minute >= ? AND minute < ?)",
            [since, until, f"{since[:16]}:00.000Z" if since else "", until],
        ).fetchone()

    def identified_users(self) -> Iterator[tuple[str, str, str]]:
        rows = self._db.execute(
            "SELECT user_id, customer_id, min(said) FROM (SELECT user_id, customer_id, min(timestamp) AS said"
            " FROM clicks INDEXED BY clicks_by_customer WHERE customer_id IS NOT NULL AND user_id IS NOT NULL"
            " GROUP BY 1, 2 UNION ALL SELECT user_id, customer_id, said FROM dropped_identities) GROUP BY 1, 2"
        )
        return iter(rows)

    def browser_users(self) -> Iterator[tuple[str, str]]:
        rows = self._db.execute(
            "SELECT DISTINCT json_extract(text, '$.browser_id') AS browser_id, user_id"
            f" FROM clicks INDEXED BY clicks_by_browser WHERE {BROWSERS} AND browser_id IS NOT NULL"
            " UNION SELECT browser_id, user_id FROM dropped_browsers"
        )
        return iter(rows)

    def recountable_from(self) -> str:
        """Of minutes before it events may have been dropped."""
        return click_dropping.kept_from(self._db)

    def clicks(self) -> Iterator[StoredClick]:
        return map(read_click, self._db.execute(f"SELECT {CLICK} FROM clicks ORDER BY timestamp, event_id"))

    def clicks_of_session(self, session_id: str) -> Iterator[StoredClick]:
        rows = self._db.execute(
            f"SELECT {CLICK} FROM clicks WHERE session_id = ? ORDER BY timestamp, event_id", [session_id]
        )
        return map(read_click, rows)

    def purchases(self) -> Iterator[StoredClick]:
        rows = self._db.execute(
            f"SELECT {CLICK} FROM clicks INDEXED BY clicks_of_purchases"
            " WHERE event_type = 'purchase' ORDER BY timestamp"
        )
        return map(read_click, rows)

    def has_clicks(self, event_ids: Sequence[str]) -> set[str]:
        """Which of these events are stored."""
        rows = self._db.execute(
            "SELECT event_id FROM clicks WHERE event_id IN (SELECT value FROM json_each(?))", [json.dumps(event_ids)]
        )
        return {row[0] for row in rows}

    def dead_letters(self) -> Iterator[DeadLetter]:
        rows = self._db.execute(f"SELECT {_LETTER} FROM dead_letters ORDER BY received_ms, id")
        return (DeadLetter(*row) for row in rows)

    def dead_letter(self, id: str) -> DeadLetter | None:
        row = self._db.execute(f"SELECT {_LETTER} FROM dead_letters WHERE id = ?", [id]).fetchone()
        return DeadLetter(*row) if row else None


def _sample(row: Sequence[object]) -> StoredSample:
    order_key, key, stream_id, seq, content, received_ms, by_arrival, text, estimated = row
    return StoredSample(order_key, key, stream_id, seq, content, received_ms, bool(by_arrival), text, bool(estimated))  # type: ignore[arg-type]
