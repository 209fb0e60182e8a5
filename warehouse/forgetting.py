"""Forgetting in the lake and the warehouse: both are made of the stores, so they are made anew from what is left there.

An Iceberg table keeps what it replaced as snapshots, and a DuckDB file keeps free pages; a new lake and a new file do
not.
"""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from commerce.queries import open_if_there
from contract.fleet import FleetSettings, read_zones, zones_file
from contract.settings import load
from warehouse.settings import LakeSettings, WarehouseSettings, lake_folder, warehouse_file

Rows = list[dict[str, Any]]


def forget(data_dir: Path, store_url: str, config: Path | None = None) -> dict[str, Any]:
    """Make lake and marts anew, where there are any; to be called when every store has forgotten.

    A kill in between leaves no lake, or one without marts: `milepost lake build` and `warehouse build` make them.

    Args:
        data_dir: the data directory.
        store_url: of the collector's store.
        config: the settings file, else the one that is found.

    Returns:
        `{lake, marts}`: the number of the new lake build and how many marts were made, null where there were none.
    """
    from collector.stores.factory import open_reader
    from warehouse.build import build
    from warehouse.engines.factory import open_engine
    from warehouse.lake.build import Lake, LakeSources
    from warehouse.sources import Terms

    settings, terms = load("lake", LakeSettings, config), load("warehouse", WarehouseSettings, config)
    folder, file = lake_folder(settings, data_dir), warehouse_file(terms, data_dir)
    if not folder.exists():
        return {"lake": None, "marts": None}
    had_marts = file.exists() or terms.engine != "duckdb"
    shutil.rmtree(folder)
    file.unlink(missing_ok=True)
    reader, shop = open_reader(store_url), open_if_there(data_dir, config)
    try:
        built = Lake(folder, memory=settings.memory, keep_days=settings.keep).build(
            LakeSources(reader, shop), whole=True
        )
    finally:
        for each in (reader, shop):
            if each:
                each.close()
    if not had_marts:
        return {"lake": built["build"], "marts": None}
    fleet = load("fleet", FleetSettings, config)
    made = build(
        folder,
        open_engine(None, terms, data_dir),
        Terms(terms, fleet, read_zones(zones_file(fleet, data_dir))),
        whole=True,
    )
    return {"lake": built["build"], "marts": len(made["marts"])}


def replace_identifiers(file: Path, pseudonyms: Mapping[str, str]) -> bool:
    """Put pseudonyms in the place of identifiers in a Parquet file, also as a part of a text.

    Args:
        file: of a mart that was exported; written anew where something changes.
        pseudonyms: identifier → what stands in its place.

    Returns:
        Whether it has changed.
    """
    import duckdb

    if not occurrences([file], pseudonyms):
        return False
    new = file.with_suffix(".new")
    with duckdb.connect() as db:
        made = db.read_parquet(str(file))
        chosen = []
        for name, kind in zip(made.columns, made.types, strict=True):
            said = '"' + name.replace('"', '""') + '"'
            if str(kind) == "VARCHAR":
                for identifier, pseudonym in pseudonyms.items():
                    old, by = (each.replace("'", "''") for each in (identifier, pseudonym))
                    said = f"replace({said}, '{old}', '{by}')"
            chosen.append(f'{said} AS "{name}"')
        made.project(", ".join(chosen)).write_parquet(str(new))
    new.replace(file)
    return True


def occurrences(files: Iterable[Path], identifiers: Iterable[str]) -> Rows:
    """Where identifiers stand in Parquet files, whose pages are compressed.

    Args:
        files: of the lake.
        identifiers: each is looked for in every column, also as a part of a text.

    Returns:
        `[{place, identifier, hits}]`: file, identifier and how many rows name it; only those with hits.
    """
    import duckdb

    found: Rows = []
    wanted = list(identifiers)
    with duckdb.connect() as db:
        for file in files:
            names = db.read_parquet(str(file)).columns
            line = " || chr(10) || ".join(f"coalesce(CAST(\"{name}\" AS VARCHAR), '')" for name in names)
            for identifier in wanted:
                query = f"SELECT count(*) FROM read_parquet(?) WHERE contains({line}, ?)"
                row = db.execute(query, [str(file), identifier]).fetchone()
                if row and row[0]:
                    found.append({"place": str(file), "identifier": identifier, "hits": row[0]})
    return found
