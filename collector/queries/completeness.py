"""Is everything there: the audit of the completeness ledger, and the balance at the end of a run."""

from collections.abc import Mapping
from typing import Any

from collector.completeness.ledger import StreamLedger
from collector.stores import Reader


def audit(reader: Reader | None, *, now_ms: int, grace_ms: int, truck_id: str | None = None) -> dict[str, Any]:
    """`{"lost": n, "trucks": [row a stream]}`; ranges are `[[a, b]]`, `received` is a count."""
    if reader is None:
        return {"lost": 0, "trucks": []}
    rows, lost = [], 0
    for truck in [truck_id] if truck_id else reader.ledger_trucks():
        for stream_id, ledger in reader.ledgers(truck).items():
            rows.append(_row(truck, stream_id, ledger, ledger.late(now_ms, grace_ms).as_lists()))
            lost += ledger.lost().count
    return {"lost": lost, "trucks": rows}


def _row(truck_id: str, stream_id: str, ledger: StreamLedger, late: list[list[int]]) -> dict[str, Any]:
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
        "conflicts": ledger.conflicts.as_lists(),
    }


def complete(audited: Mapping[str, Any]) -> bool:
    """Nothing is lost, and every hole is late: what `milepost audit` exits 0 for."""
    return audited["lost"] == 0 and all(_count(row["holes"]) == _count(row["late"]) for row in audited["trucks"])


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
