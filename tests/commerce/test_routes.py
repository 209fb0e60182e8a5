"""Route plans: short, within every bound, and plain about what cannot be served."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commerce.routes.distances import estimated, from_file, from_osrm
from commerce.routes.planning import plan
from commerce.routes.problem import Coordinates, read_problem
from contract import timestamps
from contract.errors import Misconfigured, Unreachable
from contract.ports import free_port
from tests.milepost_here import run

NOON = "2026-11-30T12:00:00.000Z"
NOON_MS = timestamps.to_ms(NOON)
DEPOT = {"latitude": 52.52, "longitude": 13.40}


def a_day(stops: int, trucks: int, *, seed: int = 1, **more: Any) -> dict[str, Any]:
    """Stops spread over a town and its surroundings."""
    dice = Random(seed)
    return {
        "depot": DEPOT,
        "stops": [
            {
                "order_id": f"A-{number}",
                "latitude": 52.52 + dice.uniform(-0.25, 0.25),
                "longitude": 13.40 + dice.uniform(-0.4, 0.4),
                **more,
            }
            for number in range(stops)
        ],
        "trucks": [
            {"truck_id": f"T{number}", "capacity": -(-stops // trucks) + 1, "litres_per_100km": 25}
            for number in range(trucks)
        ],
    }


def planned(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    file = folder / "day.json"
    file.write_text(json.dumps(document))
    problem = read_problem(file)
    return plan(problem, estimated([problem.depot, *(stop.place for stop in problem.stops)]), now_ms=NOON_MS)


def test_eighty_stops_take_at_most_eight_tenths_of_nearest_first(tmp_path: Path) -> None:
    found = planned(a_day(80, 6), tmp_path)
    served = [stop["order_id"] for truck in found["trucks"] for stop in truck["stops"]]
    assert sorted(served) == sorted(f"A-{number}" for number in range(80))
    assert found["km"] <= 0.8 * found["nearest_km"]
    assert found["saved_litres"] == pytest.approx(found["saved_km"] / 4, abs=0.2)


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1000), st.integers(1, 3))
def test_windows_capacities_and_hours_are_never_broken(tmp_path: Path, seed: int, trucks: int) -> None:
    dice = Random(seed)
    document = a_day(8, trucks, seed=seed)
    windows = {}
    for stop in document["stops"]:
        first = NOON_MS + dice.randrange(0, 4) * 3_600_000
        windows[stop["order_id"]] = (first, first + 3_600_000)
        stop["earliest"], stop["latest"] = map(timestamps.from_ms, windows[stop["order_id"]])
        stop["demand"] = dice.randint(1, 4)
    for truck in document["trucks"]:
        truck |= {"capacity": 6, "start": NOON, "end": timestamps.from_ms(NOON_MS + 5 * 3_600_000)}
    demands = {stop["order_id"]: stop["demand"] for stop in document["stops"]}
    found = planned(document, tmp_path)
    for truck in found["trucks"]:
        assert sum(demands[stop["order_id"]] for stop in truck["stops"]) <= 6
        for stop in truck["stops"]:
            first, last = windows[stop["order_id"]]
            assert first <= timestamps.to_ms(stop["arrive_at"]) <= last
    assert len(found["unassigned"]) + sum(len(truck["stops"]) for truck in found["trucks"]) == 8
    assert all(stop["reason"] for stop in found["unassigned"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"demand": 99}, "more than any truck's capacity"),
        (
            {"latest": timestamps.from_ms(NOON_MS + 1000), "earliest": NOON, "latitude": 53.5},
            "no truck can be there by",
        ),
        ({"latitude": 48.1}, "hours"),
    ],
)
def test_what_cannot_be_served_says_why(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    document = a_day(4, 1)
    document["trucks"][0] |= {"start": NOON, "end": timestamps.from_ms(NOON_MS + 8 * 3_600_000)}
    document["stops"][2] |= change
    [left] = planned(document, tmp_path)["unassigned"]
    assert (left["order_id"], reason in left["reason"]) == ("A-2", True)


HERE = {"order_id": "B", **DEPOT}


@pytest.mark.parametrize(
    ("stop", "truck", "reason"),
    [
        ({"earliest": "2026-12-03T12:00Z"}, {"start": NOON}, "no truck is out any more when it may begin"),
        ({"latest": "2020-01-01T00:00Z"}, {"start": NOON}, "no truck can be there by 2020-01-01"),
        ({"latest": "2020-01-01T00:00Z"}, {}, "no truck can be there by 2020-01-01"),
        ({"earliest": "2026-12-03T12:00Z"}, {"end": "2026-12-01T12:00Z"}, "no truck is out any more when it may begin"),
        ({"service_min": 1500}, {}, "no driver's hours are long enough"),
        ({"service_min": 0}, {"start": NOON, "end": NOON, "capacity": 0}, "more than any truck's capacity"),
    ],
)
def test_a_stop_at_the_depot_itself_breaks_no_bound_either(
    tmp_path: Path, stop: dict[str, Any], truck: dict[str, Any], reason: str
) -> None:
    """No way stands between: a time before the day's begin must not become its begin."""
    found = planned({"depot": DEPOT, "stops": [{**HERE, **stop}], "trucks": [{"truck_id": "T1", **truck}]}, tmp_path)
    assert found["trucks"] == []
    [left] = found["unassigned"]
    assert reason in left["reason"]


