"""The wire's `since_last` group: what all sensors heard between two samples, and no more of it than fits. Pure.

A stored sample has to stay within one write unit of DynamoDB (1 KB), and the group within 1.5 KB on the wire. What does
not fit is left out in this order, and `quality` says so: means, the extremes of tyres, those of fields that history
does not track, all extremes, then of the trouble codes those that the sample names as active itself. Integrals and
manoeuvres always stay.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.sampling.event_detection import BANDS
from agent.sensors.fields import CUSTOM, TIRES
from agent.sensors.since_last import GPS_SPEED, SPEED, Code, FieldSpread, Interval, Manoeuvre
from contract import timestamps
from contract.codec import Json, dump

GROUP = "since_last"
MOST_BYTES = 1500
"""Of the group on the wire."""
MOST_STORED = 430
"""Bytes by which it and the group `custom`, which goes first, may make the stored, compressed sample larger."""

_MANOEUVRES, _CODES, _FEW_CODES = 10, 20, 5
_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)


def joined(intervals: Sequence[Interval]) -> Interval | None:
    """Several sensors' intervals as one; of a field that several heard the first stands, as in `merge`."""
    if not intervals:
        return None
    spreads: dict[str, FieldSpread] = {}
    codes: dict[Code, tuple[float, float]] = {}
    manoeuvres: list[Manoeuvre] = []
    for one in intervals:
        spreads = {**one.spreads, **spreads}
        manoeuvres += one.manoeuvres
        for code, (first, last) in one.codes.items():
            before = codes.get(code, (first, last))
            codes[code] = max(first, before[0]), min(last, before[1])
    hardest = sorted(manoeuvres, key=lambda each: each.peak, reverse=True)[:_MANOEUVRES]
    return Interval(
        seconds=max(one.seconds for one in intervals),
        readings=sum(one.readings for one in intervals),
        spreads=spreads,
        driven={leaf: driven for one in reversed(intervals) for leaf, driven in one.driven.items()},
        litres=next((one.litres for one in intervals if one.litres is not None), None),
        manoeuvres=tuple(sorted(hardest, key=lambda each: -each.ago)),
        codes=codes,
    )


def group(interval: Interval, at: datetime) -> dict[str, Json]:
    """The wire's group of an interval. A field that did not change has no mean.

    Args:
        interval: what happened up to the sample.
        at: when the sample was taken, UTC.

    Returns:
        The group, without what there is nothing to say of.
    """
    driven = interval.driven.get(SPEED) or interval.driven.get(GPS_SPEED)
    found: dict[str, Any] = {
        "seconds": round(interval.seconds, 1),
        "readings": interval.readings,
        "min": {leaf: spread.low for leaf, spread in interval.spreads.items()},
        "max": {leaf: spread.high for leaf, spread in interval.spreads.items()},
        "mean": {
            leaf: _short(spread.mean)
            for leaf, spread in interval.spreads.items()
            if spread.mean is not None and spread.low != spread.high
        },
        "moving_seconds": round(driven.moving, 1) if driven else None,
        "idle_seconds": round(driven.idle, 1) if driven and driven.idle is not None else None,
        "distance_km": round(driven.kilometres, 4) if driven else None,
        "fuel_l": None if interval.litres is None else round(interval.litres, 5),
        "harsh": [
            {"kind": each.kind, "at": _before(at, each.ago), "peak": round(each.peak, 2)}
            for each in interval.manoeuvres
        ],
        "faults": [
            {"spn": spn, "fmi": fmi, "source": source, "first": _before(at, first), "last": _before(at, last)}
            for (spn, fmi, source), (first, last) in interval.codes.items()
        ],
    }
    return {name: value for name, value in found.items() if value is not None and value not in ({}, [])}


def fitted(interval: Interval, document: Mapping[str, Json]) -> tuple[Interval, tuple[str, ...]]:
    """What of an interval fits beside the rest of a sample.

    Args:
        interval: what happened up to the sample.
        document: the sample, without the group.

    Returns:
        (what fits, what was left out of it): "mean", "min", "max" or "faults", whole or in part.
    """
    beside = dump({name: value for name, value in document.items() if name != CUSTOM}).encode()
    own = dump(document.get(CUSTOM) or {}).encode()
    *before, smallest = _ever_smaller(interval, document)
    return next((each for each in before if _fits(each[0], beside, own)), smallest)


def _ever_smaller(interval: Interval, document: Mapping[str, Json]) -> Iterator[tuple[Interval, tuple[str, ...]]]:
    lean = {leaf: spread._replace(mean=None) for leaf, spread in interval.spreads.items()}
    tracked = {leaf: spread for leaf, spread in lean.items() if leaf in BANDS and not leaf.startswith(TIRES)}
    passing = {code: seen for code, seen in interval.codes.items() if code not in _active(document)}
    lacking: tuple[str, ...] = ()
    if len(interval.codes) > _CODES:
        interval, lacking = interval._replace(codes=passing), ("faults",)
    yield interval, lacking
    yield interval._replace(spreads=lean), ("mean", *lacking)
    if any(leaf.startswith(TIRES) for leaf in lean):
        lean = {leaf: spread for leaf, spread in lean.items() if not leaf.startswith(TIRES)}
        yield interval._replace(spreads=lean), ("mean", "min", "max", *lacking)
    yield interval._replace(spreads=tracked), ("mean", "min", "max", *lacking)
    yield interval._replace(spreads={}), ("mean", "min", "max", *lacking)
    yield interval._replace(spreads={}, codes=passing), ("mean", "min", "max", "faults")
    few = dict([*passing.items()][:_FEW_CODES])
    yield interval._replace(spreads={}, codes=few), ("mean", "min", "max", "faults")


def _active(document: Mapping[str, Json]) -> set[Code]:
    """The trouble codes that the sample itself names as active."""
    health: Any = document.get("vehicle_health_and_maintenance") or {}
    return {(each["spn"], each["fmi"], each.get("source")) for each in health.get("active_faults") or ()}


def _fits(interval: Interval, beside: bytes, own: bytes) -> bool:
    text = dump(group(interval, _ANY_TIME)).encode()
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 6, zlib.Z_DEFAULT_STRATEGY, beside)
    return len(text) <= MOST_BYTES and len(packer.compress(own + text) + packer.flush()) <= MOST_STORED


def _short(value: float | None) -> float | None:
    """Four digits: more are noise in a mean."""
    return None if value is None else float(f"{value:.4g}")


def _before(at: datetime, seconds: float) -> str:
    return timestamps.from_datetime(at - timedelta(seconds=seconds))
