"""A road network as a graph, and the quickest way through it.

Read from GeoJSON: a LineString or MultiLineString is a road, and roads meet where they share a point. How fast a truck
may go is in `limit` (km/h), in OpenStreetMap's `maxspeed`, or follows from the class of the road, by OpenStreetMap's
`highway` or Natural Earth's `type`. A `tunnel` hides the sky.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import cos, hypot, radians
from typing import Any

from contract.errors import Misconfigured

Point = tuple[float, float, float]
"""Latitude and longitude in degrees, altitude in metres."""

TRUCK_KMH = 80.0
"""No road is quicker for a truck."""

_SLOWEST_KMH = 5.0
_KMH_PER_MPH = 1.609344
_CLASSES = {
    "motorway": 80.0, "trunk": 80.0, "primary": 70.0, "secondary": 60.0, "tertiary": 50.0, "unclassified": 50.0,
    "residential": 30.0, "living_street": 10.0, "service": 20.0, "track": 20.0,
    "Major Highway": 80.0, "Beltway": 80.0, "Bypass": 70.0, "Secondary Highway": 70.0, "Road": 60.0, "Track": 20.0,
    "Unknown": 50.0,
}  # fmt: skip
_LINES = {"LineString": lambda lines: [lines], "MultiLineString": list}


@dataclass(frozen=True, slots=True)
class Stretch:
    """A road between two crossings. limit: km/h. road: the number of the line that it is a part of."""

    points: tuple[Point, ...]
    limit: float
    tunnel: bool
    road: int

    @property
    def seconds(self) -> float:
        """At the limit."""
        return length(self.points) / self.limit * 3.6

    def reversed(self) -> "Stretch":
        """The same, driven the other way."""
        return Stretch(self.points[::-1], self.limit, self.tunnel, self.road)


class RoadGraph:
    """Crossings and the stretches between them, each driven both ways."""

    def __init__(self, document: Mapping[str, Any], name: str) -> None:
        """
        Args:
            document: GeoJSON, a FeatureCollection.
            name: of the file, for messages.

        Raises:
            Misconfigured: it has no roads, or is no such document.
        """
        try:
            lines = list(_roads(document))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Misconfigured(f"{name}: is no GeoJSON of roads ({type(error).__name__}: {error})") from None
        if not lines:
            raise Misconfigured(f"{name}: has no LineString: give a road network as a GeoJSON FeatureCollection")
        self.ways: dict[Point, list[Stretch]] = defaultdict(list)
        for stretch in _stretches(lines):
            self.ways[stretch.points[0]].append(stretch)
            self.ways[stretch.points[-1]].append(stretch.reversed())

    def crossing(self, latitude: float, longitude: float) -> Point:
        """The crossing or road's end that lies next to a place."""
        return min(self.ways, key=lambda point: (distance(point, (latitude, longitude, 0.0)), point))

    def quickest(self, start: Point, end: Point) -> list[Stretch]:
        """The way from crossing to crossing that takes the least time at the limits (Dijkstra); [] where there is none,
        or nothing to drive."""
        return self._way_back(self._from(start, end), end)

    def reach(self, start: Point) -> dict[Point, float]:
        """Crossing → seconds from `start`, for all that can be reached."""
        return {point: seconds for point, (seconds, _) in self._from(start, None).items()}

    def _from(self, start: Point, end: Point | None) -> dict[Point, tuple[float, Stretch | None]]:
        best: dict[Point, tuple[float, Stretch | None]] = {start: (0.0, None)}
        waiting = [(0.0, start)]
        while waiting:
            seconds, point = heapq.heappop(waiting)
            if point == end:
                break
            if seconds > best[point][0]:
                continue
            for stretch in self.ways[point]:
                there, then = stretch.points[-1], seconds + stretch.seconds
                if there not in best or then < best[there][0]:
                    best[there] = (then, stretch)
                    heapq.heappush(waiting, (then, there))
        return best

    @staticmethod
    def _way_back(best: Mapping[Point, tuple[float, Stretch | None]], end: Point) -> list[Stretch]:
        way: list[Stretch] = []
        while end in best and (stretch := best[end][1]) is not None:
            way.append(stretch)
            end = stretch.points[0]
        return way[::-1]


def distance(a: Point, b: Point) -> float:
    """Metres between two places that are near each other."""
    north = (b[0] - a[0]) * 111_194.9
    east = (b[1] - a[1]) * 111_194.9 * cos(radians((a[0] + b[0]) / 2))
    return hypot(north, east)


def length(points: tuple[Point, ...]) -> float:
    """Metres along a line."""
    return sum(map(distance, points, points[1:]))


def place(coordinates: list[float]) -> Point:
    """GeoJSON's longitude, latitude and perhaps altitude."""
    longitude, latitude, *altitude = map(float, coordinates)
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise ValueError(f"{coordinates} is no longitude and latitude")
    return latitude, longitude, altitude[0] if altitude else 0.0


def _roads(document: Mapping[str, Any]) -> Iterator[tuple[tuple[Point, ...], float, bool]]:
    for feature in document["features"]:
        geometry, properties = feature["geometry"], feature.get("properties") or {}
        if geometry is None or geometry["type"] not in _LINES or properties.get("featurecla") == "Ferry":
            continue
        for line in _LINES[geometry["type"]](geometry["coordinates"]):
            points = [place(each) for each in line]
            kept = tuple(each for each, before in zip(points, [None, *points], strict=False) if each != before)
            if len(kept) > 1:
                yield kept, _limit(properties), properties.get("tunnel") in (True, "yes")


def _limit(properties: Mapping[str, Any]) -> float:
    said = properties.get("limit") or properties.get("maxspeed")
    known = _kmh(str(said)) if said else None
    if known is None:
        classes = (properties.get("highway"), properties.get("type"))
        known = next((_CLASSES[each] for each in classes if each in _CLASSES), _CLASSES["Unknown"])
    return min(TRUCK_KMH, max(_SLOWEST_KMH, known))


def _kmh(text: str) -> float | None:
    """`50`, `30 mph`; None for `none`, `walk`, `50;70` and the like."""
    number, _, unit = text.strip().partition(" ")
    try:
        return float(number) * (_KMH_PER_MPH if unit == "mph" else 1.0)
    except ValueError:
        return None


def _stretches(lines: list[tuple[tuple[Point, ...], float, bool]]) -> Iterator[Stretch]:
    """Cut where a point is used more than once. Two points at one place are one, whatever their altitudes."""
    first: dict[tuple[float, float], Point] = {}
    merged = [
        (tuple(first.setdefault(point[:2], point) for point in points), limit, tunnel)
        for points, limit, tunnel in lines
    ]
    uses = Counter(point for points, _, _ in merged for point in points)
    for road, (points, limit, tunnel) in enumerate(merged):
        begin = 0
        for at in range(1, len(points)):
            if uses[points[at]] > 1 or at == len(points) - 1:
                yield Stretch(points[begin : at + 1], limit, tunnel, road)
                begin = at
