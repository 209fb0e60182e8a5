"""The nearest town of a point, from the cities that ship with the map (GeoNames, of 25,000 people and more)."""

import json
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

_FILE = Path(__file__).with_name("static") / "basemap" / "cities.json"
_FARTHEST_KM = 300.0
_KM_A_DEGREE = 111.195
"""Of a great circle of the mean radius of the earth, 6371.0 km."""

Cell = tuple[int, int]


class NearPlace(NamedTuple):
    """A town and how far away its middle is."""

    name: str
    km: float


def nearest_place(latitude: float, longitude: float) -> NearPlace | None:
    """The nearest town.

    Args:
        latitude: degrees, WGS 84.
        longitude: degrees, WGS 84.

    Returns:
        Its name and its distance along the great circle; None where none is within 300 km.
    """
    best: NearPlace | None = None
    reach = 0.25  # degrees of latitude that are searched on each side
    while reach * _KM_A_DEGREE < _FARTHEST_KM * 2:
        for name, x, y in _within(latitude, longitude, reach):
            km = distance_km(latitude, longitude, y, x)
            if km <= _FARTHEST_KM and (best is None or km < best.km):
                best = NearPlace(name, km)
        if best and best.km <= reach * _KM_A_DEGREE:
            return best
        reach *= 2
    return best


def distance_km(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """The way along the great circle, degrees in, km out.

    Args:
        latitude: of one point.
        longitude: of it.
        other_latitude: of the other.
        other_longitude: of it.

    Returns:
        Kilometres on a sphere of 6371 km.
    """
    one, two = math.radians(latitude), math.radians(other_latitude)
    across = math.radians(other_longitude - longitude)
    half = math.sin((two - one) / 2) ** 2 + math.cos(one) * math.cos(two) * math.sin(across / 2) ** 2
    return 2 * math.degrees(math.asin(min(1.0, math.sqrt(half)))) * _KM_A_DEGREE


def _within(latitude: float, longitude: float, reach: float) -> Iterator[tuple[str, float, float]]:
    """The cities of all cells that a circle of so many degrees of latitude touches."""
    cells = _cells()
    top = min(90.0, abs(latitude) + reach)
    wide = 180.0 if top > 89 else min(180.0, reach / math.cos(math.radians(top)))
    south, north = math.floor(latitude - reach), math.floor(latitude + reach)
    west, east = math.floor(longitude - wide), math.floor(longitude + wide)
    for x in range(west, min(east, west + 359) + 1):
        for y in range(south, north + 1):
            yield from cells.get(((x + 180) % 360 - 180, y), ())


@cache
def _cells() -> dict[Cell, list[tuple[str, float, float]]]:
    """Cell of a degree → name, longitude, latitude of its cities."""
    found: dict[Cell, list[tuple[str, float, float]]] = {}
    for name, x, y, _ in json.loads(_FILE.read_text(encoding="utf-8")):
        found.setdefault((math.floor(x), math.floor(y)), []).append((name, x, y))
    return found
