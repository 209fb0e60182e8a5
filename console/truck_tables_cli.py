"""`milepost trips|stops|fuel TRUCK`: a truck's tables, on the screen or as a file."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from collector.settings import CollectorSettings
from console import truck_tables
from contract import machine_clock, timestamps
from contract.cli_options import AsJson, Config, DataDir
from contract.codec import dump
from contract.errors import Misconfigured, Rejected
from contract.settings import load
from warehouse.settings import WarehouseSettings

app = typer.Typer(help="A truck's trips, stops and fuel events, from the marts.")

Truck = Annotated[str, typer.Argument(metavar="TRUCK")]
From = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="From when on; 30 days before --to if left out")
]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Until when; now if left out")]
Format = Annotated[str | None, typer.Option(help="csv or xlsx, of stops also gpx or kml: the file, on stdout")]

_DAYS_MS = 30 * 86_400_000


def _show(  # noqa: PLR0913 - one parameter an option
    table: str,
    truck_id: str,
    first: str | None,
    last: str | None,
    format: str | None,
    *,
    data_dir: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    folder = data_dir or load("collector", CollectorSettings, config).data_dir
    try:
        until = timestamps.parse(last, "--to") if last else machine_clock.now()
        since = timestamps.parse(first, "--from") if first else timestamps.from_ms(timestamps.to_ms(until) - _DAYS_MS)
        settings = load("warehouse", WarehouseSettings, config)
        found = truck_tables.rows(table, truck_id, since, until, data_dir=folder, settings=settings)
        if as_json:
            typer.echo(dump(found))
            return
        file = truck_tables.as_file(table, truck_id, format or "csv", found)
    except Rejected as error:
        raise Misconfigured(str(error)) from None
    sys.stdout.buffer.write(file.body)


def _add(table: str, line: str) -> None:
    """One command for each table, all alike. line: its help."""

    @app.command(table, help=line)
    def show(  # noqa: PLR0913 - one parameter an option
        truck_id: Truck,
        *,
        first: From = None,
        last: To = None,
        format: Format = None,
        data_dir: DataDir = None,
        config: Config = None,
        as_json: AsJson = False,
    ) -> None:
        _show(table, truck_id, first, last, format, data_dir=data_dir, config=config, as_json=as_json)


_add("trips", "Print a truck's trips as CSV, or another format.")
_add("stops", "Print a truck's stops as CSV, or another format.")
_add("fuel", "Print a truck's refuels and drops of fuel as CSV, or another format.")
