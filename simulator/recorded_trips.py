"""Recorded trips as tours: a truck drives along what a receiver heard, as fast as that was driven, and back.

GPX (its tracks, with times), or CSV in a form that the agent's trip tables know (agent.sensors.trip_csv). A pause of
ten minutes or a leap of two kilometres ends a trip, and one shorter than a kilometre is none. Where the recorded
vehicle stood for three minutes or more, the truck has a delivery, and another where the trip ends.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from agent.sensors import trip_csv
from contract import timestamps
from contract.errors import Misconfigured, Rejected
from simulator.road_graph import TRUCK_KMH, Point, distance, length
from simulator.tours import Plan, Section

_PAUSE_S, _LEAP_M, _SHORTEST_M = 600.0, 2000.0, 1000.0
_STEP_M = 25.0
"""Nearer points are the receiver's unrest."""

_STOP_S = 180.0
_SECTION_M = 1500.0
_SLOWEST_KMH = 15.0
_POSITION = ("gps_location.latitude", "gps_location.longitude", "gps_location.altitude")

Fix = tuple[float, Point]
"""Unix seconds and place."""


def driven(text: str, file: Path) -> list[Plan]:
    """Every trip of a recording, there and back.

    Args:
        text: what the file holds.
        file: for its kind and for messages.

    Returns:
        In the order in which they were driven.

    Raises:
        Misconfigured: it is no such recording, or has no trip of a kilometre or more.
    """
    fixes = list(_of_gpx(text, file) if file.suffix == ".gpx" else _of_csv(text, file))
    trips = [trip for trip in _trips(fixes) if length(tuple(point for _, point in trip)) >= _SHORTEST_M]
    if not trips:
        raise Misconfigured(f"{file}: has no trip of {_SHORTEST_M / 1000:g} km or more")
    return [(f"{file.stem} {number}", _there_and_back(trip)) for number, trip in enumerate(trips, start=1)]


def _of_csv(text: str, file: Path) -> Iterator[Fix]:
    lines = text.splitlines()
    layout = trip_csv.layout_of(lines[0]) if lines else None
    if layout is None:
        known = ", ".join(each.name for each in trip_csv.LAYOUTS)
        raise Misconfigured(f"{file}: has columns that are not known: give a table of {known}, or GPX")
    for at, row in trip_csv.rows(lines, layout):
        state = trip_csv.TripState(layout)  # of this row alone: nothing is carried over a gap
        state.feed(at, row)
        values, _ = state.snapshot(at)
        latitude, longitude, altitude = (values.get(leaf) for leaf in _POSITION)
        if isinstance(latitude, float) and isinstance(longitude, float):
            yield at, (latitude, longitude, altitude if isinstance(altitude, float) else 0.0)


def _of_gpx(text: str, file: Path) -> Iterator[Fix]:
    """Track points without a time are left out."""
    try:
        root = ElementTree.fromstring(text)
        for point in root.iter():
            if point.tag.rpartition("}")[2] == "trkpt":
                said = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in point}
                if "time" in said:
                    at = timestamps.to_datetime(timestamps.parse(said["time"], "time")).timestamp()
                    yield at, (float(point.attrib["lat"]), float(point.attrib["lon"]), float(said.get("ele") or 0))
    except (ElementTree.ParseError, KeyError, ValueError, Rejected) as error:
        raise Misconfigured(f"{file}: is no GPX of a trip ({error})") from None


def _trips(fixes: list[Fix]) -> Iterator[list[Fix]]:
    """Cut at pauses and leaps; within a trip only points that lie apart."""
    trip: list[Fix] = []
    heard: Fix | None = None
    for fix in fixes:
        if heard and not (0 <= fix[0] - heard[0] < _PAUSE_S and distance(heard[1], fix[1]) < _LEAP_M):
            yield trip
            trip = []
        heard = fix
        if not trip or distance(trip[-1][1], fix[1]) >= _STEP_M:
            trip.append(fix)
    yield trip


def _there_and_back(trip: list[Fix]) -> tuple[Section, ...]:
    """The way back has no deliveries."""
    there = list(_sections(trip))
    home = [Section(each.points[::-1], each.limit, each.tunnel, stop=each is there[0]) for each in reversed(there)]
    return (*there, *home)


def _sections(trip: list[Fix]) -> Iterator[Section]:
    """One ends at a stop, and where it is long enough to have a pace of its own: that of the driving in it."""
    begin, seconds, metres = 0, 0.0, 0.0
    for at in range(1, len(trip)):
        (before, a), (now, b) = trip[at - 1], trip[at]
        stands, last = now - before >= _STOP_S, at == len(trip) - 1
        if not stands:
            seconds, metres = seconds + now - before, metres + distance(a, b)
        points = tuple(point for _, point in trip[begin : at + 1])
        if stands or last or metres >= _SECTION_M:
            pace = metres / seconds * 3.6 if seconds else _SLOWEST_KMH
            yield Section(points, min(TRUCK_KMH, max(_SLOWEST_KMH, pace)), tunnel=False, stop=stands or last)
            begin, seconds, metres = at, 0.0, 0.0
