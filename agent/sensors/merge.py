"""Several sensors' readings become one sample's measured part: every group and leaf, null where nobody measured.

Pure. Promises the sampler a document that always has the same shape, and beside every null the reason.
"""

from collections.abc import Sequence
from typing import Any

from agent.sensors import Reading
from agent.sensors.fields import ACTIVE_FAULTS, CUSTOM_AT_MOST, GROUPS, LAMPS, LEAVES, REASONS, TEXT_AT_MOST, is_custom

_POSITION = ("gps_location.latitude", "gps_location.longitude")
_TELLING: dict[str, int] = {reason: rank for rank, reason in enumerate(REASONS)}


def merge(readings: Sequence[Reading]) -> tuple[dict[str, Any], dict[str, str]]:
    """One moment's document.

    The first reading that has a value for a leaf wins, but for what is broken: the trouble codes of all that report
    some stand together, or none do where one that reports them does not know; a warning lamp is on where any says so.
    Where none has a value, the most telling reason stands (implausible,
    error, stale, then not_available, which also covers what no sensor knows). A group whose leaves all lack a value
    for one and the same reason stands in `quality` once, by its group's name. `custom` is there where a sensor
    has any of it.

    Args:
        readings: of one moment, the preferred first.

    Returns:
        (the nested document with every leaf of the wire, the quality map).
    """
    document: dict[str, Any] = {}
    quality: dict[str, str] = {}
    for leaf in LEAVES:
        sources = [r for r in readings if _whole_position(r)] if leaf in _POSITION else readings
        value = _faults(readings) if leaf == ACTIVE_FAULTS else _first(leaf, sources)
        _put(document, leaf, value)
        if value is None:
            quality[leaf] = _reason(leaf, readings)
    for group in GROUPS:
        _collapse(group, quality)
    _merge_custom(readings, document, quality)
    return document, quality


def _merge_custom(readings: Sequence[Reading], document: dict[str, Any], quality: dict[str, str]) -> None:
    """The group `custom`, left out where no sensor has any of it; names beyond what the wire takes are said."""
    leaves = [
        leaf for leaf in dict.fromkeys(name for r in readings for name in (*r.values, *r.quality)) if is_custom(leaf)
    ]
    for number, leaf in enumerate(leaves):
        value = any(said) if leaf in LAMPS and (said := _all(leaf, readings)) else _first(leaf, readings)
        if number < CUSTOM_AT_MOST:
            _put(document, leaf, value)
        if value is None or number >= CUSTOM_AT_MOST:
            quality[leaf] = _reason(leaf, readings)


def _all(leaf: str, readings: Sequence[Reading]) -> list[Any]:
    return [value for reading in readings if (value := reading.values.get(leaf)) is not None]


def _first(leaf: str, readings: Sequence[Reading]) -> object:
    return next(iter(_all(leaf, readings)), None)


def _faults(readings: Sequence[Reading]) -> object:
    """The codes of all buses, each once; None where one is not known, since a list without its codes would close
    them."""
    if any(reading.quality.get(ACTIVE_FAULTS, "not_available") != "not_available" for reading in readings):
        return None
    first, *others = _all(ACTIVE_FAULTS, readings) or [None]
    if not others or not all(isinstance(each, list | tuple) for each in (first, *others)):
        return first
    joined: list[Any] = []
    for code in (code for codes in (first, *others) for code in codes):
        if code not in joined:
            joined.append(code)
    return joined


def _whole_position(reading: "Reading") -> bool:
    """Whether one source says both halves of a position: halves of two sources are no place."""
    return all(reading.values.get(leaf) is not None for leaf in _POSITION)


def _put(document: dict[str, Any], leaf: str, value: object) -> None:
    *groups, name = leaf.split(".")
    for group in groups:
        document = document.setdefault(group, {})
    document[name] = value[:TEXT_AT_MOST] if isinstance(value, str) else value


def _reason(leaf: str, readings: Sequence[Reading]) -> str:
    names = (leaf, *(group for group in GROUPS if leaf.startswith(group + ".")))
    given = [reading.quality[name] for reading in readings for name in names if name in reading.quality]
    return max(given, key=_TELLING.__getitem__, default=REASONS[0])


def _collapse(group: str, quality: dict[str, str]) -> None:
    leaves = [leaf for leaf in LEAVES if leaf.startswith(group + ".")]
    inner = {name: reason for name, reason in quality.items() if name.startswith(group + ".")}
    covered = all(any(leaf == name or leaf.startswith(name + ".") for name in inner) for leaf in leaves)
    reasons = set(inner.values())
    if covered and len(reasons) == 1:
        for name in inner:
            del quality[name]
        quality[group] = reasons.pop()
