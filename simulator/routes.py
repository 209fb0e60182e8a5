"""The tours that trucks drive: where each leads, how fast it may be driven, and where it stops.

They come from a file: a road network (GeoJSON, simulator.tours), or trips that were recorded (GPX or CSV,
simulator.recorded_trips). `roads.geojson` is the one that comes with the simulator. All tours of a file of roads start
and end at its depot; a recorded trip is driven there and back.
"""

import json
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from contract.errors import Misconfigured
from simulator import recorded_trips, tours
from simulator.road_graph import Point, distance
from simulator.tours import Section

OWN = Path(__file__).with_name("roads.geojson")
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


class _Chosen:
    """The file whose tours this process drives: chosen once, at its door."""

    file = OWN


def drive_on(file: Path | None) -> None:
    """Choose the roads or trips of this process, before the first truck is made.

    Args:
        file: `.geojson` or `.json`, `.gpx` or `.csv`; None: the simulator's own.

    Raises:
        Misconfigured: it cannot be read, or there is nothing to drive in it.
    """
    _Chosen.file = file or OWN
    all_routes.cache_clear()
    all_routes()


@cache
def all_routes() -> tuple[Route, ...]:
    """Every tour of the chosen file, read once."""
    return of_file(_Chosen.file)


def of_file(file: Path) -> tuple[Route, ...]:
    """Every tour of a file. Raises as `drive_on` does."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"[simulator] roads = {str(file)!r}: cannot be read ({error})") from None
    if file.suffix in (".gpx", ".csv"):
        plans = recorded_trips.driven(text, file)
    elif file.suffix in (".geojson", ".json"):
        try:
            plans = tours.planned(json.loads(text), str(file))
        except json.JSONDecodeError as error:
            raise Misconfigured(f"[simulator] roads = {str(file)!r}: is no JSON ({error})") from None
    else:
        raise Misconfigured(f"[simulator] roads = {str(file)!r}: give a .geojson of roads, or a .gpx or .csv of trips")
    return tuple(_route(name, sections) for name, sections in plans)


def _route(name: str, sections: tuple[Section, ...]) -> Route:
    points: list[Point] = [sections[0].points[0]]
    metres = [0.0]
    pieces: list[Piece] = []
    for section in sections:
        first = len(points) - 1
        for point in section.points[1:]:
            metres.append(metres[-1] + distance(points[-1], point))
            points.append(point)
        pieces.extend(_pieces(metres[first:], section))
    return Route(name, tuple(points), tuple(metres), tuple(pieces))


def _pieces(metres: list[float], section: Section) -> list[Piece]:
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
            limit=section.limit,
            tunnel=section.tunnel,
            stop=section.stop and i == last,
        )
        for i in range(len(cuts) - 1)
    ]
