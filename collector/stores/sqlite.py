"""The box's store: one SQLite file in WAL mode, `synchronous=FULL`, any number of processes (DESIGN §1, §4).

A `unit()` is one write transaction. It takes the write lock at its start, so within it nothing can conflict; `rev` is
kept all the same, since it is part of what every store promises.
"""

import json
import sqlite3
from collections import Counter as Tally
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path

from collector.history import Point, Steps, Version
from collector.ledger import Stream
from collector.stores import Conflict, Counter, DeadLetter, Head, StoredClick, StoredSample
from collector.stores.sqlite_reader import SqliteReader
from contract.errors import Retryable

_SAMPLE_ROW = attrgetter(
    "order_key", "key", "stream_id", "seq", "content", "received_ms", "by_arrival", "text"
)  # as the columns stand


class SqliteStore(SqliteReader):
    """The `Store` on a SQLite file, which is made if it is not there. Use it from one thread at a time."""

    chunk = 200

    def __init__(self, path: Path) -> None:
        super().__init__(path, readonly=False)

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

    def remember_policy(self, text: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('track', ?)", [text])

    def put_samples(self, truck_id: str, samples: Sequence[StoredSample]) -> list[bool]:
        """True for each that was not there. One dated by its arrival is known by its content alone."""
        known = self._known("order_key", "truck_id = ?", [truck_id], [each.order_key for each in samples])
        arrived = [each.content for each in samples if each.by_arrival]
        contents = self._known("content", "by_arrival = 1 AND truck_id = ?", [truck_id], arrived) if arrived else set()
        fresh = []
        for each in samples:
            new = each.order_key not in known and not (each.by_arrival and each.content in contents)
            fresh.append(new)
            known.add(each.order_key)
            if each.by_arrival:
                contents.add(each.content)
        self._db.executemany(
            "INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(truck_id, *_SAMPLE_ROW(each)) for each, new in zip(samples, fresh, strict=True) if new],
        )
        return fresh

    def _known(self, column: str, where: str, values: list[str], candidates: Sequence[str]) -> set[str]:
        """Which of the candidates a column of samples already has."""
        rows = self._db.execute(
            f"SELECT {column} FROM samples WHERE {where} AND {column} IN (SELECT value FROM json_each(?))",
            [*values, json.dumps(candidates)],
        )
        return {row[0] for row in rows}

    def head(self, truck_id: str) -> Head | None:
        row = self._db.execute(
            "SELECT h.latest, h.rev, v.order_key, v.key, v.end FROM heads h"
            " JOIN versions v ON v.truck_id = h.truck_id AND v.order_key = h.current WHERE h.truck_id = ?",
            [truck_id],
        ).fetchone()
        return Head(row[0], Version(*row[2:]), row[1]) if row else None

    def version_before(self, truck_id: str, order_key: str) -> Version | None:
        """The last version that opened before an order key."""
        return self._version("order_key < ? ORDER BY order_key DESC", truck_id, order_key)

    def version_from(self, truck_id: str, order_key: str) -> Version | None:
        """The first version that opened at an order key or after it."""
        return self._version("order_key >= ? ORDER BY order_key", truck_id, order_key)

    def _version(self, which: str, truck_id: str, order_key: str) -> Version | None:
        row = self._db.execute(
            f"SELECT order_key, key, end FROM versions WHERE truck_id = ? AND {which} LIMIT 1", [truck_id, order_key]
        ).fetchone()
        return Version(*row) if row else None

    def points_from(self, truck_id: str, order_key: str) -> Iterator[Point]:
        """The stored samples at an order key and after it, ascending, read as they are asked for."""
        rows = self._db.execute(
            "SELECT order_key, key FROM samples WHERE truck_id = ? AND order_key >= ? ORDER BY order_key",
            [truck_id, order_key],
        )
        return (Point(*row) for row in rows)

    def apply(self, truck_id: str, read: Head | None, steps: Steps, latest: str) -> None:
        """Apply a plan that was made with `read`, and bump `rev`. Raises Conflict if the head has changed since."""
        if read is None:
            current = steps.current or latest
            done = self._db.execute("INSERT OR IGNORE INTO heads VALUES (?, ?, ?, 1)", [truck_id, latest, current])
        else:
            done = self._db.execute(
                "UPDATE heads SET latest = ?, current = ?, rev = rev + 1 WHERE truck_id = ? AND rev = ?",
                [max(latest, read.latest), steps.current or read.current.order_key, truck_id, read.rev],
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
        self._insert_versions(truck_id, steps.put)

    def _insert_versions(self, truck_id: str, versions: Sequence[Version]) -> None:
        self._db.executemany(
            "INSERT INTO versions VALUES (?, ?, ?, ?)",
            [(truck_id, version.order_key, version.key, version.end) for version in versions],
        )

    def ledger(self, truck_id: str, stream_id: str) -> Stream:
        """The ledger of one stream, empty where it is new."""
        row = self._db.execute(
            "SELECT ledger FROM streams WHERE truck_id = ? AND stream_id = ?", [truck_id, stream_id]
        ).fetchone()
        return Stream.from_json(json.loads(row[0])) if row else Stream()

    def put_ledgers(self, truck_id: str, ledgers: Mapping[str, Stream]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO streams VALUES (?, ?, ?, ?)",
            [
                (truck_id, stream_id, json.dumps(ledger.as_json()), len(ledger.holes))
                for stream_id, ledger in ledgers.items()
            ],
        )

    def put_status(self, truck_id: str, text: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO statuses VALUES (?, ?)", [truck_id, text])

    def put_clicks(self, clicks: Sequence[StoredClick]) -> list[bool]:
        """True for each event that was not there; exactly those are counted."""
        known = self.has_clicks([click.event_id for click in clicks]) if clicks else set()
        fresh = []
        for click in clicks:
            fresh.append(click.event_id not in known)
            known.add(click.event_id)
        new = [click for click, is_new in zip(clicks, fresh, strict=True) if is_new]
        self._db.executemany("INSERT INTO clicks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_click_row, new))
        tally: Tally[Counter] = Tally()
        for click in new:
            tally[click.counter] += click.count
        self._db.executemany(
            "INSERT INTO click_counts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
            [
                (counter.minute, counter.item_id or "", counter.item_name or "", counter.event_type, count)
                for counter, count in tally.items()
                if count
            ],
        )
        return fresh

    def put_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Keep each; one that is already there is counted."""
        self._db.executemany(
            "INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET times = times + 1",
            [(each.id, each.received_ms, each.source, each.field, each.reason, each.payload) for each in letters],
        )

    def remove_dead_letter(self, id: str) -> None:
        self._db.execute("DELETE FROM dead_letters WHERE id = ?", [id])

    def replace_history(self, truck_id: str, keys: Mapping[str, str], versions: Sequence[Version]) -> None:
        """Rewrite a truck's tracked keys (order key → key) and its whole history."""
        self._db.executemany(
            "UPDATE samples SET key = ? WHERE truck_id = ? AND order_key = ?",
            [(key, truck_id, order_key) for order_key, key in keys.items()],
        )
        self._db.execute("DELETE FROM versions WHERE truck_id = ?", [truck_id])
        self._insert_versions(truck_id, versions)
        self._db.execute(
            "INSERT INTO heads VALUES (?, ?, ?, 1)"
            " ON CONFLICT DO UPDATE SET latest = excluded.latest, current = excluded.current, rev = rev + 1",
            [truck_id, max(keys), versions[-1].order_key],
        )

    def replace_click_counts(self) -> None:
        """Count all stored events anew."""
        self._db.execute("DELETE FROM click_counts")
        self._db.execute(
            "INSERT INTO click_counts SELECT minute, ifnull(item_id, ''), ifnull(item_name, ''), event_type, sum(count)"
            " FROM clicks GROUP BY 1, 2, 3, 4 HAVING sum(count) > 0"
        )


def _click_row(click: StoredClick) -> tuple[str | int | None, ...]:
    counter = click.counter
    return (
        click.event_id,
        click.timestamp,
        click.session_id,
        click.page,
        counter.minute,
        counter.item_id,
        counter.item_name,
        counter.event_type,
        click.count,
        click.received_ms,
        click.text,
    )
