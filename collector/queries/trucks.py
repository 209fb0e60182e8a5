"""Trucks and their history."""

from typing import Any

from collector.history import Version, start
from collector.rows import StoredSample
from collector.stores import Reader
from contract import timestamps
from contract.codec import parse
from contract.records import document


def trucks(reader: Reader | None, only: str | None = None) -> list[dict[str, Any]]:
    """`[{truck_id, latest, current}]`: each truck's newest sample and its current version, by truck_id."""
    if reader is None:
        return []
    rows = []
    for truck_id in [only] if only else reader.truck_ids():
        latest, current = reader.latest(truck_id), reader.version_at(truck_id, "9999")
        if latest and current:
            rows.append({"truck_id": truck_id, "latest": _sample(latest), "current": _row(truck_id, *current)})
    return rows


def history(reader: Reader | None, truck_id: str, at: str | None = None) -> list[dict[str, Any]]:
    """A truck's versions, oldest first; with `at` (an instant) only the one that held then, if any."""
    if reader is None:
        return []
    if at is None:
        return [_row(truck_id, version, sample) for version, sample in reader.versions(truck_id)]
    held = reader.version_at(truck_id, at)
    return [_row(truck_id, *held)] if held else []


def position(reader: Reader | None, truck_id: str, at: str | None = None) -> dict[str, Any] | None:
    """Where a truck was, by its newest sample at or before an instant.

    Args:
        reader: of the store, None where there is none yet.
        truck_id: the truck.
        at: RFC 3339 in this project's form; None for now.

    Returns:
        `{sampled_at, latitude, longitude, altitude, speed}`, null where the sample has no position; None where there
        is no such sample.
    """
    if reader is None:
        return None
    found = reader.latest(truck_id) if at is None else reader.sample_at(truck_id, at)
    if found is None:
        return None
    sample = _sample(found)
    return {"sampled_at": sample["sampled_at"], **sample["gps_location"]}


def _row(truck_id: str, version: Version, sample: StoredSample) -> dict[str, Any]:
    return {
        "truck_id": truck_id,
        "effective_start_date": start(version.order_key),
        "effective_end_date": version.end,
        "is_current": version.end is None,
        "load_timestamp": timestamps.from_ms(sample.received_ms),
        "sample": _sample(sample),
    }


def _sample(sample: StoredSample) -> dict[str, Any]:
    return document(parse(sample.text), sampled_at=start(sample.order_key), by_arrival=sample.by_arrival)
