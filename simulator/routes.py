"""The delivery tours that come with the simulator: where a truck drives, how fast it may, and where it stops.

`routes.json` holds them, drawn by hand around one depot. All tours start and end there.
"""

import json
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from math import cos, hypot, radians
from pathlib import Path
from typing import Any

Point = tuple[float, float, float]
"""Latitude and longitude in degrees, altitude in metres."""

_PIECE_M = 1500.0  # each piece of a section has traffic of its own


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of road driven at one pace. start, length: metres; limit: km/h; stop: a delivery at its end."""

    start: float
    length: float
    limit: float
    tunnel: bool
    stop: bool


@dataclass(frozen=True, slots=True)
class Route:
    """One tour: `points[i]` lies `metres[i]` from the depot along the road."""

    name: str
    points: tuple[Point, ...]
    metres: tuple[float, ...]
    pieces: tuple[Piece, ...]

    @property
    def length(self) -> float:
        """Metres from the depot round to the depot."""
        return self.metres[-1]

    @property
    def stops(self) -> int:
        """Deliveries on the way, the return to the depot not counted."""
        return sum(piece.stop for piece in self.pieces) - 1

    def place(self, metres: float) -> Point:
        """Where the tour is after so many metres."""
        at = min(max(bisect_right(self.metres, metres), 1), len(self.metres) - 1)
        before, after = self.metres[at - 1], self.metres[at]
        share = min(max((metres - before) / (after - before), 0.0), 1.0)
        (lat, lon, alt), (lat2, lon2, alt2) = self.points[at - 1], self.points[at]
        return lat + (lat2 - lat) * share, lon + (lon2 - lon) * share, alt + (alt2 - alt) * share


@cache
def all_routes() -> tuple[Route, ...]:
    """Every tour of `routes.json`, read once."""
    document = json.loads((Path(__file__).parent / "routes.json").read_text(encoding="utf-8"))
    return tuple(_route(document["depot"], entry) for entry in document["routes"])


def _route(depot: list[float], entry: dict[str, Any]) -> Route:
    points: list[Point] = [_point(depot)]
    metres = [0.0]
    pieces: list[Piece] = []
    for section in entry["sections"]:
        first = len(points) - 1
        for raw in section["points"]:
            point = _point(raw)
            metres.append(metres[-1] + _distance(points[-1], point))
            points.append(point)
        pieces.extend(_pieces(metres[first:], section))
    return Route(entry["name"], tuple(points), tuple(metres), tuple(pieces))


def _pieces(metres: list[float], section: dict[str, Any]) -> list[Piece]:
    """Cut a section at its points into pieces of 1.5 km or more."""
    end = metres[-1]
    cuts = [metres[0]]
    for at in metres[1:-1]:
        if at - cuts[-1] >= _PIECE_M and end - at >= _PIECE_M:
            cuts.append(at)
    cuts.append(end)
    last = len(cuts) - 2
    return [
        Piece(
            start=cuts[i],
            length=cuts[i + 1] - cuts[i],
            limit=float(section["limit"]),
            tunnel=section.get("tunnel", False),
            stop="stop" in section and i == last,
        )
        for i in range(len(cuts) - 1)
    ]


def _point(raw: list[float]) -> Point:
    lat, lon, alt = raw
    return lat, lon, alt


def _distance(a: Point, b: Point) -> float:
    north = (b[0] - a[0]) * 111_194.9
    east = (b[1] - a[1]) * 111_194.9 * cos(radians((a[0] + b[0]) / 2))
    return hypot(north, east)
