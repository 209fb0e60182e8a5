"""`warehouse export`: the marts as Parquet files, for Athena, notebooks, and whatever else reads Parquet."""

import shutil
from pathlib import Path

import duckdb

from contract.errors import Misconfigured, Unreachable
from warehouse.lake.writing import full_disk
from warehouse.rendering import models


def export(warehouse: Path, folder: Path) -> dict[str, int]:
    """Write every mart of a DuckDB warehouse as `folder/MART/part.parquet`; a mart's folder is replaced whole.

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
        with duckdb.connect(str(warehouse), read_only=True) as db:
            for model in models("duckdb"):
                if not model.name.startswith("marts."):
                    continue
                name = model.name.removeprefix("marts.")
                made = folder / f".{name}.new"
                shutil.rmtree(made, ignore_errors=True)
                made.mkdir()
                path = str(made / "part.parquet").replace("'", "''")
                order = ", ".join(f'"{column}"' for column in model.grain)
                written = db.execute(
                    f"COPY (SELECT * FROM {model.name} ORDER BY {order}) TO '{path}' (format parquet, compression zstd)"
                ).fetchone()
                shutil.rmtree(folder / name, ignore_errors=True)
                made.rename(folder / name)
                counts[name] = written[0] if written else 0
    except (OSError, duckdb.IOException) as error:
        raise full_disk(error, folder) or Unreachable(f"{folder} cannot be written: {error}") from None
    return counts
