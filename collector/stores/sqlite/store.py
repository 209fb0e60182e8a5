"""The store of one machine: one SQLite file in WAL mode, `synchronous=FULL`, used by any number of processes.

A `unit()` is one write transaction. It takes the write lock at its start, so within it nothing can conflict; `rev` is
kept all the same, since it is part of what every store promises.
"""

import json
import math
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path

from collector.completeness.ledger import StreamLedger
from collector.history import Point, Version
from collector.rows import DeadLetter, StoredClick, StoredSample
from collector.stores import Change, Conflict, TruckHead
from collector.stores.sqlite import click_counters, click_dropping, click_sessions, many_rows
from collector.stores.sqlite.alerts import SqliteAlerts
from collector.stores.sqlite.click_rows import CLICK, PUT, click_row, read_click
from collector.stores.sqlite.reader import SqliteReader
from contract import machine_clock
from contract.errors import Retryable

_SAMPLE_ROW = attrgetter(
    "order_key", "key", "stream_id", "seq", "content", "received_ms", "by_arrival", "text", "estimated"
)  # as the columns stand


class SqliteStore(SqliteAlerts, SqliteReader):
    """The `Store` on a SQLite file, which is made if it is not there. Use it from one thread at a time."""

    chunk = 10_000
    read_on = 30
    most_versions: int | None = None
    too_late_ms: int | None = None
    clicks_too_old_ms: int | None = None

    def __init__(self, path: Path) -> None:
        super().__init__(path, readonly=False)
        self.seconds_left: Callable[[], float] = lambda: math.inf
        """Not looked at: what waits here is the lock, some seconds at most."""

    @contextmanager
    def unit(self) -> Iterator[None]:
        """One write transaction; sqlite's faults (locked, full, I/O) come out as Retryable with nothing changed."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError):
            raise  # a fault of ours, which no waiting mends
        except sqlite3.DatabaseError as error:
            raise Retryable(f"the store could not be written: {error}") from error

    def now_ms(self) -> int:
        return machine_clock.now_ms()

    def remember_policy(self, text: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('track', ?)", [text])

    def put_samples(self, truck_id: str, samples: Sequence[StoredSample]) -> list[bool]:
        """True for each that was not there."""
        known = self._received(truck_id, [each.order_key for each in samples])
        fresh, earlier = [], {}
        for each in samples:
            first = known.get(each.order_key)
            fresh.append(first is None)
            if first is None or each.received_ms < first:
                known[each.order_key] = each.received_ms
                if first is not None:
                    earlier[each.order_key] = each.received_ms
        self._db.executemany(
            "INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(truck_id, *_SAMPLE_ROW(each)) for each, new in zip(samples, fresh, strict=True) if new],
        )
        self._receive_earlier(truck_id, earlier)
        return fresh

    def _received(self, truck_id: str, order_keys: Sequence[str]) -> dict[str, int]:
        """When those of these samples that are stored were received; order key → Unix ms."""
        rows = self._db.execute(
            "SELECT order_key, received_ms FROM samples"
            " WHERE truck_id = ? AND order_key IN (SELECT value FROM json_each(?))",
            [truck_id, json.dumps(order_keys)],
        )
        return dict(rows.fetchall())

    def _receive_earlier(self, truck_id: str, received: Mapping[str, int]) -> None:
        """Give stored samples another receipt. Each moves to the end of the order of storing, for the lake."""
        self._db.executemany(
            "UPDATE samples SET received_ms = ?, rowid = (SELECT max(rowid) + 1 FROM samples)"
            " WHERE truck_id = ? AND order_key = ?",
            [(received_ms, truck_id, order_key) for order_key, received_ms in received.items()],
        )

    def has_samples(self, truck_id: str, order_keys: Sequence[str]) -> set[str]:
        """Which of these order keys are stored."""
        return set(self._received(truck_id, order_keys))

    def claim(self, truck_id: str, contents: Mapping[str, str]) -> dict[str, str]:
        """The order key that each estimated content is known under: the given one where it is new."""
        rows = self._db.execute(
            "SELECT content, order_key FROM samples"
            " WHERE estimated = 1 AND truck_id = ? AND content IN (SELECT value FROM json_each(?))",
            [truck_id, json.dumps(list(contents))],
        )
        return {**contents, **dict(rows)}

    def put_keys(self, truck_id: str, keys: Mapping[str, str]) -> None:
        """Change the tracked keys of stored samples (order key → key)."""
        self._db.executemany(
            "UPDATE samples SET key = ? WHERE truck_id = ? AND order_key = ?",
            [(key, truck_id, order_key) for order_key, key in keys.items()],
        )

    def head(self, truck_id: str, streams: Collection[str] = ()) -> TruckHead:
        """The fence and, read with it, the ledgers of some streams."""
        row = self._db.execute(
            "SELECT h.latest, h.rev, v.order_key, v.key, v.end FROM heads h"
            " LEFT JOIN versions v ON v.truck_id = h.truck_id AND v.order_key = h.current WHERE h.truck_id = ?",
            [truck_id],
        ).fetchone()
        ledgers = {stream_id: self._ledger(truck_id, stream_id) for stream_id in streams}
        if row is None:
            return TruckHead(ledgers=ledgers)
        return TruckHead(row[0], Version(*row[2:]) if row[2] else None, row[1], ledgers)

    def _ledger(self, truck_id: str, stream_id: str) -> StreamLedger:
        row = self._db.execute(
            "SELECT ledger FROM streams WHERE truck_id = ? AND stream_id = ?", [truck_id, stream_id]
        ).fetchone()
        return StreamLedger.from_json(json.loads(row[0])) if row else StreamLedger()

    def version_before(self, truck_id: str, order_key: str) -> Version | None:
        """The last version that opened before an order key."""
        row = self._db.execute(
            "SELECT order_key, key, end FROM versions WHERE truck_id = ? AND order_key < ?"
            " ORDER BY order_key DESC LIMIT 1",
            [truck_id, order_key],
        ).fetchone()
        return Version(*row) if row else None

    def versions_from(self, truck_id: str, order_key: str) -> Iterator[Version]:
        """The versions that open at an order key and after it, ascending, read as they are asked for."""
        rows = self._db.execute(
            "SELECT order_key, key, end FROM versions WHERE truck_id = ? AND order_key >= ? ORDER BY order_key",
            [truck_id, order_key],
        )
        return (Version(*row) for row in rows)

    def points_from(self, truck_id: str, order_key: str) -> Iterator[Point]:
        """The stored samples at an order key and after it, ascending, read as they are asked for."""
        rows = self._db.execute(
            "SELECT order_key, key FROM samples WHERE truck_id = ? AND order_key >= ? ORDER BY order_key",
            [truck_id, order_key],
        )
        return (Point(*row) for row in rows)

    def apply(self, truck_id: str, read: TruckHead, change: Change) -> TruckHead:
        """Apply what was planned with `read`, and bump `rev`. Raises Conflict if the head has changed since.

        Gives the head as it is then, to plan the next act with.
        """
        steps = change.steps
        latest, current = max(change.latest, read.latest), steps.current or read.current
        names = [latest, current.order_key if current else "", truck_id]
        if read.rev:
            done = self._db.execute(
                "UPDATE heads SET latest = ?, current = ?, rev = rev + 1 WHERE truck_id = ? AND rev = ?",
                [*names, read.rev],
            )
        else:
            done = self._db.execute(
                "INSERT OR IGNORE INTO heads (latest, current, truck_id, rev) VALUES (?, ?, ?, 1)", names
            )
        if done.rowcount != 1:
            raise Conflict(f"truck {truck_id} was changed by another writer: read it again")
        self._db.executemany(
            "DELETE FROM versions WHERE truck_id = ? AND order_key = ?", [(truck_id, key) for key in steps.remove]
        )
        self._db.executemany(
            "UPDATE versions SET end = ? WHERE truck_id = ? AND order_key = ?",
            [(end, truck_id, key) for key, end in steps.close],
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?)",
            [(truck_id, version.order_key, version.key, version.end) for version in steps.put],
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO streams VALUES (?, ?, ?, ?)",
            [
                (truck_id, stream_id, json.dumps(ledger.as_json()), len(ledger.holes))
                for stream_id, ledger in change.ledgers.items()
            ],
        )
        return TruckHead(latest, current, read.rev + 1, {**read.ledgers, **change.ledgers})

    def put_status(self, truck_id: str, text: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO statuses VALUES (?, ?)", [truck_id, text])

    def put_clicks(self, clicks: Sequence[StoredClick]) -> list[bool]:
        """True for each event that was not there. Of several deliveries of one event that of the lowest rank counts."""
        stored = self._stored_clicks([click.event_id for click in clicks])
        before = dict(stored)
        kept_from = self.clicks_kept_from()
        fresh = []
        rivals: list[StoredClick] = []
        for click in clicks:
            known = stored.get(click.event_id)
            fresh.append(known is None)
            if known is None or (click.rank < known.rank and min(click.timestamp, known.timestamp) >= kept_from):
                stored[click.event_id] = click  # but what was counted before `kept_from` is settled
            if known is not None and known.content and known.content != click.content:
                rivals.append(max(known, click, key=lambda each: each.rank))
        changed = [click for event_id, click in stored.items() if before.get(event_id) is not click]
        many_rows.insert(self._db, PUT, [click_row(click) for click in changed])
        self._db.executemany(
            "INSERT OR IGNORE INTO click_rivals VALUES (?, ?, ?, ?)",
            [(each.event_id, each.content, each.received_ms, each.text) for each in rivals],
        )
        losers = [before[click.event_id] for click in changed if click.event_id in before]
        click_counters.count(self._db, changed, losers)
        click_sessions.update(self._db, changed, losers)
        return fresh

    def _stored_clicks(self, event_ids: Sequence[str]) -> dict[str, StoredClick]:
        rows = self._db.execute(
            f"SELECT {CLICK} FROM clicks WHERE event_id IN (SELECT value FROM json_each(?))", [json.dumps(event_ids)]
        )
        return {click.event_id: click for click in map(read_click, rows)} if event_ids else {}

    def put_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Keep each; one that is already there is counted."""
        self._db.executemany(
            "INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET times = times + 1",
            [(each.id, each.received_ms, each.source, each.field, each.reason, each.payload) for each in letters],
        )

    def remove_dead_letter(self, id: str) -> None:
        self._db.execute("DELETE FROM dead_letters WHERE id = ?", [id])

    def clicks_kept_from(self) -> str:
        return click_dropping.kept_from(self._db)

    def drop_clicks(self, before: str, at_most: int) -> int:
        with self.unit():
            return click_dropping.drop(self._db, before, at_most)

    def replace_click_counts(self) -> None:
        """Count the stored events anew, and make their sessions anew; what was dropped stays counted as it was."""
        click_counters.replace(self._db, self.clicks_kept_from())
        click_sessions.rebuild(self._db)
