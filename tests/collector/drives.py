"""Real drives (tests/recordings, driveplotr) as telemetry records, and made-up ones where more are wanted."""

import csv
from typing import Any

from contract import timestamps
from tests.recordings import recording

TABLE = "trips/driveplotr_nds_drives.csv"
TRACK = '{"engine_diagnostics.engine_rpm":{"step":250},"vehicle_speed":{"bands":[1,30,50,70,90]}}'
"""A policy under which these drives have a history worth the name."""


def drives(rows: int) -> list[dict[str, Any]]:
    """The first rows of the table, one truck per drive."""
    seen: dict[str, int] = {}
    records = []
    with recording(TABLE).open(encoding="utf-8", newline="") as lines:
        for row, _ in zip(csv.DictReader(lines), range(rows), strict=False):
            truck = f"drive-{row['drive']}"
            seen[truck] = seen.get(truck, 0) + 1
            records.append(_record(truck, seen[truck], row))
    return records


def _record(truck: str, seq: int, row: dict[str, str]) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "truck_id": truck,
        "stream_id": "nds",
        "seq": seq,
        "sampled_at": timestamps.from_ms(int(row["time_utc"]) * 1000),
        "time_quality": "gps",
        "gps_location": {
            "latitude": float(row["gps_lat"]),
            "longitude": float(row["gps_long"]),
            "altitude": float(row["gps_elevation"]),
        },
        "vehicle_speed": round(float(row["speed_mph"]) * 1.609344, 3),
        "engine_diagnostics": {"engine_rpm": float(row["engine_rpm"])} if row["engine_rpm"] else None,
    }
