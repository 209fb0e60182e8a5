"""The marts in one DuckDB file, the default: built beside the finished file, which is then replaced.

So readers, which open the finished file read-only, are never locked out and never see half a build, and a build that
is killed leaves a file that the next one overwrites.
"""

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType

import duckdb

from contract.errors import Misconfigured, Unreachable
from warehouse.engines import LakeView, Rows
from warehouse.engines.building import QualityStopped, audit, stale, statements
from warehouse.lake.tables import TABLES
from warehouse.lake.writing import checked_relation, damaged, full_disk
from warehouse.rendering import CUT, RenderedModel, models

_SCHEMAS = ("lake", "base", "marts")
_PART = 32_000_000  # bytes of Parquet that are turned into rows by day at a time
_FUNCTIONS_OFF = "SET enable_external_access = false"


_BARE_AT = re.compile(r"""'(?:[^']|'')*'|"[^"]*"|--[^\n]*|\bat\b(?!\s*(?:\(|time\s+zone\b))""", re.IGNORECASE)


_HELD: ContextVar[Mapping[Path, duckdb.DuckDBPyConnection]] = ContextVar("held", default=MappingProxyType({}))
"""Files that `held` keeps open, for the queries inside it."""


def opened(path: Path) -> duckdb.DuckDBPyConnection:
    """The marts of a finished file, to read, as they are now.

    The file is attached to a database of its own. What opens one path twice within a process gets DuckDB's first
    opening of it both times, and with that the file of before where a build has replaced it since.

    Args:
        path: of the file.

    Returns:
        A connection for the caller to close, whose tables need no schema and whose times are UTC.

    Raises:
        Misconfigured: it is no DuckDB file, or has no marts.
    """
    db = duckdb.connect()
    try:
        quoted = str(path).replace("'", "''")
        db.execute(f"ATTACH '{quoted}' AS warehouse (READ_ONLY)")
        return _of_the_warehouse(db)
    except duckdb.Error as error:
        db.close()
        raise Misconfigured(
            f"{path} cannot be read as a warehouse: {str(error).splitlines()[0]};"
            " remove it and run `milepost warehouse build`"
        ) from None


