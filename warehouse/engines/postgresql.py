"""The marts in PostgreSQL: made beside the old ones, which are replaced in the same transaction.

A reader waits for the moment in which rows are exchanged, never for the build; rights and views on the marts stay.
A mart has a primary key on its grain, and an index on its truck and its time where the key begins with neither.
Every build makes every mart from the start: what DuckDB keeps by day is not kept here.
"""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from contract.errors import Misconfigured, Unreachable
from warehouse.engines import LakeView, Rows, files_of
from warehouse.engines.building import QualityStopped, audit, statements
from warehouse.lake.tables import TABLES
from warehouse.lake.writing import checked_relation
from warehouse.rendering import RenderedModel, models

_TYPES = {
    "VARCHAR": 'text COLLATE "C"',  # DuckDB and history sort texts by their bytes
    "DOUBLE": "double precision",
    "BIGINT": "bigint",
    "INTEGER": "integer",
    "BOOLEAN": "boolean",
    "TIMESTAMP": "timestamp",
    "DATE": "date",
}
_LOCK = 0x6D696C65  # one build at a time on a database
_WITHOUT_LIMIT = {
    *("campaign", "category", "country", "from_page", "medium", "model_version", "page", "placement", "reason"),
    *("source", "term", "to_page", "value"),
}
"""Columns of a grain that hold what a stranger sent, as long as he likes: an index takes 2,704 bytes a row at most."""
_REFUSED = {"completeness_day"}  # its trucks are also those that refused records name
_TIMES = (
    *("at", "day", "effective_start_date", "entered_at", "hour", "month", "placed_at", "started_at", "stop_start"),
    "trip_start",
)
"""Columns by which a period is chosen; of several in a mart the first counts."""
_BESIDE = {"lake": "lake_new", "base": "base_new", "marts": "marts_new"}


class PostgresEngine:
    """The `Engine` on a PostgreSQL database.

    Args:
        url: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`; the user may create schemas.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def held(self) -> AbstractContextManager[None]:
        return nullcontext()

    def holds(self) -> tuple[int, str] | None:
        with self._connected() as connection:
            if connection.execute("SELECT to_regclass('marts.build')").fetchone() == (None,):
                return None
            return connection.execute("SELECT build, models FROM marts.build").fetchone()

    def build(self, lake: LakeView, models_digest: str) -> dict[str, int]:
        try:
            with self._writing() as connection:
                return _fill(connection, lake, models_digest)
        except QualityStopped as stopped:
            with self._writing() as connection:
                if connection.execute("SELECT to_regclass('marts.quality_run')").fetchone() != (None,):
                    _tell(connection, stopped.run)
            raise

    @contextmanager
    def _writing(self) -> Iterator["psycopg.Connection[Any]"]:
        with self._connected() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            connection.execute("SET LOCAL TimeZone = 'UTC'")
            yield connection

    def query(self, sql: str) -> Rows:
        with self._connected() as connection:
            connection.read_only = True
            try:
                connection.execute("SET search_path = marts")
                connection.execute("SET TimeZone = 'UTC'")
                found = connection.cursor(row_factory=dict_row).execute(sql.encode())
                return found.fetchall() if found.description else []
            except psycopg.Error as error:
                raise Misconfigured(f"the warehouse refuses the SQL: {str(error).strip()}") from None

    @contextmanager
    def _connected(self) -> Iterator["psycopg.Connection[Any]"]:
        try:
            connection = psycopg.connect(self._url, connect_timeout=10)
        except psycopg.OperationalError as error:
            raise Unreachable(f"the PostgreSQL of --engine does not answer: {str(error).strip()}") from None
        with connection:
            yield connection


def _fill(connection: "psycopg.Connection[Any]", lake: LakeView, models_digest: str) -> dict[str, int]:
    for schema in ("marts", *_BESIDE.values()):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    _load(connection, lake)
    counts = {}
    for model in models("postgresql"):
        _make(connection, model)
        if model.name.startswith("marts."):
            name = model.name.removeprefix("marts.")
            counts[name] = _exchange(connection, name, key(model))
    connection.execute("DROP TABLE IF EXISTS marts.build")
    connection.execute("CREATE TABLE marts.build (build bigint, models text)")
    connection.execute("INSERT INTO marts.build VALUES (%s, %s)", [lake.build, models_digest])
    for schema in _BESIDE.values():
        connection.execute(f"DROP SCHEMA {schema} CASCADE")
    return counts


def _load(connection: "psycopg.Connection[Any]", lake: LakeView) -> None:
    """The models' sources, read by DuckDB and copied: JSON and Parquet are read in one place for all engines."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        for table in TABLES:
            rows = checked_relation(db, table, files_of(lake, table))
            db.execute(f"CREATE VIEW raw_{table.name} AS SELECT * FROM {rows}")
        for name, query in lake.sources.items():
            columns = [(row[0], row[1]) for row in db.execute(f"DESCRIBE {query}").fetchall()]
            declared = ", ".join(f'"{column}" {_TYPES[kind]}' for column, kind in columns)
            connection.execute(f"CREATE TABLE lake_new.{name} ({declared})".encode())
            path = Path(folder) / f"{name}.csv"
            db.execute(f"COPY ({query}) TO '{path}' (format csv, header false)")
            with connection.cursor().copy(f"COPY lake_new.{name} FROM STDIN (FORMAT csv)".encode()) as copy:
                _send(path, copy)
            connection.execute(f"ANALYZE lake_new.{name}".encode())
            path.unlink()


