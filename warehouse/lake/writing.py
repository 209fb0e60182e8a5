"""Writes the files of one table, in DuckDB: new rows are staged by day, and each day that changes is written anew.

Nothing here is visible to a reader until the catalogue commits the paths that come back.
"""

import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import duckdb

from contract import timestamps
from contract.errors import Unreachable
from warehouse.lake.schema import DUCKDB, LakeTable

_GROUP = 60_000  # rows: a query for one truck of a sorted day reads few of them


class DamagedFile(Unreachable):
    """A data file of the lake that cannot be read; the store still holds its rows."""


def connection(scratch: Path, memory: str) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory that spills into `scratch` and reckons in UTC."""
    scratch.mkdir(parents=True, exist_ok=True)
    made = duckdb.connect()
    made.execute("SET TimeZone = 'UTC'")
    made.execute(f"SET memory_limit = '{memory}'")
    made.execute(f"SET temp_directory = '{_quoted(scratch / 'spill')}'")
    made.execute("SET preserve_insertion_order = false")
    made.execute("SET enable_progress_bar = false")
    return made


class TableWriter:
    """The files of one table.

    held: day → paths of the snapshot that the build starts from. ids: column → its Iceberg field id.
    """

    def __init__(
        self,
        db: duckdb.DuckDBPyConnection,
        table: LakeTable,
        folder: Path,
        *,
        held: Mapping[str, Sequence[str]],
        ids: Mapping[str, int],
    ) -> None:
        self._db, self._table, self._held, self._ids = db, table, dict(held), ids
        self._data = folder / table.name / "data"
        self._stage = folder / ".stage" / table.name
        shutil.rmtree(self._stage, ignore_errors=True)
        self._typed: Callable[[str], str] | None = None
        self.rows = 0

    @property
    def files(self) -> dict[str, Sequence[str]]:
        """What is held: day → paths."""
        return self._held

    def stage(self, query: str, typed: Callable[[str], str] | None = None) -> list[str]:
        """Put the rows of a query aside, by day; the days they belong to.

        typed: for a query that gives a day and what the table's columns are made of: their SELECT over a relation. So
        JSON stays JSON until its day is written, and is neither written nor read in between as columns.
        """
        self._typed = typed
        self._stage.mkdir(parents=True, exist_ok=True)
        partition = ", partition_by (day), write_partition_columns true" if self._table.by_day else ""
        target = self._stage if self._table.by_day else self._stage / "all.parquet"
        self._db.execute(f"COPY ({query}) TO '{_quoted(target)}' (format parquet, compression snappy{partition})")
        if not self._table.by_day:
            return [""]
        return sorted(path.name.removeprefix("day=") for path in self._stage.iterdir())

    def staged(self, day: str | None = None) -> str:
        """A relation of what was staged, of one day or of all."""
        if self._table.by_day:
            found = sorted(self._stage.glob(f"day={day}/*.parquet" if day else "day=*/*.parquet"))
        else:
            found = sorted(self._stage.glob("*.parquet"))
        if self._typed is None or not found:
            return relation(self._table, map(str, found))
        return f"({self._typed(f'(SELECT * EXCLUDE (day) FROM {_parquet(map(str, found))})')})"

    def held(self, day: str | None = None) -> str:
        """A relation of what the table holds, of one day or of all."""
        paths = [path for each, paths in self._held.items() if day in (None, each) for path in paths]
        return checked_relation(self._db, self._table, paths)

    def write(self, day: str, query: str) -> list[str]:
        """Write a day anew from a query that gives all its rows; the paths, none where it has no rows."""
        folder = self._data / f"day={day}" if self._table.by_day else self._data
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{uuid.uuid4().hex}.parquet"
        ids = ", ".join(f"{column.name}: {self._ids[column.name]}" for column in self._table.columns)
        order = ", ".join(self._table.sort)
        try:
            self._db.execute(
                f"COPY (SELECT {_names(self._table)} FROM ({query}) ORDER BY {order}) TO '{_quoted(path)}'"
                f" (format parquet, compression zstd, row_group_size {_GROUP}, field_ids {{{ids}}})"
            )
        except (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException) as error:
            full = full_disk(error, self._data)
            raise full or damaged(error, [each for paths in self._held.values() for each in paths]) from None
        counted = self._db.execute(f"SELECT count(*) FROM '{_quoted(path)}'").fetchone()
        if counted and counted[0]:
            self.rows += counted[0]
            return [str(path)]
        path.unlink()
        return []

    def merged(self, day: str, gone: str | None = None) -> str:
        """A day's rows: what was staged, and of what was held the rows that have another key.

        gone: a relation of keys, in the names of the table's key, whose rows were held and go.
        """
        keys = ", ".join(self._table.key)
        same = " AND ".join(f"held.{name} = other.{name}" for name in self._table.key)
        others = f"SELECT {keys} FROM {self.staged(day)}" + (f" UNION ALL SELECT {keys} FROM {gone}" if gone else "")
        return (
            f"SELECT {_names(self._table)} FROM {self.staged(day)} UNION ALL"
            f" SELECT {_names(self._table)} FROM {self.held(day)} AS held"
            f" WHERE NOT EXISTS (SELECT 1 FROM ({others}) AS other WHERE {same})"
        )

    def replaced(self, day: str, of: str) -> str:
        """A day's rows: what was staged, and the held rows that the condition `of` does not name."""
        names = _names(self._table)
        return (
            f"SELECT {names} FROM {self.staged(day)} UNION ALL"
            f" SELECT {names} FROM {self.held(day)} WHERE ({of}) IS NOT true"
        )

    def different(self, of: str) -> list[str]:
        """The days on which the staged rows are not those held that the condition `of` names."""
        names = _names(self._table)
        day = "CAST(day AS VARCHAR)" if self._table.by_day else "''"
        new, old = f"SELECT {names} FROM {self.staged()}", f"SELECT {names} FROM {self.held()} WHERE {of}"
        query = f"SELECT DISTINCT {day} FROM (({new} EXCEPT {old}) UNION ALL ({old} EXCEPT {new}))"
        try:
            return sorted(row[0] for row in self._db.execute(query).fetchall())
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            raise damaged(error, [each for paths in self._held.values() for each in paths]) from None

    def close(self) -> None:
        """Remove what was staged."""
        shutil.rmtree(self._stage, ignore_errors=True)


