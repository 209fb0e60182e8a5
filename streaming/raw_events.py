"""Raw events by day of arrival, what of them was refused, and the sales among them.

From the raw events everything else can be counted again. They are kept for so many days; a day is dropped whole. What
arrives with a time far from now, which only a producer with a wrong clock makes, lies in `raw_event_other`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from contract.forgotten import Forgotten
from streaming.forgotten_rows import WRITING, raw_rows
from streaming.live_tables import instant

_LOCK = 0x6C697665  # one change of the table's days at a time
_RAW = ("received_at", "topic", "partition", "offset", "identity", "kind", "at", "document")
_REFUSED = ("received_at", "topic", "partition", "offset", "identity", "fault", "reason", "payload")


def keep(url: str, rows: Iterable[Mapping[str, Any]], *, days: int, today: date, marks: Forgotten) -> None:
    """Write one batch in one transaction; a repeat changes nothing.

    Args:
        url: of the database.
        rows: columns of `streaming.kafka_source`, as Spark gives them.
        days: how long raw events are kept; older ones are dropped, and not taken.
        today: UTC.
        marks: who and what is forgotten, and stays so.
    """
    oldest = today - timedelta(days=days)
    written = ({name: instant(value) for name, value in row.items()} for row in rows)
    taken = [row for row in written if row["received_at"].date() >= oldest]
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(WRITING)
        found = raw_rows(taken, marks)
        _make_days(cursor, {row["received_at"].date() for row in found}, oldest, today)
        columns = 'received_at, topic, "partition", "offset", identity'
        cursor.executemany(
            f"INSERT INTO live.raw_event ({columns}, kind, at, document) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            _columns(found, _RAW),
        )
        cursor.executemany(
            f"INSERT INTO live.quarantine ({columns}, field, reason, payload)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            _columns([row for row in found if row["kind"] == "refused"], _REFUSED),
        )
        _keep_sales(cursor, [row for row in found if row["event_type"] == "purchase" and not row["is_bot"]])


def _columns(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def _keep_sales(cursor: "psycopg.Cursor[Any]", rows: Sequence[Mapping[str, Any]]) -> None:
    """Each order once: its earliest purchase event counts, in whatever order they come."""
    statement = (
        "INSERT INTO live.sale (sale_id, at, identity, session_id, currency, lines) VALUES (%s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (sale_id) DO UPDATE SET at = excluded.at, identity = excluded.identity,"
        " session_id = excluded.session_id, currency = excluded.currency, lines = excluded.lines"
        ' WHERE (excluded.at, excluded.identity COLLATE "C") < (sale.at, sale.identity COLLATE "C")'
    )
    values = [
        (
            row["order_id"] or row["identity"],
            row["at"],
            row["identity"],
            row["session_id"],
            row["currency"],
            row["lines"],
        )
        for row in rows
    ]
    in_one_order = sorted(values, key=lambda value: value[:3])  # so that two writers cannot wait for each other
    cursor.executemany(statement, in_one_order)


def _make_days(cursor: "psycopg.Cursor[Any]", wanted: Iterable[date], oldest: date, today: date) -> None:
    """A part for each day from the oldest that is kept to tomorrow; parts before that are dropped."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'live.raw_event'::regclass")
    there = {name.rpartition("_")[2] for (name,) in cursor.fetchall()} - {"other"}
    for day in sorted(wanted):
        if f"{day:%Y%m%d}" not in there and oldest <= day <= today + timedelta(days=1):
            _make_day(cursor, day)
    gone = sorted(day for day in there if day < f"{oldest:%Y%m%d}")
    for day in gone:
        cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier("live", f"raw_event_{day}")))
    if gone:
        for table in ("raw_event_other", "quarantine"):
            cursor.execute(sql.SQL("DELETE FROM {} WHERE received_at < %s").format(sql.Identifier("live", table)),
                           [_start(oldest)])  # fmt: skip


def _make_day(cursor: "psycopg.Cursor[Any]", day: date) -> None:
    """With what came too early for it."""
    table, other = sql.Identifier("live", f"raw_event_{day:%Y%m%d}"), sql.Identifier("live", "raw_event_other")
    first, end = sql.Literal(_start(day)), sql.Literal(_start(day + timedelta(days=1)))
    cursor.execute(sql.SQL("CREATE TABLE {} (LIKE live.raw_event INCLUDING ALL)").format(table))
    cursor.execute(
        sql.SQL(
            "WITH moved AS (DELETE FROM {} WHERE received_at >= {} AND received_at < {} RETURNING *)"
            " INSERT INTO {} SELECT * FROM moved"
        ).format(other, first, end, table)
    )
    attach = sql.SQL("ALTER TABLE live.raw_event ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})")
    cursor.execute(attach.format(table, first, end))


def _start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
