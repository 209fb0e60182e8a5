"""`milepost orders list|show|refused|revenue`."""

from typing import Annotated

import typer
from rich.console import Console

from collector import queries as shop
from commerce import queries
from commerce.cli_options import cells, collector_settings, open_commerce
from commerce.orders.revenue import revenue_by_currency
from commerce.storage.dead_letters import dead_letter_rows
from contract import timestamps
from contract.cli_options import AsJson, Config, DataDir
from contract.cli_tables import show
from contract.codec import dump
from contract.errors import Misconfigured, Rejected

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
    show("Orders", (*names, "placed (UTC)"), cut, empty="No orders yet.")


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
    names = ("order_id", "state", "customer_id", "total", "currency", "truck_id", "promised_at")
    show("Order", ("field", "value"), [[name, found[name]] for name in names], empty="")
    lines = [[*cells(line, ("item_id", "item_name", "price", "quantity"))] for line in found["lines"]]
    show("Lines", ("item", "name", "price", "quantity"), lines, empty="The order itself has not come yet.")
    events = [[*cells(event, ("at", "type", "event_id", "truck_id"))] for event in found["events"]]
    show("Events", ("at", "type", "event", "truck"), events, empty="No events yet.")
    for conflict in found["conflicts"]:
        console.print(f"Conflict: several contents under {conflict}; the smallest content hash counts.")


@orders.command("refused")
def show_refused(*, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """List what the doors of orders, customers, items and vehicles refused, oldest first; --json has it as it came.

    Mend what `field` and `reason` name and send it again. Payment card data is not among it: it is kept nowhere.
    """
    with open_commerce(config, data_dir) as database:
        rows = dead_letter_rows(database)
    if as_json:
        typer.echo(dump(rows))
        return
    names = ("received_at", "source", "field", "reason", "times")
    cut = [[row["received_at"][:16].replace("T", " "), *cells(row, names[1:])] for row in rows]
    show("Refused", ("came (UTC)", *names[1:]), cut, empty="Nothing was refused.")


@orders.command("revenue")
def show_revenue(
    *,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only sales from this time on (no zone = UTC)")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only sales before this time")] = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Sum up sales by currency: of the order where there is one, else of the shop's purchase event.

    Cancelled orders count as sales of nothing, returned ones stay in, robots are left out.
    """
    span = _instant(since, "--since") or "", _instant(until, "--until") or "~"
    url = collector_settings(config, data_dir).store_url
    with open_commerce(config, data_dir) as database, shop.opened_reader(url) as reader:
        placed = (state for state, _ in queries.placed_orders(database))
        rows = revenue_by_currency(placed, shop.purchases(reader), *span)
    if as_json:
        typer.echo(dump(rows))
        return
    names = ("currency", "sales", "from_orders", "from_events", "units", "revenue")
    show("Revenue", names, [[*cells(row, names)] for row in rows], empty="No sales yet.")


def _instant(text: str | None, option: str) -> str | None:
    try:
        return None if text is None else timestamps.parse(f"{text}T00:00:00Z" if len(text) == 10 else text, option)
    except Rejected as error:
        raise Misconfigured(str(error)) from None
