"""The commands of commerce, mounted by the front door."""

import typer

from commerce.orders.cli import orders
from commerce.recommendations.cli import recommend
from commerce.registers.cli import customers, fleet, items
from commerce.routes.cli import routes

app = typer.Typer(help="Orders, customers and what becomes of them.")
app.add_typer(orders, name="orders")
app.add_typer(recommend, name="recommend")
app.add_typer(routes, name="routes")
app.add_typer(customers, name="customers")
app.add_typer(items, name="items")
app.add_typer(fleet, name="fleet")
