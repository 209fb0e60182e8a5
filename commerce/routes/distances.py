"""How far and how long it is between places: from a matrix, from an OSRM server, or estimated."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from math import asin, cos, radians, sin, sqrt
from pathlib import Path
from urllib.request import urlopen

from commerce.routes.problem import Coordinates
from contract.codec import Json, parse
from contract.errors import Misconfigured, Rejected, Unreachable

DETOUR = 1.3
"""Roads are about this much longer than the great circle."""
SPEED_KMH = 50.0
_EARTH_KM = 6371.0088
_SECONDS = 30
_FARTHEST = 1e9


@dataclass(frozen=True, slots=True)
class Matrix:
    """metres and seconds from place i to place j. source: where they are from, for the reader of a plan."""

    metres: list[list[int]]
    seconds: list[list[int]]
    source: str


def estimated(places: Sequence[Coordinates]) -> Matrix:
    """Great circle × 1.3, at 50 km/h."""
    metres = [[round(great_circle_km(one, other) * DETOUR * 1000) for other in places] for one in places]
    seconds = [[round(each / 1000 / SPEED_KMH * 3600) for each in row] for row in metres]
    return Matrix(metres, seconds, f"great circle × {DETOUR}, {SPEED_KMH:.0f} km/h")


def from_osrm(places: Sequence[Coordinates], url: str) -> Matrix:
    """From an OSRM server's table service (project-osrm.org, API v1).

    Args:
        places: in the order of the matrix.
        url: of the server, such as http://127.0.0.1:5000.

    Raises:
        Unreachable: it does not answer, or knows no way between two places.
    """
    points = ";".join(f"{place.longitude:.6f},{place.latitude:.6f}" for place in places)
    try:
        with urlopen(
            f"{url.rstrip('/')}/table/v1/driving/{points}?annotations=distance,duration", timeout=_SECONDS
        ) as answer:
            found = json.load(answer)
        metres, seconds = (
            [[round(each) for each in row] for row in found[name]] for name in ("distances", "durations")
        )
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        raise Unreachable(f"OSRM at {url} gave no table ({error}): start it, or leave --osrm out") from None
    return Matrix(metres, seconds, f"OSRM at {url}")


def from_file(path: Path, places: int) -> Matrix:
    """From a JSON file `{"metres": [[…]], "seconds": [[…]]}`: row i, column j is the way from place i to place j.

    Args:
        path: of the file.
        places: how many there must be: the depot first, then the stops in the order of the day's file.

    Raises:
        Misconfigured: it cannot be read, or is no square of that size of numbers from 0 to 10^9.
    """
    try:
        found = parse(path.read_bytes())
    except (OSError, Rejected) as error:
        raise Misconfigured(f"{path} cannot be read: {error}") from None
    metres, seconds = (_square(found, name, places, path) for name in ("metres", "seconds"))
    return Matrix(metres, seconds, str(path))


def _square(found: Json, name: str, places: int, path: Path) -> list[list[int]]:
    rows = found.get(name) if isinstance(found, dict) else None
    wanted = f"{path}: {name} must be {places} rows of {places} numbers: the depot first, then the stops"
    if not isinstance(rows, list) or len(rows) != places:
        raise Misconfigured(f"{wanted}; it has {len(rows) if isinstance(rows, list) else 'no'} rows")
    for index, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != places or not all(map(_is_way, row)):
            raise Misconfigured(f"{wanted} from 0 to {_FARTHEST:g}; {name}.{index} is not")
    return [[round(each) for each in row] for row in rows]


def _is_way(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _FARTHEST


def great_circle_km(one: Coordinates, other: Coordinates) -> float:
    """The haversine distance."""
    latitude, other_latitude = radians(one.latitude), radians(other.latitude)
    half = (
        sin((other_latitude - latitude) / 2) ** 2
        + cos(latitude) * cos(other_latitude) * sin(radians(other.longitude - one.longitude) / 2) ** 2
    )
    return 2 * _EARTH_KM * asin(sqrt(half))
