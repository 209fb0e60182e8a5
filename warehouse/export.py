"""`warehouse export`: the marts as Parquet files, for Athena, notebooks, and whatever else reads Parquet."""

import shutil
from pathlib import Path

import duckdb

from contract.errors import Misconfigured, Unreachable
from warehouse.engines.duckdb import opened
from warehouse.lake.writing import full_disk
from warehouse.rendering import models


def export(warehouse: Path, folder: Path) -> dict[str, int]:
    """Write every mart of a DuckDB warehouse as `folder/MART/part.parquet`; a mart's folder is replaced whole.

    `folder/build/part.parquet`, written last, says of which lake build they are.

    Args:
        warehouse: the file; it is only read.
        folder: is made where it is missing. What else is in it stays.

    Returns:
        Mart → rows.

    Raises:
        Misconfigured: there is no warehouse yet.
        Unreachable: the folder cannot be written.
    """
    if not warehouse.exists():
        raise Misconfigured(f"no warehouse at {warehouse}: `milepost warehouse build` makes one")
    counts = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with opened(warehouse) as db:
            for model in models("duckdb"):
                if not model.name.startswith("marts."):
                    continue
                name = model.name.removeprefix("marts.")
                order = ", ".join(f'"{column}"' for column in model.grain)
                counts[name] = _write(db, name, f"SELECT * FROM {model.name} ORDER BY {order}", folder)
            _write(db, "build", "SELECT CAST(build AS BIGINT) AS build, models FROM marts.build", folder)
    except (OSError, duckdb.IOException) as error:
        raise full_disk(error, folder) or Unreachable(f"{folder} cannot be written: {error}") from None
    return counts


def _write(db: duckdb.DuckDBPyConnection, name: str, query: str, folder: Path) -> int:
    """How many rows were written."""
    made = folder / f".{name}.new"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    path = str(made / "part.parquet").replace("'", "''")
    written = db.execute(f"COPY ({query}) TO '{path}' (format parquet, compression zstd)").fetchone()
    shutil.rmtree(folder / name, ignore_errors=True)
    made.rename(folder / name)
    return int(written[0]) if written else 0