def _window(day: int) -> dict[str, str]:
    return {"earliest": f"2026-12-0{day}T10:00Z", "latest": f"2026-12-0{day}T11:00Z"}


def test_trucks_of_different_days_each_keep_their_own(tmp_path: Path) -> None:
    days = [
        {"truck_id": f"T{day}", "start": f"2026-12-0{day}T08:00Z", "end": f"2026-12-0{day}T16:00Z"} for day in (1, 4)
    ]
    stops = [{**HERE, "order_id": f"S{day}", **_window(day)} for day in (1, 4)]
    found = planned({"depot": DEPOT, "stops": stops, "trucks": days}, tmp_path)
    assert [(truck["truck_id"], truck["stops"][0]["arrive_at"]) for truck in found["trucks"]] == [
        ("T1", "2026-12-01T10:00:00.000Z"),
        ("T4", "2026-12-04T10:00:00.000Z"),
    ]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"stops": []}, "stops"),
        ({"depot": {"latitude": 91, "longitude": 0}}, "depot.latitude"),
        ({"stops": [{"order_id": "1", "latitude": 1, "longitude": 2, "demand": 1.5}]}, "stops.0.demand"),
        ({"stops": [{"order_id": "1", "latitude": 1, "longitude": 2, "latest": "noon"}]}, "stops.0.latest"),
        ({"stops": [{"order_id": "1", "latitude": 1, "longitude": 2}] * 2}, "stops.1.order_id"),
        ({"trucks": [{"truck_id": "a b"}]}, "trucks.0.truck_id"),
        ({"trucks": [{"truck_id": "T1"}] * 2}, "trucks.1.truck_id"),
        ({"trucks": [{"truck_id": "T1", "start": NOON, "end": "2026-11-30T07:00Z"}]}, "trucks.0.end"),
        ({"trucks": [{"truck_id": "T1", "litres_per_100km": 10**400}]}, "trucks.0.litres_per_100km"),
        ({"trucks": [{"truck_id": "T1", "start": "9999-12-31T23:59Z"}]}, "trucks.0.start"),
    ],
)
def test_wrong_input_is_named(tmp_path: Path, change: dict[str, Any], field: str) -> None:
    (tmp_path / "day.json").write_text(json.dumps({**a_day(2, 1), **change}))
    with pytest.raises(Misconfigured, match=field):
        read_problem(tmp_path / "day.json")


LINE = [[0, 9, 9, 1], [9, 0, 1, 9], [9, 1, 0, 1], [1, 9, 1, 0]]
"""Ways on which depot, A-2, A-1, A-0, depot is not the shortest tour of the map."""


def _day(folder: Path) -> Path:
    (folder / "day.json").write_text(json.dumps(a_day(3, 1)))
    return folder / "day.json"


