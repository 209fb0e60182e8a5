"""A lake that now lies in another folder: its tables made anew over the data files that are there.

Iceberg names every file by its whole path, so a lake that was copied or restored elsewhere finds none of its own. The
newest finished build is read with the former folder's name replaced by the present one, and recorded in a new catalogue
over the same Parquet files; nothing is read from the store, and rows that only the lake still has are kept.
"""

import contextlib
import sqlite3
from pathlib import Path

from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO
from pyiceberg.table import StaticTable

from contract.errors import Misconfigured
from warehouse.lake.catalog import NAMESPACE, LakeCatalog, local_path
from warehouse.lake.tables import TABLES

_FROM, _TO = "moved.from", "moved.to"
_DRAFT = "catalog.moving.db"


class MovedFiles(PyArrowFileIO):
    """Reads files by the paths that they had before the folder moved."""

    def new_input(self, location: str) -> PyArrowFile:
        """The file that is now where `location` was."""
        return super().new_input(_moved(location, self.properties[_FROM], self.properties[_TO]))


def adapt_location(catalog: LakeCatalog) -> None:
    """Make the newest finished build of a moved lake (`LakeCatalog.was_moved`) readable where it lies now.

    Killed anywhere it may be done again: the new catalogue takes the place of the old one by one rename. Earlier builds
    are not carried over.

    Raises:
        Misconfigured: a file of the build is missing or cannot be read.
    """
    folder = catalog.folder
    build = catalog.builds()[0]
    former = str(build.marks["folder"])
    draft = LakeCatalog(folder, database=_DRAFT)
    for leftover in folder.glob(f"{_DRAFT}*"):
        leftover.unlink()
    stale = list(folder.glob("*/metadata/*"))
    snapshots: dict[str, int | None] = {}
    try:
        locations = _metadata(folder / "catalog.db")
        for table in TABLES:
            snapshots[table.name] = None
            if (snapshot := build.snapshots.get(table.name)) is None:
                continue
            properties = {
                "py-io-impl": f"{MovedFiles.__module__}.{MovedFiles.__qualname__}", _FROM: former, _TO: str(folder)
            }  # fmt: skip
            old = StaticTable.from_metadata(_moved(locations[table.name], former, str(folder)), properties)
            paths = [
                _moved(local_path(task.file.file_path), former, str(folder))
                for task in old.scan(snapshot_id=snapshot).plan_files()
            ]
            draft.make(table, old.schema().fields)
            snapshots[table.name] = draft.commit(table, paths)
    except (OSError, KeyError, ValueError, sqlite3.Error) as error:
        raise Misconfigured(
            f"the lake in {folder} was copied from {former} and lacks a file ({error}): copy it again, or remove the"
            " folder and run `milepost lake build`"
        ) from None
    draft.record(build.finished_at, snapshots=snapshots, marks={**build.marks, "folder": str(folder)}, days=build.days)
    draft.close()
    (folder / _DRAFT).replace(folder / "catalog.db")
    for path in stale:
        path.unlink(missing_ok=True)


def _metadata(database: Path) -> dict[str, str]:
    """Table → where its metadata was."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT table_name, metadata_location FROM iceberg_tables WHERE table_namespace = ?", [NAMESPACE]
        )
        return dict(rows.fetchall())


def _moved(location: str, former: str, present: str) -> str:
    path = local_path(location)
    return f"{present}{path.removeprefix(former)}" if path.startswith(f"{former}/") else path
