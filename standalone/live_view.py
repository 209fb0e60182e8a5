"""What `milepost up` shows while it runs, and at the end: a live table in a terminal, a line now and then elsewhere."""

import json
import time
from collections import Counter as Tally
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from collector import queries
from collector.stores import Reader
from contract.records import at
from standalone.balanced_run import balanced, delivered, orders_balanced, truck_balanced

_ROWS = 15
_LINE_SECONDS = 5.0
_LINE_SHARE = 50
"""Of ten thousand trucks the line's figures take a second: no more than a fiftieth of the time goes into them."""


class View:
    """Use as a context and call it with a reader and the seconds left. `heading`: where to reach the box."""

    def __init__(self, console: Console, heading: str) -> None:
        self._console = console
        self._heading = heading
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._line_due = 0.0

    def __enter__(self) -> "View":
        if self._live:
            self._live.__enter__()
        else:
            self._console.print(self._heading, highlight=False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._live.__exit__(kind, error, at)

    def __call__(self, reader: Reader, left: float | None) -> None:
        if self._live:
            self._live.update(self._picture(reader, left))
        elif time.monotonic() >= self._line_due:
            began = time.monotonic()
            self._console.print(self._line(reader, left), highlight=False)
            now = time.monotonic()
            self._line_due = now + max(_LINE_SECONDS, _LINE_SHARE * (now - began))

    def _line(self, reader: Reader, left: float | None) -> str:
        ledgers = [ledger for truck in reader.ledger_trucks() for ledger in reader.ledgers(truck).values()]
        samples = sum(ledger.received.count for ledger in ledgers)
        holes = sum(ledger.missing().count for ledger in ledgers)
        clicks = sum(count for _, count in reader.click_counts())
        trucks = len(reader.truck_ids())
        return f"{_left(left)}{trucks} trucks, {samples} samples stored, {holes} missing, {clicks} clicks counted"

    def _picture(self, reader: Reader, left: float | None) -> Group:
        kinds: Tally[str] = Tally()
        for counter, count in reader.click_counts():
            kinds[counter.event_type] += count
        counts = "   ".join(f"{kind} [b]{count}[/b]" for kind, count in sorted(kinds.items())) or "none yet"
        head = Text.from_markup(f"[b]Milepost[/b]  {self._heading}   [dim]{_left(left)}Ctrl-C ends it[/dim]")
        return Group(head, _trucks(reader), Text.from_markup(f"Clicks   {counts}"))


def _left(left: float | None) -> str:
    if left is None:
        return ""
    return f"{int(left)} s left, " if left > 0 else "draining, "


def _trucks(reader: Reader) -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False)
    for name in ("truck", "state", "sampled (UTC)", "km/h", "rpm", "fuel %", "brakes", "stored", "missing", "versions"):
        table.add_column(name, justify="left" if name in ("truck", "state", "brakes") else "right", no_wrap=True)
    ids = reader.truck_ids()
    for truck_id in ids[:_ROWS]:
        table.add_row(*_truck(reader, truck_id))
    if len(ids) > _ROWS:
        table.add_row(f"… and {len(ids) - _ROWS} more", *[""] * 9)
    return table


def _truck(reader: Reader, truck_id: str) -> list[str]:
    latest = next((row for row in queries.trucks(reader, truck_id)), None)
    sample: Mapping[str, Any] = latest["latest"] if latest else {}
    ledgers = reader.ledgers(truck_id).values()
    missing = sum(ledger.missing().count for ledger in ledgers)
    status = json.loads(reader.status(truck_id) or "{}")
    cells = [_number(at(dict(sample), path)) for path in _CELLS]
    return [
        truck_id,
        str(status.get("state", "–")),
        str(sample.get("sampled_at", "–"))[5:19].replace("T", " "),
        *cells,
        escape(str(at(dict(sample), "vehicle_health_and_maintenance.brake_status") or "–")),
        str(sum(ledger.received.count for ledger in ledgers)),
        f"[red]{missing}[/red]" if missing else "0",
        str(reader.version_count(truck_id)),
    ]


_CELLS = ("vehicle_speed", "engine_diagnostics.engine_rpm", "engine_diagnostics.fuel_level")


def _number(value: Any) -> str:
    return "–" if value is None else f"{float(value):.0f}"


def show_summary(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the balance at the end, as a table and one sentence.

    Args:
        console: where to.
        summary: what `--json` prints (docs/commands.md).
    """
    table = Table(title="What was sent, and what arrived", title_justify="left", header_style="bold", box=SIMPLE_HEAD)
    names = ("truck_id", "sampled", "stored", "dead_lettered", "holes", "counted_twice")
    for name in names:
        table.add_column(name.replace("_", " "), justify="left" if name == "truck_id" else "right")
    for row in summary["trucks"]:
        style = None if truck_balanced(row) else "red"
        table.add_row(*(str(row[name]) for name in names), style=style)
    console.print(table)
    clicks = summary["clicks"]
    console.print(f"Clicks: {clicks['sent']} sent, {clicks['counted']} counted, {clicks['rejected']} rejected.")
    orders = summary["orders"]
    if orders["placed"] or orders["unanswered"]:
        stages = ", ".join(f"{orders[stage]} {stage}" for stage in ("delivered", "open", "cancelled", "returned"))
        style = "" if orders_balanced(orders) else "red"
        console.print(f"Orders: {orders['placed']} placed = {stages}.", style=style)
        for name, what in (("differing", "not where the shop has them"), ("unanswered", "without an answer")):
            if orders[name]:
                console.print(f"Orders: {orders[name]} {what}.", style="red")
    for name, process in summary["simulation"].items():
        if process["ran"] < process["asked"]:
            console.print(
                f"[red]{process['asked']} {name} were asked for, {process['ran']} ran[/red] (restarted"
                f" {process['restarts']} times): see {escape(process['log'])}",
                soft_wrap=True,
            )
    if balanced(summary):
        console.print("[green]It balances: nothing lost, nothing counted twice.[/green]")
    elif not delivered(summary):
        console.print("[red]It does not balance: see `milepost audit` and `milepost dead-letters list`.[/red]")
