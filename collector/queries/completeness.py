"""Is everything there: the audit of the completeness ledger, and the balance at the end of a run."""

from collections.abc import Mapping
from typing import Any

from collector.completeness.ledger import StreamLedger
from collector.stores import Reader
from contract.codec import parse
from contract.errors import Rejected


def audit(reader: Reader | None, *, now_ms: int, grace_ms: int, truck_id: str | None = None) -> dict[str, Any]:
    """`{"lost": n, "trucks": [one row per stream]}`; ranges are `[[a, b]]`, `received` is a count.

    A truck's refused samples stand in its rows, those that name no known stream in a row of their own, so that a truck
    of which everything was refused has a row.
    """
    if reader is None:
        return {"lost": 0, "trucks": []}
    refused = refused_samples(reader, truck_id)
    rows, lost = [], 0
    for truck in [truck_id] if truck_id else sorted({*reader.ledger_trucks(), *(truck for truck, _ in refused)}):
        ledgers: dict[str | None, StreamLedger] = dict(reader.ledgers(truck).items())
        unplaced = [stream_id for each, stream_id in refused if each == truck and stream_id not in ledgers]
        ledgers |= dict.fromkeys(unplaced, StreamLedger())
        runs: set[str] = set()  # a run that spans two streams is named by the reports of both
        for stream_id, ledger in ledgers.items():
            row = _row(truck, stream_id, ledger, ledger.late(now_ms, grace_ms).as_lists())
            never = sum(count for run, count in ledger.never_stored if run not in runs)
            runs.update(run for run, _ in ledger.never_stored)
            rows.append({**row, "never_stored": never, "refused": refused.get((truck, stream_id), [])})
            lost += ledger.lost().count + never
    return {"lost": lost, "trucks": rows}


def refused_samples(reader: Reader, truck_id: str | None = None) -> dict[tuple[str, str | None], list[dict[str, Any]]]:
    """The dead letters of trucks: (truck_id, stream_id) → `[{id, seq, reason}]`, oldest first.

    Args:
        reader: of the store.
        truck_id: only this truck's.

    Returns:
        Only what came through a door that vouches for the truck; stream_id and seq are None where the record does not
        say them.
    """
    found: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
    for letter in reader.dead_letters():
        owner = _owner(letter.source)
        if owner is None or truck_id not in (None, owner):
            continue
        stream_id, seq = _place(letter.payload)
        found.setdefault((owner, stream_id), []).append({"id": letter.id, "seq": seq, "reason": letter.reason})
    return found


def _owner(source: str) -> str | None:
    """The truck whose door it came through: mqtt:fleet/T1/telemetry, http:telemetry/T1."""
    door, _, place = source.partition(":")
    parts = place.split("/")
    if door == "mqtt":
        return parts[1] if len(parts) > 2 and parts[2] == "telemetry" else None
    return parts[1] if len(parts) > 1 and parts[0] == "telemetry" else None


def _place(payload: bytes) -> tuple[str | None, int | None]:
    try:
        record = parse(payload)
    except Rejected:
        return None, None
    said = record if isinstance(record, dict) else {}
    stream_id, seq = said.get("stream_id"), said.get("seq")
    is_number = isinstance(seq, int) and not isinstance(seq, bool)
    return stream_id if isinstance(stream_id, str) else None, seq if is_number else None


def _row(truck_id: str, stream_id: str | None, ledger: StreamLedger, late: list[list[int]]) -> dict[str, Any]:
    return {
        "truck_id": truck_id,
        "stream_id": stream_id,
        "received": ledger.received.count,
        "highest_seq": ledger.highest,
        "holes": ledger.missing().as_lists(),
        "thinned": ledger.thinned.as_lists(),
        "gone": ledger.gone.as_lists(),
        "late": late,
        "dead_lettered": ledger.dead_lettered.as_lists(),
        "conflicts": (ledger.conflicts | ledger.leaps).as_lists(),
        "gone_before": ledger.gone_before.as_lists(),
    }


def complete(audited: Mapping[str, Any]) -> bool:
    """Nothing is lost, and every hole is late: what `milepost audit` exits 0 for."""
    return audited["lost"] == 0 and all(_count(row["holes"]) == _count(row["late"]) for row in audited["trucks"])


def late_samples(audited: Mapping[str, Any]) -> int:
    """How many samples of an audit are holes that nobody need worry about yet."""
    return sum(_count(row["late"]) for row in audited["trucks"])


def balanced(reader: Reader | None, sampled: Mapping[str, int]) -> list[dict[str, Any]]:
    """`[{truck_id, sampled, stored, dead_lettered, holes, counted_twice}]` for each truck that ever gave a seq.

    sampled: how many samples a simulated truck says that it took; for any other truck it is what its streams reached.
    """
    rows = []
    for truck_id in sorted({*sampled, *(reader.ledger_trucks() if reader else ())}):
        ledgers = reader.ledgers(truck_id).values() if reader else ()
        stored, different = reader.sample_counts(truck_id) if reader else (0, 0)
        rows.append(
            {
                "truck_id": truck_id,
                "sampled": sampled.get(truck_id, sum(ledger.highest for ledger in ledgers)),
                "stored": different,
                "dead_lettered": sum(ledger.dead_lettered.count for ledger in ledgers),
                "holes": sum(ledger.missing().count for ledger in ledgers),
                "counted_twice": stored - different,
            }
        )
    return rows


def _count(ranges: list[list[int]]) -> int:
    return sum(last - first + 1 for first, last in ranges)