def _send(path: Path, copy: psycopg.Copy) -> None:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            copy.write(block)


def _make(connection: "psycopg.Connection[Any]", model: RenderedModel) -> None:
    for statement in statements(model, None):
        connection.execute(_beside(statement).encode())
    connection.execute(f"ANALYZE {_beside(model.name)}".encode())
    asking = connection.cursor(row_factory=dict_row)
    audit(model, None, lambda query: asking.execute(_beside(query).encode()).fetchall())


def _tell(connection: "psycopg.Connection[Any]", run: Rows) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, run[0]))
    places = sql.SQL(", ").join(map(sql.Placeholder, run[0]))
    connection.execute("DELETE FROM marts.quality_run")
    insert = sql.SQL("INSERT INTO marts.quality_run ({}) VALUES ({})").format(names, places)
    connection.cursor().executemany(insert, run)


def _beside(statement: str) -> str:
    for schema, beside in _BESIDE.items():
        statement = statement.replace(f'"{schema}".', f'"{beside}".').replace(f" {schema}.", f" {beside}.")
        if statement.startswith(f"{schema}."):
            statement = beside + statement.removeprefix(schema)
    return statement


def key(model: RenderedModel) -> list[str]:
    """The columns of a mart's primary key: its grain; none where that has texts of any length, which no index holds."""
    unlimited = model.name.removeprefix("marts.") in _REFUSED or _WITHOUT_LIMIT & {*model.grain}
    return [] if unlimited else model.grain


def _exchange(connection: "psycopg.Connection[Any]", name: str, key: list[str]) -> int:
    """Put the new rows into the mart, with its key and indexes; a mart whose columns changed is made anew."""
    columns = (
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
    )
    columns += " ORDER BY ordinal_position"
    new, old = (connection.execute(columns.encode(), [each, name]).fetchall() for each in ("marts_new", "marts"))
    mart, made = sql.Identifier("marts", name), sql.Identifier("marts_new", name)
    if new != old:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(mart))
        connection.execute(sql.SQL("CREATE TABLE {} AS SELECT * FROM {}").format(mart, made))
    else:
        connection.execute(sql.SQL("DELETE FROM {}").format(mart))
        if _held_key(connection, name) not in ([], key):  # of another release
            primary = sql.Identifier(f"{name}_pkey")
            connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}").format(mart, primary))
        connection.execute(sql.SQL("INSERT INTO {} SELECT * FROM {}").format(mart, made))
    _index(connection, name, key, [column for column, _ in new])
    connection.execute(sql.SQL("ANALYZE {}").format(mart))
    counted = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(mart)).fetchone()
    return int(counted[0]) if counted else 0


def _held_key(connection: "psycopg.Connection[Any]", name: str) -> list[str]:
    columns = "SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indexrelid"
    columns += " WHERE indisprimary AND indrelid = to_regclass(%s) ORDER BY attnum"
    return [column for (column,) in connection.execute(columns.encode(), [f"marts.{name}"])]


def _index(connection: "psycopg.Connection[Any]", name: str, key: list[str], columns: list[str]) -> None:
    """The key and the indexes that are not there yet. Those that are stay: to make them anew would lock readers out."""
    mart = sql.Identifier("marts", name)
    if key and not _held_key(connection, name):
        listed = sql.SQL(", ").join(map(sql.Identifier, key))
        named = sql.Identifier(f"{name}_pkey")
        connection.execute(sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY ({})").format(mart, named, listed))
    asked = [column for column in columns if column in _TIMES][:1]
    if "truck_id" in columns and name not in _REFUSED:
        asked.append("truck_id")
    for column in asked:
        if [column] != key[:1]:
            named, by = sql.Identifier(f"{name}_by_{column}"), sql.Identifier(column)
            connection.execute(sql.SQL("CREATE INDEX IF NOT EXISTS {} ON {} ({})").format(named, mart, by))
