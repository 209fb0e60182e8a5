"""The commands `lake` and `warehouse`: build both, check the lake against the store, and query the marts."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from collector.settings import CollectorSettings
from collector.stores import Reader
from collector.stores.factory import open_reader
from contract.cli_options import AsJson, Config, DataDir
from contract.cli_tables import show
from contract.codec import dump
from contract.errors import Misconfigured
from contract.fleet import FleetSettings, read_zones, zones_file
from contract.settings import load
from warehouse.settings import LakeSettings, WarehouseSettings, lake_folder, warehouse_file

app = typer.Typer(help="The lake and the warehouse.")
lake = typer.Typer(no_args_is_help=True, help="The lake: Iceberg tables by day, made of what the store holds.")
app.add_typer(lake, name="lake")


def _collector(config: Path | None, data_dir: Path | None) -> CollectorSettings:
    settings = load("collector", CollectorSettings, config)
    return settings.model_copy(update={"data_dir": data_dir}) if data_dir else settings


@contextmanager
def _reading(settings: CollectorSettings) -> Iterator[Reader | None]:
    reader = open_reader(settings.store_url)
    try:
        yield reader
    finally:
        if reader:
            reader.close()


@contextmanager
def _shop(settings: CollectorSettings, config: Path | None) -> Iterator[Any]:
    """The database of commerce; None where nothing was ever put into it."""
    from commerce.queries import open_if_there

    database = open_if_there(settings.data_dir, config)
    try:
        yield database
    finally:
        if database:
            database.close()


def _print(document: Any) -> None:
    typer.echo(dump(document))


@lake.command("build")
def build_lake(
    whole: Annotated[bool, typer.Option("--whole", help="Read everything again, whatever was read before")] = False,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Bring the lake up to date with the store. Safe to interrupt and to repeat."""
    from warehouse.lake.build import Lake, LakeSources

    collector, settings = _collector(config, data_dir), load("lake", LakeSettings, config)
    folder = lake_folder(settings, collector.data_dir)
    began = time.monotonic()
    with _reading(collector) as reader:
        if reader is None:
            typer.echo(f"No store at {collector.store_url} yet: the lake's tables are empty.", err=True)
        with _shop(collector, config) as shop:
            lake = Lake(folder, memory=settings.memory, keep_days=settings.keep)
            done = lake.build(LakeSources(reader, shop), whole=whole)
    if as_json:
        _print(done)
        return
    rows = [[name, len(made["days"]), made["rows"]] for name, made in done["tables"].items()]
    show("Lake", ["table", "days written", "rows in them"], rows, empty="")
    typer.echo(f"Build {done['build']} in {folder}, {time.monotonic() - began:.1f} s")


@lake.command("info")
def lake_info(data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """What the newest finished build holds: rows, days, files and bytes per table."""
    from warehouse.lake.info import info

    collector, settings = _collector(config, data_dir), load("lake", LakeSettings, config)
    found = info(lake_folder(settings, collector.data_dir))
    if as_json:
        _print(found)
        return
    shown = ["table", "rows", "days", "first_day", "last_day", "files", "bytes"]
    rows = [[table[name] for name in shown] for table in found["tables"]]
    show("Lake", shown, rows, empty="No lake yet: `milepost lake build` makes one.")
    if found["build"]:
        typer.echo(f"Build {found['build']}, finished {found['finished_at']}, in {found['folder']}")


@lake.command("check")
def check_lake(data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """Compare the lake with the store: counts, digests, and the history recomputed in SQL. Exit 1 where they differ.

    What the store received after the newest build is no difference.
    """
    from warehouse.lake.check import check

    collector, settings = _collector(config, data_dir), load("lake", LakeSettings, config)
    with _reading(collector) as reader:
        found = check(lake_folder(settings, collector.data_dir), reader, memory=settings.memory)
    if as_json:
        _print(found)
    else:
        shown = ["check", "table", "lake", "store", "problem"]
        rows = [[row[name] for name in shown] for row in found["checks"]]
        show("Lake check", shown, rows, empty="No lake yet: `milepost lake build` makes one.")
        if not found["ok"]:
            typer.echo("The lake differs from the store: run `milepost lake build --whole`.", err=True)
    raise typer.Exit(0 if found["ok"] else 1)


warehouse = typer.Typer(no_args_is_help=True, help="The marts: every number defined once, made of the lake.")
app.add_typer(warehouse, name="warehouse")
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="duckdb (the default), postgresql://USER:PASSWORD@HOST:PORT/DATABASE, spark,"
        " snowflake://USER@ACCOUNT/DATABASE, or athena://WORKGROUP/DATABASE, which is not built but exported to",
    ),
]


