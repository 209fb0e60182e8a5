"""`milepost clicks`: the views of what shoppers did."""

import csv
import sys
from typing import Annotated

import typer

from collector import queries
from collector.cli_options import print_json, reading, settings_of
from contract import cli_tables, timestamps
from contract.cli_options import AsJson, Config, DataDir
from contract.errors import Misconfigured, Rejected

_WIDE = ("user_id", "count")
"""Columns of sessions that a terminal has no room for; --json and --csv have them."""


def clicks(  # noqa: PLR0913 - one parameter an option
    *,
    by: Annotated[str, typer.Option(help=f"One of {', '.join(queries.VIEWS)}")] = "item",
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only from this time on (no zone = UTC)")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only before this time")] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Only so many rows: the highest counts, or the newest")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values with a header line")] = False,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """What the shoppers did, counted by item, minute, page, session or as a funnel.

    Every number counts everybody; where robots are among them, `bots` says how much is theirs. A session belongs to a
    span if it begins in it; items, minutes and pages are counted in whole minutes. Tables and --csv begin with the
    highest counts.
    """
    if by not in queries.VIEWS:
        raise Misconfigured(f"--by {by!r}: give one of {', '.join(queries.VIEWS)}")
    first, end = _instant(since, "--since"), _instant(until, "--until")
    if first is not None and end is not None and first >= end:
        raise Misconfigured(f"--until {until}: must be later than --since {since}")
    ordered = top if as_json else top or sys.maxsize
    with reading(settings_of(config, data_dir)) as reader:
        rows = queries.clicks(reader, by, since=first, until=end, top=ordered)
    if as_json:
        print_json(rows)
        return
    if as_csv:
        writer = csv.DictWriter(sys.stdout, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return
    names = [name for name in rows[0] if by != "session" or name not in _WIDE] if rows else []
    cells = [[row[name] for name in names] for row in rows]
    empty = "No clicks in that span." if since or until else "No clicks yet."
    cli_tables.show(f"Clicks by {by}", names, cells, empty=empty)


def _instant(text: str | None, option: str) -> str | None:
    try:
        return None if text is None else timestamps.parse(f"{text}T00:00:00Z" if len(text) == 10 else text, option)
    except Rejected as error:
        raise Misconfigured(str(error)) from None
