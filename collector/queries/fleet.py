"""The fleet at a glance: where each truck is and what it does, now or at a past instant; its signals over time."""

from collections.abc import Iterator
from typing import Any

from collector.history import start
from collector.rows import StoredSample
from collector.stores import Reader
from contract import legacy_records, timestamps
from contract.codec import parse
from contract.fault_texts import fault_text
from contract.records import at, document
from contract.thresholds import asks_for_service

MOVING_KMH = 5.0
SILENT_AFTER_MS = 180_000
"""Three samples at one a minute."""


def fleet(
    reader: Reader | None, *, now_ms: int, instant: str | None = None, known_at: str | None = None
) -> list[dict[str, Any]]:
    """One row per truck, by truck_id.

    Args:
        reader: of the store, None where there is none yet.
        now_ms: Unix ms, by which a truck is silent.
        instant: RFC 3339 in this project's form: the fleet as it was then; None for now.
        known_at: the same, inclusive: without samples that were first received later. None: with all of them.

    Returns:
        `[{truck_id, state, sampled_at, received_at, latitude, longitude, speed_kmh, fuel_level, faults, attention}]`;
        state is `moving`, `idle`, `stopped` or `silent`: nothing was received for three minutes, or at a past instant
        nothing had been sampled for three minutes. attention says in words what needs care, or is null.
    """
    if reader is None:
        return []
    judged_ms = now_ms if instant is None else timestamps.to_ms(instant)
    rows = []
    for truck_id in reader.truck_ids():
        sample = reader.latest(truck_id) if instant is None else reader.sample_at(truck_id, instant)
        if sample and known_at and sample.received_ms > timestamps.to_ms(known_at):
            sample = _newest_known(reader, truck_id, instant or timestamps.from_ms(now_ms), timestamps.to_ms(known_at))
        if sample:
            heard_ms = sample.received_ms if instant is None else timestamps.to_ms(start(sample.order_key))
            rows.append(fleet_row(truck_id, sample, judged_ms=judged_ms, heard_ms=heard_ms))
    return rows


def _newest_known(reader: Reader, truck_id: str, instant: str, known_ms: int) -> StoredSample | None:
    """A truck's newest sample up to an instant of those that were received by another."""
    newest = None
    for sample in reader.samples_between(truck_id, "0001-01-01T00:00:00.000Z", instant):
        newest = sample if sample.received_ms <= known_ms else newest
    return newest


def latest_samples(reader: Reader) -> Iterator[tuple[str, StoredSample]]:
    """Each truck's newest sample, by truck_id."""
    for truck_id in reader.truck_ids():
        if sample := reader.latest(truck_id):
            yield truck_id, sample


def fleet_row(truck_id: str, sample: StoredSample, *, judged_ms: int, heard_ms: int) -> dict[str, Any]:
    """The row of `fleet` for a truck's sample: it is silent if it was heard long before it is judged (Unix ms)."""
    # What the row has and no more: the whole document takes three times as long, which ten thousand trucks notice.
    record = legacy_records.telemetry(parse(sample.text))
    speed = at(record, "vehicle_speed")
    if speed is None:
        speed = at(record, "gps_location.speed")
    faults = at(record, "vehicle_health_and_maintenance.active_faults")
    return {
        "truck_id": truck_id,
        "state": "silent" if judged_ms - heard_ms > SILENT_AFTER_MS else _state(record, speed),
        "sampled_at": start(sample.order_key),
        "received_at": timestamps.from_ms(sample.received_ms),
        "latitude": at(record, "gps_location.latitude"),
        "longitude": at(record, "gps_location.longitude"),
        "speed_kmh": speed,
        "fuel_level": at(record, "engine_diagnostics.fuel_level"),
        "faults": None if faults is None else len(faults),
        "attention": _attention(record),
    }


def _state(record: dict[str, Any], speed: float | None) -> str:
    if speed is not None and speed >= MOVING_KMH:
        return "moving"
    return "idle" if (at(record, "engine_diagnostics.engine_rpm") or 0) > 0 else "stopped"


def _attention(record: dict[str, Any]) -> str | None:
    for item, name in (("brakes", "brake_status"), ("transmission", "transmission_status")):
        status = at(record, f"vehicle_health_and_maintenance.{name}")
        if isinstance(status, str) and asks_for_service(item, status):
            return f"{name.partition('_')[0]}: {status}"
    faults = at(record, "vehicle_health_and_maintenance.active_faults")
    if not faults:
        return None
    spn, fmi = faults[0]["spn"], faults[0]["fmi"]
    return f"fault {spn}/{fmi}, {fault_text(spn, fmi)}"


def signals(reader: Reader | None, truck_id: str, first: str, last: str, *, most: int) -> list[dict[str, Any]]:
    """A truck's samples over a period, thinned to at most about `most`, ascending in time.

    Args:
        reader: of the store.
        truck_id: the truck.
        first: RFC 3339 in this project's form.
        last: the same; both included.
        most: how many at most; of more, every n-th and the last are given.

    Returns:
        `[{sampled_at, received_at, …}]`, the document of each sample as `milepost history` shows it.
    """
    if reader is None:
        return []
    samples = list(reader.samples_between(truck_id, first, last))
    step = -(-len(samples) // most) or 1
    kept = [sample for number, sample in enumerate(samples) if number % step == 0 or number == len(samples) - 1]
    return [{**whole(sample), "received_at": timestamps.from_ms(sample.received_ms)} for sample in kept]


def samples_in_order(reader: Reader, truck_id: str, first: str, last: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """`(order key, document)` of a truck's samples from one instant to another, both included, in history's order.

    The instants are RFC 3339 in this project's form; the document is as `milepost history` shows it.
    """
    return ((sample.order_key, whole(sample)) for sample in reader.samples_between(truck_id, first, last))


def whole(sample: StoredSample) -> dict[str, Any]:
    """The document of a stored sample, as people and programs read it."""
    return document(parse(sample.text), sampled_at=start(sample.order_key), by_arrival=sample.by_arrival)
