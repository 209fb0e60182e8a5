"""`milepost routes plan FILE`."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from commerce.cli_options import collector_settings, show_table
from commerce.routes.distances import estimated, from_osrm
from commerce.routes.planning import plan as make_plan
from commerce.routes.problem import Problem, read_problem
from contract.cli_options import AsJson, Config, DataDir
from contract.codec import dump
from contract.errors import Misconfigured

routes = typer.Typer(no_args_is_help=True, help="Plan a day's deliveries over the trucks.")


@routes.callback()
def _routes() -> None:
    """Plan a day's deliveries over the trucks."""


@routes.command()
def plan(  # noqa: PLR0913 - one parameter an option
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON {depot, stops, trucks}, or CSV with one row per stop")
    ],
    *,
    trucks: Annotated[int | None, typer.Option(min=1, help="How many trucks, where the file names none")] = None,
    osrm: Annotated[str | None, typer.Option(metavar="URL", help="An OSRM server for distances by road")] = None,
    geojson: Annotated[Path | None, typer.Option(help="Write the routes there, as GeoJSON")] = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Find short routes that keep capacities, time windows and drivers' hours. Exit 1 if a stop is left over."""
    problem = _with_consumption(read_problem(file, trucks=trucks), collector_settings(config, data_dir).data_dir)
    places = [problem.depot, *(stop.place for stop in problem.stops)]
    matrix = from_osrm(places, osrm) if osrm else estimated(places)
    found = make_plan(problem, matrix, now_ms=time.time_ns() // 1_000_000)
    if geojson:
        geojson.write_text(json.dumps(as_geojson(problem, found)) + "\n", encoding="utf-8")
    if as_json:
        typer.echo(dump(found))
    else:
        _show(found)
    raise typer.Exit(1 if found["unassigned"] else 0)


def _with_consumption(problem: Problem, data_dir: Path) -> Problem:
    """Each truck with its own measured L/100 km, as far as the warehouse knows it and the file does not say it."""
    from warehouse.read import query

    sql = (
        "SELECT truck_id, sum(fuel_l) * 100 / sum(distance_km) AS litres FROM truck_day"
        " WHERE fuel_l IS NOT NULL AND distance_km > 0 GROUP BY truck_id"
    )
    try:
        measured = {row["truck_id"]: row["litres"] for row in query(sql, data_dir)}
    except Misconfigured:  # no warehouse was built yet
        return problem
    fleet = (
        truck if truck.litres_per_100km is not None else replace(truck, litres_per_100km=measured.get(truck.truck_id))
        for truck in problem.trucks
    )
    return replace(problem, trucks=tuple(fleet))


def as_geojson(problem: Problem, found: dict[str, Any]) -> dict[str, Any]:
    """A FeatureCollection (RFC 7946): a line per truck and a point per stop."""
    places = {stop.order_id: [stop.place.longitude, stop.place.latitude] for stop in problem.stops}
    depot = [problem.depot.longitude, problem.depot.latitude]
    features: list[dict[str, Any]] = []
    for truck in found["trucks"]:
        line = [depot, *(places[stop["order_id"]] for stop in truck["stops"]), depot]
        about = {name: truck[name] for name in ("truck_id", "km", "hours")}
        features.append(_feature("LineString", line, about))
        features += [
            _feature("Point", places[stop["order_id"]], {"truck_id": truck["truck_id"], **stop})
            for stop in truck["stops"]
        ]
    return {"type": "FeatureCollection", "features": features}


def _feature(kind: str, coordinates: Any, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def _show(found: dict[str, Any]) -> None:
    for truck in found["trucks"]:
        typer.echo(f"{truck['truck_id']}: {len(truck['stops'])} stops, {truck['km']} km, {truck['hours']} h")
        rows = [
            [str(stop["stop_no"]), stop["order_id"], f"{stop['arrive_at'][:10]} {stop['arrive_at'][11:16]}"]
            for stop in truck["stops"]
        ]
        show_table("", ("", "order", "arrives (UTC)"), rows, empty="")
    typer.echo(f"{found['km']} km in {found['hours']} h. In the order given: {found['given_order_km']} km;")
    typer.echo(f"always to the nearest: {found['nearest_km']} km. Distances: {found['distances']}.")
    saved = found["saved_litres"]
    litres = "litres unknown" if saved is None else f"about {saved} l"
    typer.echo(f"Saved against the order given: {found['saved_km']} km, {litres}.")
    for stop in found["unassigned"]:
        typer.echo(f"Left over: {stop['order_id']}: {stop['reason']}.", err=True)