def _of_the_warehouse(db: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    db.execute("SET search_path = 'warehouse.marts,warehouse.base'")
    db.execute("SET TimeZone = 'UTC'")
    return db


def _one(db: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    """The one statement that a text is. A column named at, as in fuel_event, needs no quotes, as in other engines."""
    try:
        parsed = db.extract_statements(sql)
    except duckdb.ParserException:
        quoted = _BARE_AT.sub(lambda found: '"at"' if found[0].lower() == "at" else found[0], sql)
        if quoted == sql:
            raise
        parsed = db.extract_statements(quoted)
    if len(parsed) != 1:
        raise Misconfigured("give one SQL statement")
    return parsed[0]


def _rows(cursor: duckdb.DuckDBPyConnection) -> Rows:
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _parts(held: Mapping[str, Sequence[str]], days: Iterable[str]) -> list[frozenset[str]]:
    """Days in order, as many at a time as their files have _PART bytes, but at least one."""
    parts: list[set[str]] = []
    size = 0
    for day in sorted(days):
        more = sum(Path(path).stat().st_size for path in held.get(day, ()))
        if not parts or size + more > _PART:
            parts.append(set())
            size = 0
        parts[-1].add(day)
        size += more
    return [frozenset(part) for part in parts]


def _make(db: duckdb.DuckDBPyConnection, model: RenderedModel, days: frozenset[str] | None) -> None:
    for statement in statements(model, days):
        db.execute(statement)
    audit(model, days, lambda query: _rows(db.execute(query)))


def _tell(db: duckdb.DuckDBPyConnection, run: Rows) -> None:
    places = ", ".join("?" for _ in run[0])
    db.execute("BEGIN; DELETE FROM marts.quality_run")
    db.executemany(f"INSERT INTO marts.quality_run VALUES ({places})", [list(row.values()) for row in run])
    db.execute("COMMIT; CHECKPOINT")


class DuckDbEngine:
    """The `Engine` on a DuckDB file.

    Args:
        path: the file.
        memory: what DuckDB may use at most while it builds, as it writes sizes.
    """

    def __init__(self, path: Path, *, memory: str = "1GB") -> None:
        self._path, self._memory = path, memory

    def holds(self) -> tuple[int, str] | None:
        if not self._path.exists():
            return None
        try:
            with self._reading() as db:
                return db.execute("SELECT build, models FROM marts.build").fetchone()
        except duckdb.CatalogException:
            return None

    def build(self, lake: LakeView, models_digest: str) -> dict[str, int]:
        try:
            return self._made(lake, models_digest)
        except (OSError, duckdb.IOException, duckdb.InvalidInputException, duckdb.OutOfMemoryException) as error:
            if full := full_disk(error, self._path.parent, "milepost warehouse build"):
                raise full from None
            files = [path for days in lake.files.values() for paths in days.values() for path in paths]
            if any(path in str(error) for path in files):
                raise damaged(error, files) from None
            raise Unreachable(f"{self._path} cannot be built: {str(error).splitlines()[0]}") from None

    def _made(self, lake: LakeView, models_digest: str) -> dict[str, int]:
        try:
            with self._replacing(lake.changed is not None) as db:
                return self._fill(db, lake, models_digest)
        except QualityStopped as stopped:
            if self._path.exists():
                with self._replacing(True) as db:
                    _tell(db, stopped.run)
            raise

    @contextmanager
    def _replacing(self, is_grown: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        """A file beside the finished one, which takes its place at the end. is_grown: it begins as a copy of that."""
        made = self._path.with_name(f".{self._path.name}.new")
        made.unlink(missing_ok=True)
        made.with_name(f"{made.name}.wal").unlink(missing_ok=True)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if is_grown:
                shutil.copyfile(self._path, made)
            with duckdb.connect(str(made)) as db:
                yield db
            made.replace(self._path)
        finally:
            made.unlink(missing_ok=True)

    def _fill(self, db: duckdb.DuckDBPyConnection, lake: LakeView, models_digest: str) -> dict[str, int]:
        db.execute("SET TimeZone = 'UTC'")
        db.execute("SET enable_progress_bar = false")
        db.execute(f"SET memory_limit = '{self._memory}'")
        db.execute("SET parquet_metadata_cache = true")  # each view and each query opens all files otherwise
        db.execute("BEGIN")
        for name in _SCHEMAS:
            db.execute(f"CREATE SCHEMA IF NOT EXISTS {name}")
        counts: dict[str, int] = {}
        days = lake.changed["telemetry"] if lake.changed else None
        found = stale(models("duckdb"), lake)
        by_day = [model for model in models("duckdb") if model.by_day]
        self._by_day(db, lake, [model for model in by_day if model.name in found.part], days)
        self._by_day(db, lake, [model for model in by_day if model.name in found.whole], None)
        others = [model for model in models("duckdb") if not model.by_day and model.name in found.part | found.whole]
        self._sources(db, lake, lake.files, others)
        for model in others:
            _make(db, model, days if model.name in found.part else None)
        db.execute(f"DELETE FROM {CUT}")  # it is of this build alone
        for model in models("duckdb"):
            if model.name.startswith("marts."):
                total = db.execute(f"SELECT count(*) FROM {model.name}").fetchone()
                counts[model.name.removeprefix("marts.")] = total[0] if total else 0
        db.execute("CREATE OR REPLACE TABLE marts.build AS SELECT ? AS build, ? AS models", [lake.build, models_digest])
        for name in lake.sources:
            db.execute(f"DROP VIEW IF EXISTS lake.{name}")
        db.execute("COMMIT")
        db.execute("CHECKPOINT")
        return counts

    def _by_day(
        self,
        db: duckdb.DuckDBPyConnection,
        lake: LakeView,
        made: Sequence[RenderedModel],
        days: frozenset[str] | None,
    ) -> None:
        """Models whose rows of a day are made of the lake's rows of that day, a part of the days at a time.

        So what a build needs of memory and of Parquet files at a time does not grow with the lake. days: those to
        replace; None makes the tables anew.
        """
        if not made:
            return
        held = lake.files["telemetry"]
        parts = _parts(held, held if days is None else days)
        if days is None:  # the first part makes the tables, also where there is no day
            parts = parts or [frozenset()]
        for number, part in enumerate(parts):
            mine = {day: paths for day, paths in held.items() if day in part}
            self._sources(db, lake, {**lake.files, "telemetry": mine}, made)
            for model in made:
                _make(db, model, None if number == 0 and days is None else part)

    def _sources(
        self,
        db: duckdb.DuckDBPyConnection,
        lake: LakeView,
        files: Mapping[str, Mapping[str, Sequence[str]]],
        made: Sequence[RenderedModel],
    ) -> None:
        """The sources that these models read. A lasting view may not name a temporary one: the raw relation is written
        into it."""
        held = {}
        for table in TABLES:
            paths = [path for each in files.get(table.name, {}).values() for path in each]
            held[table.name] = checked_relation(db, table, paths)
        read = frozenset().union(*(model.reads for model in made))
        for name, query in lake.sources.items():
            if f"lake.{name}" in read:
                for table_name, rows in held.items():
                    query = query.replace(f"FROM raw_{table_name}", f"FROM {rows} AS raw_{table_name}")
                db.execute(f"CREATE OR REPLACE VIEW lake.{name} AS {query}")

    def query(self, sql: str) -> Rows:
        if not self._path.exists():
            raise Misconfigured(f"no warehouse at {self._path}: `milepost warehouse build` makes one")
        with self._reading() as db:
            db.execute(_FUNCTIONS_OFF)
            try:
                cursor = db.execute(_one(db, sql))
            except duckdb.Error as error:
                raise Misconfigured(f"the warehouse refuses the SQL: {error}") from None
            return _rows(cursor)

    @contextmanager
    def held(self) -> Iterator[None]:
        if not self._path.exists():
            yield
            return
        with opened(self._path) as db:
            before = _HELD.set({**_HELD.get(), self._path: db})
            try:
                yield
            finally:
                _HELD.reset(before)

    def _reading(self) -> duckdb.DuckDBPyConnection:
        held = _HELD.get().get(self._path)
        return _of_the_warehouse(held.cursor()) if held else opened(self._path)
