"""What the newest finished build of a lake holds."""

from pathlib import Path
from typing import Any

from warehouse.lake.catalog import LakeCatalog
from warehouse.lake.schema import CLICK, TELEMETRY
from warehouse.lake.tables import TABLES
from warehouse.lake.writing import last_received_at


def info(folder: Path) -> dict[str, Any]:
    """`{folder, build, finished_at, tables: [{table, snapshot, rows, days, first_day, last_day, files, bytes}]}`.

    telemetry and click also have `last_received_at`, null while they are empty. build is null and
    tables empty where no build has finished yet.
    """
    catalog = LakeCatalog(folder)
    build = catalog.newest()
    if build is None:
        return {"folder": str(folder), "build": None, "finished_at": None, "tables": []}
    tables = []
    for table in TABLES:
        snapshot = build.snapshots.get(table.name)
        files = catalog.data_files(table, snapshot)
        days = sorted({day for day, _, _, _ in files if day})
        tables.append(
            {
                "table": table.name,
                "snapshot": snapshot,
                "rows": sum(rows for _, _, rows, _ in files),
                "days": len(days),
                "first_day": days[0] if days else None,
                "last_day": days[-1] if days else None,
                "files": len(files),
                "bytes": sum(size for _, _, _, size in files),
            }
        )
        if table in (TELEMETRY, CLICK):
            tables[-1]["last_received_at"] = last_received_at(table, [path for _, path, _, _ in files])
    return {"folder": str(folder), "build": build.id, "finished_at": build.finished_at, "tables": tables}
