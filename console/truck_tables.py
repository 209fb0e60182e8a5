"""A truck's trips, stops and fuel events from the marts, and its track from the store: for files and for the page."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from console import downloads
from console.downloads import File, Place
from console.place_names import nearest_place
from contract.errors import Misconfigured, Rejected
from warehouse import read
from warehouse.settings import WarehouseSettings

_MARTS = {
    "trips": ("truck_trip", "trip_start", "trip_end"),
    "stops": ("truck_stop", "stop_start", "stop_end"),
    "fuel": ("fuel_event", "at", "at"),
}
TABLES = tuple(_MARTS)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

Rows = list[dict[str, Any]]


def rows(  # noqa: PLR0913 - a table, a truck, a period, and where it stands
    table: str, truck_id: str, first: str, last: str, *, data_dir: Path, settings: WarehouseSettings | None = None
) -> Rows:
    """The rows of a mart that touch a period, oldest first; the columns are in docs/metrics.md.

    Args:
        table: one of TABLES.
        truck_id: whose.
        first: RFC 3339 in this project's form.
        last: the same.
        data_dir: whose warehouse.
        settings: which engine; DuckDB in the data directory where None.

    Returns:
        The mart's columns, instants as `…sssZ`; a stop also has `place` and `place_km`, the nearest town and how far
        away its middle is, or null.

    Raises:
        Rejected: no truck can be called so.
        Misconfigured: no warehouse was built yet, or what reads it is not installed.
        Unreachable: the engine cannot be reached.
    """
    if not _NAME.fullmatch(truck_id):
        raise Rejected("truck_id", f"{truck_id!r:.80} is no truck's name")
    mart, begins, ends = _MARTS[table]
    instants = f"{ends} >= TIMESTAMP '{_plain(first)}' AND {begins} <= TIMESTAMP '{_plain(last)}'"
    sql = f"SELECT * FROM {mart} WHERE truck_id = '{truck_id}' AND {instants} ORDER BY {begins}"
    try:
        found = read.query(sql, data_dir, settings)
        return [{**row, **_near(row)} for row in found] if table == "stops" else found
    except ModuleNotFoundError as error:
        raise Misconfigured(f"{error}: {table} come from the warehouse: pip install 'milepost[warehouse]'") from None


def as_file(table: str, truck_id: str, format: str, found: Sequence[dict[str, Any]]) -> File:
    """Rows of a truck's table as a file.

    Args:
        table: one of TABLES.
        truck_id: whose.
        format: `csv` or `xlsx`; of stops also `gpx` and `kml`, with a point a stop.
        found: as `rows` gives them.

    Raises:
        Rejected: another format.
    """
    name = f"{truck_id}-{table}"
    if table != "stops" or format in downloads.TABLES:
        return downloads.table(name, format, found)
    places = [
        Place(
            each["latitude"],
            each["longitude"],
            each["stop_start"],
            name=f"{truck_id} stop",
            said=f"{each['stop_start']} to {each['stop_end']}{_said(each)}",
        )
        for each in found
        if each["latitude"] is not None and each["longitude"] is not None
    ]
    return downloads.points(name, format, places)


def track(truck_id: str, format: str, samples: Sequence[dict[str, Any]]) -> File:
    """A truck's way as a file.

    Args:
        truck_id: whose.
        format: `csv`, `xlsx`, `gpx` or `kml`.
        samples: as `collector.queries.signals` gives them, in time order.

    Raises:
        Rejected: another format.
    """
    name = f"{truck_id}-track"
    if format in downloads.TABLES:
        return downloads.table(name, format, samples)
    places = [
        Place(each["latitude"], each["longitude"], sample["sampled_at"], each.get("altitude"))
        for sample in samples
        for each in [sample["gps_location"]]
        if each["latitude"] is not None and each["longitude"] is not None
    ]
    return downloads.track(name, format, places)


def _near(row: dict[str, Any]) -> dict[str, Any]:
    if row["latitude"] is None or row["longitude"] is None:
        return {"place": None, "place_km": None}
    near = nearest_place(row["latitude"], row["longitude"])
    return {"place": near.name if near else None, "place_km": round(near.km, 1) if near else None}


def _said(row: dict[str, Any]) -> str:
    return f", {row['place_km']:g} km from {row['place']}" if row.get("place") else ""


def _plain(instant: str) -> str:
    """As every engine takes it: UTC, without its letter."""
    return instant.replace("T", " ").removesuffix("Z")