def relation(table: LakeTable, paths: Iterable[str]) -> str:
    """A SQL relation of a table's data files; columns that a file does not have yet are null, no file is no row."""
    empty = ", ".join(f"CAST(NULL AS {DUCKDB[column.type]}) AS {column.name}" for column in table.columns)
    listed = list(paths)
    if not listed:
        return f"(SELECT {empty} WHERE false)"
    return f"(SELECT {empty} WHERE false UNION ALL BY NAME SELECT * FROM {_parquet(listed)})"


def _parquet(paths: Iterable[str]) -> str:
    listed = ", ".join(f"'{_quoted(path)}'" for path in paths)
    return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"


def last_received_at(table: LakeTable, paths: Iterable[str]) -> str | None:
    """When the newest row of data files was received, `…sssZ`; None without a row."""
    with duckdb.connect() as db:
        query = f"SELECT epoch_ms(max(received_at)) FROM {relation(table, paths)}"
        (newest,) = db.execute(query).fetchone() or (None,)
    return None if newest is None else timestamps.from_ms(newest)


def checked_relation(db: duckdb.DuckDBPyConnection, table: LakeTable, paths: Sequence[str]) -> str:
    """A relation as `relation` makes it, once every file is seen to have the table's types.

    A text where a number should be would make the whole column text, and sums and comparisons silently wrong.

    Raises:
        DamagedFile: names the file, the column and the remedy, or the file that cannot be opened.
    """
    made = relation(table, paths)
    wanted = {column.name: _DESCRIBED.get(DUCKDB[column.type], DUCKDB[column.type]) for column in table.columns}
    try:
        if _types(db, made) == wanted:
            return made
        for path in paths:
            for name, kind in _types(db, f"'{_quoted(path)}'").items():
                if name in wanted and kind != wanted[name]:
                    raise DamagedFile(f"{path}: column {name} is {kind}, not {wanted[name]}; {REMEDY}")
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException) as error:
        raise damaged(error, paths) from None
    return made


def _types(db: duckdb.DuckDBPyConnection, source: str) -> dict[str, str]:
    return {row[0]: row[1] for row in db.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}


_DESCRIBED = {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}
REMEDY = "run `milepost lake build --whole`"
"""Of a damaged file, in every error that names one."""
_FULL = ("no space left", "disk is full", "file too large", "disk quota exceeded")


def full_disk(error: Exception, folder: Path, command: str = "milepost lake build") -> Unreachable | None:
    """The error of a disk that is full, with its remedy, the command to run again; None for any other."""
    text = str(error)
    if not any(reason in text.lower() for reason in _FULL):
        return None
    return Unreachable(
        f"the disk of {folder} is full ({text.splitlines()[0]:.200}): make room and run `{command}` again;"
        " readers see the build before"
    )


def damaged(error: Exception, paths: Sequence[str]) -> DamagedFile:
    """The error of a file that cannot be read, naming it and the remedy."""
    text = str(error).splitlines()[0]
    named = next((path for path in paths if path in str(error)), "a file of the lake")
    return DamagedFile(f"{named} cannot be read or written: {text}; {REMEDY}")


def _names(table: LakeTable) -> str:
    return ", ".join(column.name for column in table.columns)


def _quoted(path: object) -> str:
    return str(path).replace("'", "''")
