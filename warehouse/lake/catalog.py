"""The Iceberg catalogue of a lake on one machine: its tables, and the record of finished builds beside them.

`catalog.db` holds pyiceberg's own tables and `milepost_build`. A build becomes visible by its row there, in one
transaction, after every table has been committed.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.errors import Misconfigured
from warehouse.lake.schema import LakeColumn, LakeTable

if TYPE_CHECKING:
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table as IcebergTable
    from pyiceberg.types import NestedField

NAMESPACE = "milepost"
_BUILDS = """CREATE TABLE IF NOT EXISTS milepost_build (
    id INTEGER PRIMARY KEY AUTOINCREMENT, finished_at TEXT NOT NULL, snapshots TEXT NOT NULL, marks TEXT NOT NULL,
    days TEXT NOT NULL)"""


@dataclass(frozen=True, slots=True)
class Build:
    """A finished build.

    snapshots: table → Iceberg snapshot id, None while the table is empty. marks: what was read, up to where (the
    source's own texts). days: table → days that this build wrote anew.
    """

    id: int
    finished_at: str
    snapshots: Mapping[str, int | None]
    marks: Mapping[str, Any]
    days: Mapping[str, list[str]]


class LakeCatalog:
    """The tables of one lake folder, and its builds.

    Args:
        folder: the lake's.
        database: the name of the catalogue's file.
    """

    def __init__(self, folder: Path, *, database: str = "catalog.db") -> None:
        self.folder = folder.resolve()
        self._database = self.folder / database
        self._catalog: SqlCatalog | None = None

    def builds(self) -> list[Build]:
        """All recorded builds, newest first; none where there is no lake yet."""
        if not self._database.exists():
            return []
        with self._connected() as connection:
            rows = connection.execute(
                "SELECT id, finished_at, snapshots, marks, days FROM milepost_build ORDER BY id DESC"
            ).fetchall()
        return [Build(row[0], row[1], *map(json.loads, row[2:])) for row in rows]

    def newest(self) -> Build | None:
        """The newest finished build: what readers may see. None also in a lake that was moved here: see `was_moved`."""
        return None if self.was_moved() else next(iter(self.builds()), None)

    def was_moved(self) -> bool:
        """The lake was built in another folder: Iceberg names every file by its whole path, so none is found here."""
        newest = next(iter(self.builds()), None)
        return newest is not None and newest.marks.get("folder") != str(self.folder)

    def close(self) -> None:
        """Give back the catalogue's file; it is opened again when it is needed."""
        if self._catalog:
            self._catalog.engine.dispose()
        self._catalog = None

    def record(
        self,
        finished_at: str,
        *,
        snapshots: Mapping[str, int | None],
        marks: Mapping[str, Any],
        days: Mapping[str, list[str]],
    ) -> Build:
        """Make a build visible, durably: all tables were committed before."""
        texts = [json.dumps(value) for value in (snapshots, marks, days)]
        with self._connected() as connection:
            connection.execute("PRAGMA synchronous = FULL")
            cursor = connection.execute(
                "INSERT INTO milepost_build (finished_at, snapshots, marks, days) VALUES (?, ?, ?, ?)",
                [finished_at, *texts],
            )
            connection.commit()
        return Build(int(cursor.lastrowid or 0), finished_at, snapshots, marks, days)

    def forget_builds(self, before: str) -> None:
        """Drop records of builds that finished before an instant; the newest stays."""
        with self._connected() as connection:
            connection.execute(
                "DELETE FROM milepost_build WHERE finished_at < ? AND id < (SELECT max(id) FROM milepost_build)",
                [before],
            )
            connection.commit()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with contextlib.closing(sqlite3.connect(self._database, timeout=30)) as connection:
                connection.execute(_BUILDS)
                yield connection
        except sqlite3.DatabaseError as error:
            raise Misconfigured(
                f"{self._database} cannot be used: {error}; move the folder {self.folder} away and run"
                " `milepost lake build`: the store holds everything"
            ) from None

    def table(self, table: LakeTable) -> "IcebergTable":
        """The Iceberg table, made where it is missing and given the columns that it does not have yet."""
        from pyiceberg.exceptions import NoSuchTableError

        catalog, name = self._open(), f"{NAMESPACE}.{table.name}"
        try:
            found = catalog.load_table(name)
        except NoSuchTableError:
            return self.make(table)
        missing = [column for column in table.columns if column.name not in found.schema().column_names]
        if missing:
            with found.update_schema() as update:
                for column in missing:
                    update.add_column(column.name, _iceberg_type(column), doc=column.comment)
        return found

    def _open(self) -> "SqlCatalog":
        if self._catalog is None:
            from pyiceberg.catalog.sql import SqlCatalog

            self.folder.mkdir(parents=True, exist_ok=True)
            self._catalog = SqlCatalog(
                "milepost", uri=f"sqlite:///{self._database}", warehouse=f"file://{self.folder}", echo="false"
            )
            self._catalog.create_namespace_if_not_exists(NAMESPACE)
        return self._catalog

    def make(self, table: LakeTable, columns: "Sequence[NestedField] | None" = None) -> "IcebergTable":
        """Make an empty Iceberg table.

        Args:
            table: which.
            columns: those of a table that it takes the place of, whose numbers its files carry; None for `table`'s.
        """
        from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionField, PartitionSpec
        from pyiceberg.schema import Schema
        from pyiceberg.transforms import IdentityTransform
        from pyiceberg.types import NestedField

        fields = sorted(columns or (), key=lambda field: field.field_id) or [
            NestedField(number, column.name, _iceberg_type(column), required=False, doc=column.comment)
            for number, column in enumerate(table.columns, 1)
        ]  # in the order of their numbers, which the catalogue gives anew from 1 on
        spec = UNPARTITIONED_PARTITION_SPEC
        if table.by_day:
            day = next(field.field_id for field in fields if field.name == "day")
            spec = PartitionSpec(PartitionField(day, 1000, IdentityTransform(), "day"))
        return self._open().create_table(
            f"{NAMESPACE}.{table.name}",
            Schema(*fields),
            location=f"file://{self.folder}/{table.name}",
            partition_spec=spec,
            properties={
                "comment": table.comment,
                "format-version": "2",
                "write.parquet.compression-codec": "zstd",
                "write.metadata.delete-after-commit.enabled": "true",
                "write.metadata.previous-versions-max": "20",
            },
        )

    def field_ids(self, table: LakeTable) -> dict[str, int]:
        """Column → Iceberg field id, which a data file carries for each of its columns."""
        return {field.name: field.field_id for field in self.table(table).schema().fields}

    def files(self, table: LakeTable, snapshot: int | None) -> dict[str, list[str]]:
        """The data files of a snapshot: day (ISO, "" in tables without days) → paths; empty for no snapshot."""
        found: dict[str, list[str]] = {}
        for day, path, _, _ in self.data_files(table, snapshot):
            found.setdefault(day, []).append(path)
        return found

    def data_files(self, table: LakeTable, snapshot: int | None) -> list[tuple[str, str, int, int]]:
        """The data files of a snapshot as (day, path, rows, bytes), by day."""
        if snapshot is None:
            return []
        found = []
        for each in _data_files(self.table(table), snapshot):
            day = _iso(str(each.partition[0])) if table.by_day else ""
            found.append((day, local_path(each.file_path), each.record_count, each.file_size_in_bytes))
        return sorted(found)

    def commit(self, table: LakeTable, paths: Iterable[str]) -> int | None:
        """Make exactly these data files the table's content, in one commit; the snapshot that holds them.

        A file that the table already has is not written again. What an interrupted build left in the table goes.
        """
        from pyiceberg.io.pyarrow import parquet_file_to_data_file

        iceberg = self.table(table)
        head = iceberg.current_snapshot()
        present = {local_path(each.file_path): each for each in _data_files(iceberg, head.snapshot_id)} if head else {}
        wanted = set(paths)
        if wanted == set(present):
            return head.snapshot_id if head else None
        with iceberg.transaction() as transaction, transaction.update_snapshot().overwrite() as overwrite:
            for path in sorted(set(present) - wanted):
                overwrite.delete_data_file(present[path])
            for path in sorted(wanted - set(present)):
                made = parquet_file_to_data_file(iceberg.io, iceberg.metadata, f"file://{path}")
                overwrite.append_data_file(made)
        committed = iceberg.current_snapshot()
        return committed.snapshot_id if committed else None

    def expire(self, table: LakeTable, keep: set[int]) -> None:
        """Forget every snapshot but those to keep and the current one, then delete files that none of them holds."""
        iceberg = self.table(table)
        head = iceberg.current_snapshot()
        keep = keep | ({head.snapshot_id} if head else set())
        gone = [each.snapshot_id for each in iceberg.snapshots() if each.snapshot_id not in keep]
        if gone:
            iceberg.maintenance.expire_snapshots().by_ids(gone).commit()
        held = {local_path(each.file_path) for id in keep for each in _data_files(iceberg, id)}
        for path in (self.folder / table.name / "data").rglob("*.parquet"):
            if str(path) not in held:
                path.unlink()


def _data_files(iceberg: "IcebergTable", snapshot_id: int) -> "list[DataFile]":
    return [task.file for task in iceberg.scan(snapshot_id=snapshot_id).plan_files()]


def local_path(uri: str) -> str:
    """The path that a file's address means on this machine."""
    return uri.removeprefix("file://")


def _iso(day: str) -> str:
    """An Iceberg date partition as ISO text: it comes as days since 1970, or as a date."""
    if day.lstrip("-").isdigit():
        from datetime import date, timedelta

        return (date(1970, 1, 1) + timedelta(days=int(day))).isoformat()
    return day


def _iceberg_type(column: LakeColumn) -> Any:
    from pyiceberg import types

    return {
        "text": types.StringType,
        "double": types.DoubleType,
        "long": types.LongType,
        "boolean": types.BooleanType,
        "instant": types.TimestamptzType,
        "day": types.DateType,
    }[column.type]()
