"""The commands of commerce: orders."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from collector.settings import CollectorSettings
from commerce import queries
from commerce.settings import CommerceSettings
from commerce.storage.database import Database, open_database
from contract.codec import dump
from contract.errors import Misconfigured
from contract.settings import load

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="The data directory (else $MILEPOST_DATA_DIR, else ./milepost-data)")
]
Config = Annotated[Path | None, typer.Option("--config", help="A milepost.toml to use instead of the one found")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else")]

app = typer.Typer(help="Orders, customers and what becomes of them.")
orders = typer.Typer(no_args_is_help=True, help="Orders: what was placed, and how far it is.")
app.add_typer(orders, name="orders")


@contextmanager
def open_commerce(config: Path | None, data_dir: Path | None) -> Iterator[Database]:
    """The commerce database of an installation, until the end of the block.

    Raises:
        Misconfigured: there is none yet.
    """
    folder = data_dir or load("collector", CollectorSettings, config).data_dir
    settings = load("commerce", CommerceSettings, config)
    if settings.database is None and not (folder / "commerce.db").exists():
        raise Misconfigured(f"no orders in {folder} yet: `milepost up` makes the database, or give --data-dir")
    database = open_database(settings.database_url(folder))
    try:
        yield database
    finally:
        database.close()


@orders.command("list")
def list_orders(  # noqa: PLR0913 - one parameter an option
    *,
    state: Annotated[str | None, typer.Option(help="Only orders in this state, such as loaded")] = None,
    customer: Annotated[str | None, typer.Option(help="Only this customer's")] = None,
    most: Annotated[int, typer.Option("-n", min=1, help="At most so many, newest first")] = 100,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List orders, newest first: state, customer, total, truck."""
    with open_commerce(config, data_dir) as database:
        rows = queries.order_list(database, state=state, customer_id=customer, most=most)
    if as_json:
        typer.echo(dump(rows))
        return
    names = ("order_id", "state", "customer_id", "total", "truck_id", "placed_at")
    _show("Orders", names, [[*_cells(row, names)] for row in rows], empty="No orders yet.")


@orders.command("show")
def show_order(
    order_id: Annotated[str, typer.Argument(metavar="ID", help="The order_id")],
    *,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show one order: its state, lines, times, and every event that came."""
    with open_commerce(config, data_dir) as database:
        found = queries.order(database, order_id)
    if found is None:
        typer.echo(f"No order {order_id!r} has come: `milepost orders list` names those that have.", err=True)
        raise typer.Exit(1)
    if as_json:
        typer.echo(dump(found))
        return
    console = Console()
    facts = Table(box=None, show_header=False, pad_edge=False)
    for name in ("order_id", "state", "customer_id", "total", "currency", "truck_id", "promised_at"):
        facts.add_row(name, _text(found[name]))
    console.print(facts)
    lines = [[*_cells(line, ("item_id", "item_name", "price", "quantity"))] for line in found["lines"]]
    _show("Lines", ("item", "name", "price", "quantity"), lines, empty="The order itself has not come yet.")
    events = [[*_cells(event, ("at", "type", "event_id", "truck_id"))] for event in found["events"]]
    _show("Events", ("at", "type", "event", "truck"), events, empty="No events yet.")
    for conflict in found["conflicts"]:
        console.print(f"Conflict: several contents under {conflict}; the smallest content hash counts.")


def _cells(row: dict[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    return (_text(row.get(name)) for name in names)


def _text(value: object) -> str:
    """Control characters of strangers never reach the terminal raw."""
    text = "" if value is None else str(value)
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)


def _show(title: str, names: tuple[str, ...], rows: list[list[str]], *, empty: str) -> None:
    console = Console()
    if not rows:
        console.print(empty)
        return
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)
