"""`milepost routes plan|list|show`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from commerce.cli_options import cells, collector_settings, open_commerce
from commerce.routes.distances import estimated, from_file, from_osrm
from commerce.routes.formats import as_geojson
from commerce.routes.planning import plan as make_plan
from commerce.routes.plans import Plans
from commerce.routes.problem import Problem, read_problem
from contract import machine_clock
from contract.cli_options import AsJson, Config, DataDir
from contract.cli_tables import show
from contract.codec import dump
from contract.errors import Misconfigured
from contract.log_format import printable

routes = typer.Typer(no_args_is_help=True, help="Plan a day's deliveries over the trucks.")


@routes.command()
def plan(  # noqa: PLR0913 - one parameter an option
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON {depot, stops, trucks}, or CSV with one row per stop")
    ],
    *,
    trucks: Annotated[int | None, typer.Option(min=1, help="How many trucks, where the file names none")] = None,
    osrm: Annotated[str | None, typer.Option(metavar="URL", help="An OSRM server for distances by road")] = None,
    matrix: Annotated[
        Path | None, typer.Option(help="A JSON file {metres, seconds} of distances, the depot first")
    ] = None,
    geojson: Annotated[Path | None, typer.Option(help="Write the routes there, as GeoJSON")] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Keep it as the plan in force for its day; an earlier one is superseded")
    ] = False,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Find short routes that keep capacities, time windows and drivers' hours. Exit 1 if a stop is left over."""
    problem = _with_consumption(read_problem(file, trucks=trucks), collector_settings(config, data_dir).data_dir)
    places = [problem.depot, *(stop.place for stop in problem.stops)]
    if matrix and osrm:
        raise Misconfigured("--matrix and --osrm both say the distances: give one of them")
    ways = from_file(matrix, len(places)) if matrix else from_osrm(places, osrm) if osrm else estimated(places)
    now_ms = machine_clock.now_ms()
    found = make_plan(problem, ways, now_ms=now_ms)
    if geojson:
        geojson.write_text(json.dumps(as_geojson(found)) + "\n", encoding="utf-8")
    if save:
        with open_commerce(config, data_dir, make=True) as database:
            found = Plans(database).save(found, made_ms=now_ms)
    if as_json:
        typer.echo(dump(found))
    else:
        _show(found)
    raise typer.Exit(1 if found["unassigned"] else 0)


@routes.command("list")
def list_plans(*, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the plans that were saved, newest first; of each day the newest version is in force."""
    with open_commerce(config, data_dir) as database:
        plans = Plans(database).all()
    if as_json:
        typer.echo(dump(plans))
        return
    rows = [
        [
            *cells(plan, ("plan_id", "day", "version", "in_force")),
            str(len(plan["trucks"])),
            str(sum(len(truck["stops"]) for truck in plan["trucks"])),
            *cells(plan, ("km", "saved_km")),
        ]
        for plan in plans
    ]
    names = ("plan", "day", "version", "in force", "trucks", "stops", "km", "km saved")
    show("Plans", names, rows, empty="No plan was saved yet: `milepost routes plan FILE --save`.")


@routes.command("show")
def show_plan(
    name: Annotated[str, typer.Argument(metavar="PLAN|DAY", help="A plan's id, or a day for the one in force")],
    *,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show a plan beside what happened: each stop's planned arrival, when it was done, and how late."""
    with open_commerce(config, data_dir) as database:
        found = Plans(database).compared(name)
    if found is None:
        typer.echo(f"No plan {printable(name)} was saved: `milepost routes list` names those that were.", err=True)
        raise typer.Exit(1)
    if as_json:
        typer.echo(dump(found))
        return
    typer.echo(f"Plan {found['plan_id']}, version {found['version']} of {found['day']}: {found['km']} km.")
    for truck in found["trucks"]:
        rows = [
            [
                *cells(stop, ("stop_no", "order_id")),
                *((stop[each] or "")[11:16] for each in ("arrive_at", "done_at")),
                *cells(stop, ("state", "late_min")),
            ]
            for stop in truck["stops"]
        ]
        show(truck["truck_id"], ("", "order", "planned (UTC)", "done", "state", "late min"), rows, empty="")


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


def _show(found: dict[str, Any]) -> None:
    for truck in found["trucks"]:
        typer.echo(f"{truck['truck_id']}: {len(truck['stops'])} stops, {truck['km']} km, {truck['hours']} h")
        rows = [
            [str(stop["stop_no"]), stop["order_id"], f"{stop['arrive_at'][:10]} {stop['arrive_at'][11:16]}"]
            for stop in truck["stops"]
        ]
        show("", ("", "order", "arrives (UTC)"), rows, empty="")
    typer.echo(f"{found['km']} km in {found['hours']} h. In the order given: {found['given_order_km']} km;")
    typer.echo(f"always to the nearest: {found['nearest_km']} km. Distances: {found['distances']}.")
    saved = found["saved_litres"]
    litres = "litres unknown" if saved is None else f"about {saved} l"
    typer.echo(f"Saved against the order given: {found['saved_km']} km, {litres}.")
    if "plan_id" in found:
        typer.echo(f"Saved as plan {found['plan_id']}, version {found['version']} of {found['day']}.")
    for stop in found["unassigned"]:
        typer.echo(f"Left over: {stop['order_id']}: {stop['reason']}.", err=True)
