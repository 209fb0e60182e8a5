"""The commands `lake` and `warehouse`: build both, check the lake against the store, and query the marts."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from collector.cli_rendering import show
from collector.settings import CollectorSettings
from collector.stores import Reader
from collector.stores.factory import open_reader
from contract.codec import dump
from contract.settings import load
from warehouse.settings import LakeSettings, lake_folder

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="The data directory (else $MILEPOST_DATA_DIR, else ./milepost-data)")
]
Config = Annotated[Path | None, typer.Option("--config", help="A milepost.toml to use instead of the one found")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else")]

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
    from warehouse.lake.build import Lake

    collector, settings = _collector(config, data_dir), load("lake", LakeSettings, config)
    folder = lake_folder(settings, collector.data_dir)
    began = time.monotonic()
    with _reading(collector) as reader:
        if reader is None:
            typer.echo(f"No store at {collector.store_url} yet: the lake's tables are empty.", err=True)
        done = Lake(folder, memory=settings.memory, keep_days=settings.keep).build(reader, whole=whole)
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
