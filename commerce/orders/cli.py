"""`milepost orders list|show`."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from commerce import queries
from commerce.cli_options import as_text, cells, open_commerce, show_table
from contract.cli_options import AsJson, Config, DataDir
from contract.codec import dump

orders = typer.Typer(no_args_is_help=True, help="Orders: what was placed, and how far it is.")


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
    names = ("order_id", "state", "customer_id", "total", "truck_id")
    placed = [(row["placed_at"] or "")[:16].replace("T", " ") for row in rows]
    cut = [[*cells(row, names), at] for row, at in zip(rows, placed, strict=True)]
    show_table("Orders", (*names, "placed (UTC)"), cut, empty="No orders yet.")


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
        facts.add_row(name, as_text(found[name]))
    console.print(facts)
    lines = [[*cells(line, ("item_id", "item_name", "price", "quantity"))] for line in found["lines"]]
    show_table("Lines", ("item", "name", "price", "quantity"), lines, empty="The order itself has not come yet.")
    events = [[*cells(event, ("at", "type", "event_id", "truck_id"))] for event in found["events"]]
    show_table("Events", ("at", "type", "event", "truck"), events, empty="No events yet.")
    for conflict in found["conflicts"]:
        console.print(f"Conflict: several contents under {conflict}; the smallest content hash counts.")