def test_distances_of_one_s_own_count(tmp_path: Path) -> None:
    way = [[1000 * each for each in row] for row in LINE]
    (tmp_path / "ways.json").write_text(json.dumps({"metres": way, "seconds": LINE}))
    options = ("--matrix", tmp_path / "ways.json", "--data-dir", tmp_path, "--json")
    found = run("routes", "plan", _day(tmp_path), *options).json
    stops = [stop["order_id"] for stop in found["trucks"][0]["stops"]]
    assert stops in (["A-0", "A-1", "A-2"], ["A-2", "A-1", "A-0"])
    assert (found["km"], found["distances"]) == (12.0, str(tmp_path / "ways.json"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "metres must be 4 rows"),
        (json.dumps({"metres": LINE[:3], "seconds": LINE}), "it has 3 rows"),
        (json.dumps({"metres": LINE, "seconds": [*LINE[:3], [0, 1, 2]]}), "seconds.3 is not"),
        (json.dumps({"metres": LINE, "seconds": [[-1, 1, 2, 3], *LINE[1:]]}), "seconds.0 is not"),
        ("{", "cannot be read"),
    ],
)
def test_distances_that_do_not_fit_are_named(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "ways.json").write_text(content)
    with pytest.raises(Misconfigured, match=said):
        from_file(tmp_path / "ways.json", 4)


class Osrm(BaseHTTPRequestHandler):
    """Answers as OSRM's table service documents it (API v1); no OSRM is at hand."""

    answer: ClassVar[dict[str, Any]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = json.dumps(self.answer).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def osrm() -> Iterator[str]:
    Osrm.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Osrm)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join(60)
    server.server_close()


def test_an_osrm_server_s_ways_count_and_a_place_without_one_is_said(osrm: str) -> None:
    places = [Coordinates(52.52, 13.4), Coordinates(52.5, 13.3)]
    Osrm.answer = {"code": "Ok", "distances": [[0, 1200.4], [1300.6, 0]], "durations": [[0, 100.2], [110.7, 0]]}
    found = from_osrm(places, osrm)
    assert (found.metres, found.seconds) == ([[0, 1200], [1301, 0]], [[0, 100], [111, 0]])
    [asked] = Osrm.asked
    assert asked == "/table/v1/driving/13.400000,52.520000;13.300000,52.500000?annotations=distance,duration"
    Osrm.answer = {"code": "Ok", "distances": [[0, None], [1, 0]], "durations": [[0, 1], [1, 0]]}
    with pytest.raises(Unreachable, match="leave --osrm out"):
        from_osrm(places, osrm)


def test_an_osrm_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = run("routes", "plan", _day(tmp_path), "--osrm", f"http://127.0.0.1:{free_port()}", "--data-dir", tmp_path)
    assert (done.code, "gave no table" in done.err) == (3, True)


def test_a_row_with_decimal_commas_is_refused_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_text("order_id,latitude,longitude\ndepot,52.5,13.4\nA-1,52,5,13,3\n")
    done = run("routes", "plan", tmp_path / "day.csv")
    assert (done.code, "line 3 has more values than there are columns" in done.err) == (2, True)


def test_the_command_plans_a_csv_and_writes_geojson(tmp_path: Path) -> None:
    rows = ["order_id,latitude,longitude", "depot,52.52,13.40", *(f"A-{n},52.{50 + n},13.{30 + n}" for n in range(6))]
    (tmp_path / "day.csv").write_text("\n".join(rows))
    options = ("--data-dir", tmp_path, "--geojson", tmp_path / "day.geojson")
    done = run("routes", "plan", tmp_path / "day.csv", "--trucks", "2", *options, "--json")
    assert done.code == 0, done.err
    assert sum(len(truck["stops"]) for truck in done.json["trucks"]) == 6
    kinds = [each["geometry"]["type"] for each in json.loads((tmp_path / "day.geojson").read_text())["features"]]
    assert kinds.count("Point") == 6
    shown = run("routes", "plan", tmp_path / "day.csv", *options, COLUMNS="80")
    assert max(map(len, shown.out.decode().splitlines())) <= 80
    assert "Saved against the order given" in shown.out.decode()
