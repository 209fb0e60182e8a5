"""Where trucks drive: the quickest way through a road network, the simulator's own or a user's, or recorded trips."""

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from contract.errors import Misconfigured
from simulator.road_graph import RoadGraph
from simulator.routes import OWN, all_routes, drive_on, of_file
from simulator.vehicle import Vehicle
from tests import milepost_process
from tests.recordings import recording

Feature = dict[str, Any]


@pytest.fixture(autouse=True)
def _own_roads_again() -> Iterator[None]:
    yield
    drive_on(None)


def road(*points: tuple[float, float], **properties: object) -> Feature:
    line = {"type": "LineString", "coordinates": [list(point) for point in points]}
    return {"type": "Feature", "properties": properties, "geometry": line}


def town(name: str, longitude: float, latitude: float, **properties: object) -> Feature:
    point = {"type": "Point", "coordinates": [longitude, latitude]}
    return {"type": "Feature", "properties": {"name": name, **properties}, "geometry": point}


def network(*features: Feature, **more: object) -> Mapping[str, Any]:
    return {"type": "FeatureCollection", "features": list(features), **more}


def ladder() -> Mapping[str, Any]:
    """A slow straight road and a fast bend between the same towns, as OpenStreetMap and Natural Earth have them."""
    return network(
        road((9.0, 48.0), (9.1, 48.0), (9.2, 48.0), highway="residential"),
        road((9.0, 48.0), (9.0, 48.05), (9.2, 48.05), (9.2, 48.0), type="Major Highway", featurecla="Road"),
        road((9.2, 48.0), (9.3, 48.0), highway="primary", maxspeed="30 mph"),
        road((9.1, 48.0), (9.1, 47.9), maxspeed="none", highway="motorway"),
        road((9.0, 48.0), (9.1, 47.9), featurecla="Ferry", type="Ferry Route"),
        town("Depot", 9.0, 48.0, depot=True),
        town("East", 9.3, 48.0),
        town("South", 9.1, 47.9),
    )


def written(folder: Path, document: Mapping[str, Any]) -> Path:
    file = folder / "region.geojson"
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def test_the_quickest_way_is_not_the_shortest() -> None:
    graph = RoadGraph(ladder(), "ladder")
    way = graph.quickest(graph.crossing(48.0, 9.0), graph.crossing(48.0, 9.2))
    assert [stretch.limit for stretch in way] == [80.0]
    assert len(way[0].points) == 4
    assert graph.quickest(way[0].points[-1], way[0].points[0]) == [way[0].reversed()]
    onward = graph.quickest(graph.crossing(48.0, 9.1), graph.crossing(48.0, 9.3))
    assert [round(stretch.limit, 1) for stretch in onward] == [30.0, 48.3]


def test_a_tour_goes_by_road_from_stop_to_stop_and_home(tmp_path: Path) -> None:
    document = {**ladder(), "tours": [{"name": "round", "stops": ["East", "South"]}]}
    (route,) = of_file(written(tmp_path, document))
    assert route.stops == 2
    assert route.points[0] == route.points[-1] == (48.0, 9.0, 0.0)
    vertices = {
        (point[1], point[0])
        for feature in document["features"]
        if feature["geometry"]["type"] == "LineString" and feature["properties"].get("featurecla") != "Ferry"
        for point in feature["geometry"]["coordinates"]
    }
    assert {point[:2] for point in route.points} <= vertices
    bend, step, branch = 2 * 5_560 + 14_870, 7_440, 11_120
    assert route.length == pytest.approx((bend + step) + (2 * step + branch) + (branch + step), rel=0.001)


def test_tours_are_made_up_where_a_file_names_none(tmp_path: Path) -> None:
    """Always the same for the same roads, from the named depot or the middle of the largest network."""
    grid = [
        road(*((9 + x / 50, 48 + y / 50) for x in range(8)), highway="secondary") for y in range(8)
    ] + [road(*((9 + x / 50, 48 + y / 50) for y in range(8)), highway="secondary") for x in range(8)]  # fmt: skip
    island = road((10.0, 49.0), (10.1, 49.0))
    file = written(tmp_path, network(*grid, island))
    first, again = of_file(file), of_file(file)
    assert first == again
    assert len({route.points for route in first}) == 12
    assert all(3 <= route.stops <= 6 for route in first)
    assert all(route.points[0] == route.points[-1] for route in first)
    assert abs(first[0].points[0][0] - 48.07) < 0.03
    assert all(point[0] < 48.9 for route in first for point in route.points)


def test_trucks_of_one_seed_drive_one_fleet_on_any_roads(tmp_path: Path) -> None:
    drive_on(written(tmp_path, ladder()))
    moment = datetime(2026, 6, 2, 9, tzinfo=UTC)
    fleet = [Vehicle(f"TRUCK-{number:03}", 3) for number in range(1, 6)]
    for vehicle in fleet:
        start = vehicle.kilometres(moment.timestamp())
        speeds = []
        for minute in range(0, 12 * 60, 5):
            values = vehicle.at(moment + timedelta(minutes=minute)).values
            speeds.append(values["vehicle_speed"])
            assert 47.89 < float(str(values["gps_location.latitude"])) < 48.06
        assert vehicle.kilometres((moment + timedelta(hours=12)).timestamp()) > start
        assert 0 < max(float(str(speed)) for speed in speeds) <= 80.5
    again = Vehicle("TRUCK-002", 3)
    assert again.at(moment).values == fleet[1].at(moment).values


