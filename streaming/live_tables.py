"""The schema `live` of a PostgreSQL: made and migrated by Alembic; what is counted is written by upserts.

A row is replaced only by a batch of the same run that is not older, or by another run: so a batch that Spark repeats
after a crash changes nothing, and a job that begins anew with an empty checkpoint overwrites what an earlier one left.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from contract.forgotten import Forgotten
from streaming.forgotten_rows import WRITING, counted_rows
from streaming.settings import StreamedMoney

KEYS = {
    "traffic_hour": ("hour",),
    "product_hour": ("hour", "item_id"),
    "truck_hour": ("hour", "truck_id"),
    "session": ("session_id", "started_at"),
    "event_total": ("event_type",),
}


def migrate(url: str, revision: str = "head") -> None:
    """Bring the schema up to a revision. Raises sqlalchemy's errors where the database does not answer."""
    import sqlalchemy
    from alembic import command
    from alembic.config import Config

    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS live")
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def set_rates(url: str, money: StreamedMoney) -> None:
    """Say what other currencies are worth in the main one; the views convert by it."""
    rates = [(name, rate, False) for name, rate in money.rates.items() if name != money.currency]
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM live.currency_rate")
        cursor.executemany("INSERT INTO live.currency_rate VALUES (%s, %s, %s)", [(money.currency, 1.0, True), *rates])


def upsert(  # noqa: PLR0913 - what is written, and who writes it
    url: str, table: str, rows: Sequence[dict[str, Any]], *, run: str, batch_id: int, marks: Forgotten
) -> None:
    """Write the rows of one batch in one transaction; a repeat changes nothing.

    Args:
        url: of the database.
        table: of KEYS.
        rows: column → value, all with the same columns.
        run, batch_id: who writes: a row is replaced by a batch of the same run that is not older, or by another run.
        marks: who and what is forgotten, and stays so.
    """
    if not rows:
        return
    names = [*rows[0], "run", "batch_id"]
    keys = KEYS[table]
    changed = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name not in keys)
    columns = ", ".join(f'"{name}"' for name in names)
    holders = ", ".join(["%s"] * len(names))
    wanted = f"live.{table}.run <> excluded.run OR live.{table}.batch_id <= excluded.batch_id"
    statement = (
        f"INSERT INTO live.{table} ({columns}) VALUES ({holders})"
        f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changed} WHERE {wanted}"
    )
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(WRITING)
        written = [{name: instant(value) for name, value in row.items()} for row in rows]
        cursor.executemany(statement, [(*row.values(), run, batch_id) for row in counted_rows(table, written, marks)])


def instant(value: Any) -> Any:
    """A value as PostgreSQL shall have it: Spark gives times of this machine's zone, without saying so."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def note_late(url: str, job: str, run: str, batch_id: int, dropped: int) -> None:
    """How many rows the watermark of a job dropped in a batch."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO live.late_rows VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (job, run, batch_id) DO UPDATE SET dropped = excluded.dropped",
            (job, run, batch_id, dropped),
        )
