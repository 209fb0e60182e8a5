"""The schema `live` of a PostgreSQL: made and migrated by Alembic, written by upserts that may be repeated.

A row is replaced only by a batch of the same run that is not older, or by another run: so a batch that Spark repeats
after a crash changes nothing, and a job that begins anew with an empty checkpoint overwrites what an earlier one left.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import psycopg

KEYS = {
    "traffic_hour": ("hour",),
    "product_hour": ("hour", "item_id"),
    "truck_hour": ("hour", "truck_id"),
    "session": ("session_id", "started_at"),
    "event_total": ("event_type",),
}


def migrate(url: str) -> None:
    """Bring the schema up to date. Raises sqlalchemy's errors where the database does not answer."""
    import sqlalchemy
    from alembic import command
    from alembic.config import Config

    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS live")
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()


def upsert(url: str, table: str, rows: Sequence[dict[str, Any]], *, run: str, batch_id: int) -> None:
    """Write the rows of one batch in one transaction."""
    if not rows:
        return
    names = [*rows[0], "run", "batch_id"]
    keys = KEYS[table]
    changed = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name not in keys)
    columns = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join(["%s"] * len(names))
    wanted = f"live.{table}.run <> excluded.run OR live.{table}.batch_id <= excluded.batch_id"
    statement = (
        f"INSERT INTO live.{table} ({columns}) VALUES ({marks})"
        f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changed} WHERE {wanted}"
    )
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.executemany(statement, [(*row.values(), run, batch_id) for row in rows])


def keep_raw(url: str, rows: Iterable[Sequence[Any]]) -> None:
    """Raw events, each once by where it lay: topic, partition, offset, identity, kind, at, received_at, document."""
    statement = (
        'INSERT INTO live.raw_event (topic, "partition", "offset", identity, kind, "at", received_at, document)'
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
    )
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.executemany(statement, [tuple(row) for row in rows])


def note_late(url: str, job: str, run: str, batch_id: int, dropped: int) -> None:
    """How many rows the watermark of a job dropped in a batch."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO live.late_rows VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (job, run, batch_id) DO UPDATE SET dropped = excluded.dropped",
            (job, run, batch_id, dropped),
        )
