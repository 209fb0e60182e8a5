"""Delivery tours on a road graph: from the depot to each stop by the quickest way, and home.

A document may name its tours; where it names none, they are made up, always the same ones for the same roads: stops
are taken from its named places, else from its crossings, near enough to be back within a shift, and driven to in the
order of the nearest next.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from random import Random
from typing import Any

from contract.errors import Misconfigured
from simulator.road_graph import Point, RoadGraph, Stretch, place

_TOURS, _STOPS = 12, (3, 6)
_REACH_S = 3600.0
"""At the limits, from the depot: with five times that the longest tour needs a tank and is driven in a day."""


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of a tour without a stop in between. points: the first is where the section before ended."""

    points: tuple[Point, ...]
    limit: float
    tunnel: bool
    stop: bool


Plan = tuple[str, tuple[Section, ...]]
"""A tour's name, and its sections from the depot round to the depot."""


def planned(document: Mapping[str, Any], name: str) -> list[Plan]:
    """The tours on the roads of a GeoJSON document.

    Args:
        document: a FeatureCollection; a Point with a `name` may be a stop, one with `depot` is where tours begin.
        name: of the file, for messages.

    Returns:
        In the document's order, or twelve that are made up.

    Raises:
        Misconfigured: there is no road, a stop is not known, or cannot be reached.
    """
    graph = RoadGraph(document, name)
    places: dict[str, Point] = {}
    depot: Point | None = None
    for feature in document["features"]:
        if (feature["geometry"] or {}).get("type") == "Point":
            properties = feature.get("properties") or {}
            here = graph.crossing(*place(feature["geometry"]["coordinates"])[:2])
            if properties.get("depot"):
                depot = here
            elif properties.get("name"):
                places[str(properties["name"])] = here
    if depot is None:
        depot = _middle(graph)
    chosen = document.get("tours") or list(_made_up(graph, depot, places))
    return [(each["name"], tuple(_driven(graph, depot, each["stops"], places, name))) for each in chosen]


def _driven(
    graph: RoadGraph, depot: Point, stops: list[str], places: Mapping[str, Point], name: str
) -> Iterator[Section]:
    here = depot
    for stop in [*stops, None]:
        if stop is not None and stop not in places:
            raise Misconfigured(f"{name}: tours: {stop!r} is no place of it: give a Point with that name")
        there = depot if stop is None else places[stop]
        way = graph.quickest(here, there)
        if not way:
            raise Misconfigured(f"{name}: tours: no road leads to {stop or 'the depot'!r} from the stop before it")
        sections = [_section(list(part)) for _, part in groupby(way, key=lambda stretch: stretch.road)]
        yield from sections[:-1]
        last = sections[-1]
        yield Section(last.points, last.limit, last.tunnel, stop=True)
        here = there


def _section(part: list[Stretch]) -> Section:
    """One road, whatever crosses it."""
    points = part[0].points + tuple(point for stretch in part[1:] for point in stretch.points[1:])
    return Section(points, part[0].limit, part[0].tunnel, stop=False)


def _middle(graph: RoadGraph) -> Point:
    """The crossing nearest to the middle of the largest network."""
    left, largest = set(graph.ways), dict[Point, float]()
    while left:
        found = graph.reach(min(left))
        largest = max(largest, found, key=len)
        left -= set(found)
    latitude, longitude = (sum(point[axis] for point in largest) / len(largest) for axis in (0, 1))
    return min(largest, key=lambda point: ((point[0] - latitude) ** 2 + (point[1] - longitude) ** 2, point))


def _made_up(graph: RoadGraph, depot: Point, places: dict[str, Point]) -> Iterator[dict[str, Any]]:
    """Tours by dice that always fall the same. Crossings become places where too few have a name."""
    reach = graph.reach(depot)
    near = sorted(name for name, point in places.items() if 0 < reach.get(point, 0) <= _REACH_S)
    if len(near) < _STOPS[1]:
        crossings = sorted(point for point, seconds in reach.items() if 0 < seconds <= _REACH_S)
        names = {f"{latitude:.3f} {longitude:.3f}": (latitude, longitude, up) for latitude, longitude, up in crossings}
        places |= names
        near = sorted(names)
    if not near:
        raise Misconfigured("the depot's roads lead nowhere within an hour: give roads that belong together")
    dice = Random("tours")
    for number in range(1, _TOURS + 1):
        chosen = dice.sample(near, min(len(near), dice.randint(*_STOPS)))
        yield {"name": f"Tour {number}", "stops": _in_order(graph, depot, chosen, places)}


def _in_order(graph: RoadGraph, depot: Point, chosen: list[str], places: Mapping[str, Point]) -> list[str]:
    """The nearest next; names at one crossing are one stop."""
    left = {places[name]: name for name in chosen}
    here, ordered = depot, []
    while left:
        reach = graph.reach(here)
        here = min(left, key=lambda point: (reach[point], point))
        ordered.append(left.pop(here))
    return ordered
