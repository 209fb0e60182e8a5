"""`milepost provision status`, `log` and `export`: what is to be known of the whole fleet."""

import csv
import io
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from contract.cli_options import AsJson, Config
from contract.cli_options import DataDir as DataDirectory
from contract.cli_tables import show
from contract.timestamps import from_datetime
from provisioning import secure_files
from provisioning.cli_options import Listed, Where, chosen, fits, opened, print_answer, shown
from provisioning.csv_import import EXPORTED
from provisioning.registry import Truck

After = Annotated[str | None, typer.Option(metavar="TRUCK", help="Begin behind this one: the next page.")]
Limit = Annotated[int | None, typer.Option(min=1, help="So many at most.")]
_URGENT = ("expired", "ends soon")


def status(  # noqa: PLR0913 - one parameter an option
    days: Annotated[float, typer.Option(min=0, help="Name certificates that end within so many days.")] = 20,
    where: Where = None,
    note: Annotated[str | None, typer.Option(help="Only trucks with this note: expired, ends soon, …")] = None,
    after: After = None,
    limit: Limit = None,
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """The fleet's certificates: which end soon, who was never connected, who was heard when.

    Exits 1 if a certificate of a truck in use, of the server or of the CA has ended or ends soon, if a change of the CA
    is not finished, or if a truck seems to be cloned; the reasons are on stderr.
    """
    with opened(config, data_dir) as ours:
        soon = from_datetime(datetime.now(UTC) + timedelta(days=days))
        warnings = ours.registry.warnings(days)
        rows = [_row(truck, soon) for truck in ours.registry.trucks() if fits(truck, where)]
        for word in _URGENT:
            if named := [row["truck_id"] for row in rows if word in row["notes"]]:
                more = f" and {len(named) - 5} more" if len(named) > 5 else ""
                warnings.append(f"{word}: {', '.join(named[:5])}{more}")
        behind = (row for row in rows if after is None or row["truck_id"] > after)
        page = list(islice((row for row in behind if note is None or note in row["notes"]), limit))
        if as_json:
            print_answer(page, "", as_json=True)
        else:
            _table(page)
        for warning in warnings:
            sys.stderr.write(f"milepost provision: {warning}\n")
        if warnings:
            raise typer.Exit(1)


def log(  # noqa: PLR0913 - one parameter an option
    truck: Annotated[str | None, typer.Option(metavar="TRUCK", help="Only what concerns this truck.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this: retire, enroll, renew, clone_suspected, …")] = None,
    before: Annotated[int | None, typer.Option(metavar="ID", help="Only older lines than this: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many at most.")] = 100,
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """Who did what to which truck, when and why; the newest first. Lines are only ever added."""
    with opened(config, data_dir) as ours:
        lines = ours.registry.log(truck_id=truck, action=action, before=before, limit=limit)
        texts = [
            f"{one.id:>6}  {one.at[:19].replace('T', ' ')}  {one.action:16} {one.truck_id or '–':20} {one.who}"
            + "".join(f"\n        {text}" for text in (one.detail, one.why and f"why: {one.why}") if text)
            for one in lines
        ]
        print_answer([asdict(one) for one in lines], "\n".join(texts) or "nothing yet", as_json=as_json)


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Where to write; - is stdout.")],
    where: Where = None,
    listed: Listed = None,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """Write trucks as CSV: name, state, certificate, last seen, and attributes, as `import` reads them. No secrets.

    An attribute that is called like one of the first columns is left out.
    """
    with opened(config, data_dir) as ours:
        trucks = chosen(ours.registry, None, where, listed) if where or listed else list(ours.registry.trucks())
        attributes = sorted({key for truck in trucks for key in truck.attributes}.difference(EXPORTED))
        text = io.StringIO()
        writer = csv.DictWriter(text, [*EXPORTED, *attributes], lineterminator="\n")
        writer.writeheader()
        for truck in trucks:
            newest = truck.active[0] if truck.active else None
            ended = {"certificate": newest.id, "not_after": newest.not_after} if newest else {}
            named = {"truck_id": truck.truck_id, "state": truck.state, "added_at": truck.added_at}
            writer.writerow({**truck.attributes, **named, "last_seen": truck.last_seen, **ended})
        if str(file) == "-":
            sys.stdout.write(text.getvalue())
        else:
            secure_files.write(file, text.getvalue(), mode=secure_files.PRIVATE)
            sys.stdout.write(f"{len(trucks)} trucks written to {file}\n")


def _row(truck: Truck, soon: str) -> dict[str, Any]:
    newest = truck.active[0] if truck.active else None
    notes = []
    if truck.state == "retired":
        notes.append("retired")
    elif newest is None:
        notes.append("not enrolled")
    elif newest.not_after < from_datetime(datetime.now(UTC)):
        notes.append("expired")
    elif newest.not_after < soon:
        notes.append("ends soon")
    if truck.state == "active" and newest and truck.last_seen is None:
        notes.append("never connected" if truck.last_seen_known else "last seen unknown")
    if len(truck.active) > 1:
        notes.append("changing its certificate")
    row = shown(truck)
    return {**row, "not_after": newest.not_after if newest else None, "notes": notes}


def _table(rows: list[dict[str, Any]]) -> None:
    cells = [
        (row["truck_id"], _short(row["not_after"]), _short(row["last_seen"]), ", ".join(row["notes"])) for row in rows
    ]
    columns = ("truck", "certificate ends", "last seen", "")
    show("", columns, cells, empty="no trucks yet: `milepost provision truck add TRUCK`")


def _short(instant: str | None) -> str:
    return instant[:16].replace("T", " ") if instant else "–"