@warehouse.command("build")
def build_warehouse(
    whole: Annotated[bool, typer.Option("--whole", help="Build every mart from the start")] = False,
    engine: EngineOption = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make the marts those of the newest lake build. Readers see the old marts or the new ones, nothing between."""
    from warehouse.build import build
    from warehouse.engines.factory import open_engine
    from warehouse.sources import Terms

    collector, settings = _collector(config, data_dir), load("warehouse", WarehouseSettings, config)
    folder = lake_folder(load("lake", LakeSettings, config), collector.data_dir)
    began = time.monotonic()
    fleet = load("fleet", FleetSettings, config)
    terms = Terms(settings, fleet, read_zones(zones_file(fleet, collector.data_dir)))
    done = build(folder, open_engine(engine, settings, collector.data_dir), terms, whole=whole)
    if as_json:
        _print(done)
        return
    show("Marts", ["mart", "rows"], [[name, rows] for name, rows in done["marts"].items()], empty="")
    typer.echo(f"Of lake build {done['lake_build']}, {time.monotonic() - began:.1f} s")


def _show_rows(rows: list[dict[str, Any]]) -> None:
    """A table where it fits the terminal, else a block for each row: columns are never cut off."""
    names = list(rows[0]) if rows else []
    widths = [max(len(name), *(len(_shown(row[name])) for row in rows)) for name in names]
    if sum(widths) + 2 * len(widths) <= shutil.get_terminal_size().columns:
        show("", names, [list(row.values()) for row in rows], empty="No rows.")
        return
    for number, row in enumerate(rows, 1):
        typer.echo(f"── row {number}")
        for name, value in row.items():
            typer.echo(f"{name:<{max(map(len, names))}}  {_shown(value)}")


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@warehouse.command()
def query(  # noqa: PLR0913 - one parameter an option
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT; the marts' names need no schema")],
    *,
    engine: EngineOption = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header line")] = False,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Ask the marts. `milepost warehouse models` lists them with their columns."""
    from warehouse.engines.factory import open_engine
    from warehouse.read import as_csv, plain_rows

    collector, settings = _collector(config, data_dir), load("warehouse", WarehouseSettings, config)
    rows = plain_rows(open_engine(engine, settings, collector.data_dir).query(sql))
    if as_json:
        _print(rows)
    elif csv:
        typer.echo(as_csv(rows), nl=False)
    else:
        _show_rows(rows)


@warehouse.command("export")
def export_marts(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Gets a folder for each mart")],
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Write the marts of the DuckDB warehouse as Parquet, one folder each: for Athena and whatever reads Parquet."""
    from warehouse.export import export

    collector, settings = _collector(config, data_dir), load("warehouse", WarehouseSettings, config)
    counts = export(warehouse_file(settings, collector.data_dir), folder)
    if as_json:
        _print({"folder": str(folder), "marts": counts})
    else:
        show("Exported", ["mart", "rows"], [[name, rows] for name, rows in counts.items()], empty="")


@warehouse.command("check")
def check_warehouse(
    engine: EngineOption = None, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False
) -> None:
    """Compare an engine's marts with the lake: samples per truck and day, and the history. Exit 1 where they differ."""
    from warehouse.check import check
    from warehouse.engines.factory import open_engine

    collector, settings = _collector(config, data_dir), load("warehouse", WarehouseSettings, config)
    folder = lake_folder(load("lake", LakeSettings, config), collector.data_dir)
    found = check(folder, open_engine(engine, settings, collector.data_dir))
    if as_json:
        _print(found)
    else:
        shown = ["check", "lake", "engine", "problem"]
        show("Warehouse check", shown, [[row[name] for name in shown] for row in found["checks"]], empty="")
    raise typer.Exit(0 if found["ok"] else 1)


@warehouse.command("models")
def list_models(
    name: Annotated[str | None, typer.Argument(metavar="[MART]", help="Only this mart, with its columns")] = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL in the dialect of --engine")] = False,
    engine: Annotated[str, typer.Option(help="duckdb, postgresql, athena, snowflake or spark")] = "duckdb",
    as_json: AsJson = False,
) -> None:
    """The marts and what each of their columns means."""
    from warehouse.rendering import DIALECTS, models

    if engine not in DIALECTS:
        raise Misconfigured(f"--engine {engine!r}: give one of {', '.join(DIALECTS)}")
    found = [model for model in models(engine) if model.name.startswith("marts.")]
    if name is not None:
        found = [model for model in found if model.name == f"marts.{name.removeprefix('marts.')}"]
        if not found:
            raise Misconfigured(f"no mart {name!r}: `milepost warehouse models` lists them")
    if as_json:
        shown = ("name", "description", "grain", "columns", *(["query"] if sql else []))
        _print([{key: getattr(model, key) for key in shown} for model in found])
        return
    if sql:
        typer.echo(";\n\n".join(f"-- {model.name}\n{model.query}" for model in found))
        return
    if name is not None:
        show(found[0].description, ["column", "meaning"], [[*pair] for pair in found[0].columns.items()], empty="")
        return
    rows = [[model.name.removeprefix("marts."), model.description] for model in found]
    show("Marts", ["mart", "what it holds"], rows, empty="")