def test_the_own_tours_lie_on_the_own_roads() -> None:
    document = json.loads(OWN.read_text(encoding="utf-8"))
    lines = [each["geometry"]["coordinates"] for each in document["features"] if "limit" in each["properties"]]
    steps = {frozenset((tuple(a), tuple(b))) for line in lines for a, b in pairwise(line)}
    assert len(all_routes()) == len(document["tours"])
    for route, tour in zip(all_routes(), document["tours"], strict=True):
        assert (route.name, route.stops) == (tour["name"], len(tour["stops"]))
        there = [(longitude, latitude, altitude) for latitude, longitude, altitude in route.points]
        assert all(frozenset(step) in steps for step in pairwise(there))


@pytest.mark.parametrize(
    ("name", "trips", "kilometres"),
    [("trips/driveplotr_nds_drives.csv", 9, 2 * 44.66), ("obd2/css_car_3BA199E2_0164_1hz.csv", 1, 2 * 40.58)],
)
def test_recorded_trips_are_driven_there_and_back(name: str, trips: int, kilometres: float) -> None:
    """Real drives; the lengths are those that the recordings tell themselves (an odometer, a column of distances)."""
    routes = of_file(recording(name))
    assert len(routes) == trips
    assert sum(route.length for route in routes) / 1000 == pytest.approx(kilometres, rel=0.03)
    for route in routes:
        assert route.points[0] == route.points[-1]
        assert route.stops >= 1
        assert all(15 <= piece.limit <= 80 for piece in route.pieces)


GPX = """<?xml version="1.0"?><gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1"><trk><trkseg>
{}</trkseg></trk></gpx>"""


def test_a_gpx_track_is_a_trip_with_a_stop_where_it_stood(tmp_path: Path) -> None:
    """36 km/h northwards for 4 km, four minutes of standing, and 2 km more; an hour later 100 m, which are none."""
    begin = datetime(2026, 5, 4, 8, tzinfo=UTC)
    fixes = [(second, 48 + second * 10 / 111_194.9) for second in range(0, 400, 5)]
    fixes += [(400 + 240 + second, 48 + (400 + second) * 10 / 111_194.9) for second in range(0, 205, 5)]
    fixes += [(5000, 48.1), (5010, 48.1009)]
    lines = [
        f'<trkpt lat="{latitude:.7f}" lon="11.0"><ele>500</ele>'
        f"<time>{(begin + timedelta(seconds=second)).isoformat().replace('+00:00', 'Z')}</time></trkpt>"
        for second, latitude in fixes
    ]
    file = tmp_path / "mine.gpx"
    file.write_text(GPX.format("\n".join(lines)), encoding="utf-8")
    (route,) = of_file(file)
    assert route.name == "mine 1"
    assert route.length == pytest.approx(12_000, rel=0.01)
    assert route.stops == 2  # on the way and at its end; none on the way back
    assert all(math.isclose(piece.limit, 36, rel_tol=0.05) for piece in route.pieces)
    assert route.points[0][2] == 500


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("x.geojson", "{", "no JSON"),
        ("x.geojson", "[]", "no GeoJSON"),
        ("x.geojson", json.dumps(network(town("A", 9, 48))), "no LineString"),
        ("x.geojson", json.dumps(network(road((9, 48), (9, 148)))), "no longitude and latitude"),
        ("x.geojson", json.dumps({**ladder(), "tours": [{"name": "t", "stops": ["North"]}]}), "'North' is no place"),
        ("x.gpx", "<gpx", "no GPX"),
        ("x.gpx", GPX.format(""), "no trip of 1 km"),
        ("x.csv", "a,b\n1,2\n", "columns that are not known"),
        ("x.shp", "", "give a .geojson"),
    ],
)
def test_a_file_that_cannot_be_driven_is_named(name: str, text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    with pytest.raises(Misconfigured, match=said):
        drive_on(file)


def test_the_setting_puts_the_commands_trucks_on_those_roads(tmp_path: Path) -> None:
    file = written(tmp_path, {**ladder(), "tours": [{"name": "round", "stops": ["East", "South"]}]})
    span = ("--from", "2026-06-02T00:00:00Z", "--to", "2026-06-02T12:00:00Z", "--count", "1", "--json")
    done = milepost_process.run("simulate", "truths", *span, MILEPOST_SIMULATOR__ROADS=str(file))
    assert done.code == 0, done.err
    stops = [truth for truth in done.json if truth["kind"] == "stop"]
    assert stops
    assert all(47.8 < stop["latitude"] < 48.1 and 8.9 < stop["longitude"] < 9.4 for stop in stops)
