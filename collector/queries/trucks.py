"""Trucks and their history."""

from itertools import chain
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


def history_known_at(
    reader: Reader | None, truck_id: str, known_at: str, at: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """A truck's history as it was known at an instant: that of the samples which had been received by then.

    Args:
        reader: of the store, None where there is none yet.
        truck_id: the truck.
        known_at: RFC 3339 in this project's form, inclusive, against the first receipt of each sample.
        at: only the version that held at this instant.

    Returns:
        The rows of `history`, oldest first, each with `reconstructed`: False for the version in force before the
        earliest retained sample, which is taken as it is stored today. Then the time of that earliest sample, before
        which nothing is known any more; None where all samples are retained.
    """
    if reader is None:
        return [], None
    known_ms = timestamps.to_ms(known_at)
    samples = reader.samples(truck_id)
    earliest = next(samples, None)
    older = reader.version_before_samples(truck_id)
    retained_from = start(earliest.order_key) if earliest and older else None
    if retained_from and known_at < retained_from:
        return [], retained_from
    opened: list[StoredSample] = []
    key = older[0].key if older else None
    for sample in chain([earliest] if earliest else [], samples):
        if sample.received_ms <= known_ms and sample.key != key:
            opened.append(sample)
            key = sample.key
    ends = [*(start(sample.order_key) for sample in opened), None]
    rows = []
    if older:
        version = Version(older[0].order_key, older[0].key, ends[0])
        rows.append({**_row(truck_id, version, older[1]), "reconstructed": False})
    for sample, end in zip(opened, ends[1:], strict=True):
        version = Version(sample.order_key, sample.key, end)
        rows.append({**_row(truck_id, version, sample), "reconstructed": True})
    if at is not None:
        rows = [row for row in rows if row["effective_start_date"] <= at < (row["effective_end_date"] or "9999")]
    return rows, retained_from


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
