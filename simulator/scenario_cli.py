"""`milepost simulate scenario` and `report`: faults on purpose, and the page of a run."""

import json
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from contract.cli_options import AsJson, Config, DataDir
from contract.errors import Misconfigured
from contract.log_format import configure_logging


def scenario(  # noqa: PLR0913 - one parameter an option
    name: Annotated[str | None, typer.Argument(metavar="NAME|FILE", help="Of the gallery, or a TOML file.")] = None,
    *,
    listed: Annotated[bool, typer.Option("--list", help="Name what is in the gallery.")] = False,
    to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A new folder; default: runs/NAME-TIME in the data directory.")
    ] = None,
    trucks: Annotated[int | None, typer.Option(min=1, help="At most so many trucks.")] = None,
    seconds: Annotated[float | None, typer.Option(min=1.0, help="At most so long, faults in proportion.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Run a fault on purpose against a real installation: exit 1 if a sample is lost or counted twice.

    Starts a `milepost up` and trucks of its own in DIR, makes the faults of the scenario, and balances the trucks'
    ledger against the store. DIR/report.html shows the run; so does the console, for a run in the data directory.
    """
    import logging

    from contract.process_signals import stop_event
    from simulator.scenario.file import gallery, load
    from simulator.scenario.scenario_run import play

    if listed:
        rows = {each: load(each).title for each in gallery()}
        sys.stdout.write((json.dumps(rows) if as_json else "\n".join(map(_listed, rows, rows.values()))) + "\n")
        return
    if name is None:
        raise Misconfigured("scenario: give NAME or FILE, or --list")
    configure_logging(logging.WARNING)
    chosen = load(name)
    if trucks or seconds:
        chosen = chosen.shortened(trucks or chosen.trucks, seconds or chosen.seconds)
    folder = to or _new_folder(data_dir, config, Path(name).stem)
    sys.stderr.write(f"{chosen.title}: {chosen.trucks} trucks, {chosen.seconds:g} s, in {folder}\n")
    outcome = play(chosen, folder, stop_event(second_ends=True))
    page = write_page(folder)
    if as_json:
        sys.stdout.write(json.dumps(outcome.document()) + "\n")
    else:
        for line in outcome.faults:
            sys.stdout.write(f"  {line}\n")
        found = outcome.balance
        sys.stdout.write(
            f"sampled {found.sampled:,}, stored {found.stored:,}: lost {found.lost}, counted twice"
            f" {found.counted_twice}, unknown {found.unknown}; history {'right' if outcome.verified else 'WRONG'}\n"
        )
    sys.stderr.write(f"{page}\n")
    raise typer.Exit(0 if outcome.whole else 1)


def _listed(name: str, title: str) -> str:
    return textwrap.fill(title, 80, initial_indent=f"{name:<22}", subsequent_indent=" " * 22)


def _new_folder(data_dir: Path | None, config: Path | None, name: str) -> Path:
    from contract import settings
    from simulator.settings import DataFolder

    at = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    return (data_dir or settings.load("collector", DataFolder, config).data_dir) / "runs" / f"{name}-{at}"


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its record.jsonl.")],
    *,
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: RUN/report.html")] = None,
) -> None:
    """Draw a run's page: throughput, latency, backlog, completeness, faults, memory, in one HTML file."""
    sys.stdout.write(f"{write_page(run, to)}\n")


def write_page(run: Path, to: Path | None = None) -> Path:
    """Draw the page of a run; where it was written. Raises Misconfigured where there is no record."""
    from contract import atomic_file
    from simulator.run_record import read
    from simulator.run_report import page

    path = to or (run if run.is_dir() else run.parent) / "report.html"
    atomic_file.write(path, page(read(run)), durable=False)
    return path
