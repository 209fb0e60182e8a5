"""`milepost provision truck …`: add, show, list, retire, reinstate."""

from pathlib import Path
from typing import Annotated, Any

import typer

from contract.cli_options import AsJson, Config
from contract.cli_options import DataDir as DataDirectory
from contract.errors import Rejected
from provisioning.cli_options import DryRun, TruckId, Yes, counted, enrollable, fleet, known, say, shown, sure
from provisioning.enrollment.enrollment_file import introduction, write_introduction
from provisioning.registry import Truck

app = typer.Typer(help="One truck at a time.", no_args_is_help=True, add_completion=False)


@app.command()
def add(  # noqa: PLR0913 - one parameter an option
    truck_id: TruckId,
    attribute: Annotated[
        list[str] | None,
        typer.Option("--attribute", "-a", metavar="KEY=VALUE", help="What else is to be known of it; may be repeated."),
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Write its enrolment file here (0600).")] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """Make a truck known, and with --file write the enrolment file that its gateway needs.

    The file holds a one-time token: whoever uses it first is that truck. Again is harmless; attributes are replaced.
    """
    with fleet(config, data_dir) as (ours, _):
        attributes = dict(_pair(text) for text in attribute or [])
        ours.registry.check(truck_id, attributes)
        present = known(ours.registry, truck_id) if dry_run else None
        new = present is None if dry_run else ours.registry.add(truck_id, attributes)
        if file and present:
            enrollable(present)
        if file and not dry_run:
            write_introduction(file, introduction(ours, truck_id))
        document = {"truck_id": truck_id, "new": new, "file": str(file) if file else None, "dry_run": dry_run}
        lines = [f"{truck_id} {'would be' if dry_run else 'is'} {'new' if new else 'known already'}"]
        if file:
            lines.append(
                f"  enrolment file: {file}: bring it to the gateway, where `milepost agent enroll --file` takes it"
            )
        else:
            lines.append(f"  next: `milepost provision bundle {truck_id}` writes what its gateway needs")
        say(document, "\n".join(lines), as_json=as_json)


@app.command()
def show(truck_id: TruckId, as_json: AsJson = False, data_dir: DataDirectory = None, config: Config = None) -> None:
    """A truck and its certificates."""
    with fleet(config, data_dir) as (ours, _):
        truck = ours.registry.get(truck_id)
        say(shown(truck), "\n".join(_details(truck)), as_json=as_json)


@app.command("list")
def list_trucks(as_json: AsJson = False, data_dir: DataDirectory = None, config: Config = None) -> None:
    """All trucks, and how many active certificates each has."""
    with fleet(config, data_dir) as (ours, _):
        trucks = list(ours.registry.trucks())
        lines = [f"{one.truck_id:32} {one.state:8} {len(one.active)} active" for one in trucks]
        say([shown(one) for one in trucks], "\n".join(lines) or "no trucks yet", as_json=as_json)


@app.command()
def retire(  # noqa: PLR0913 - one parameter an option
    truck_id: TruckId,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """Cut a truck off: revoke its certificates, end its connection. What it sent stays.

    A running box ends a live connection within two seconds; AWS within some minutes.
    """
    with fleet(config, data_dir) as (ours, _):
        active = len(ours.registry.get(truck_id).active)
        if not dry_run:
            sure(f"Cut {truck_id} off ({counted(active)} in use)?", yes=yes)
            ours.registry.retire(truck_id)
        words, would = ("would be retired", "would be ") if dry_run else ("is retired", "")
        document = {"truck_id": truck_id, "revoked": active, "dry_run": dry_run}
        say(document, f"{truck_id} {words}: {counted(active)} {would}revoked", as_json=as_json)


@app.command()
def reinstate(
    truck_id: TruckId,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """Let a retired truck enrol again. Its old certificates stay revoked."""
    with fleet(config, data_dir) as (ours, _):
        before = ours.registry.get(truck_id).state
        if not dry_run:
            ours.registry.reinstate(truck_id)
        text = f"{truck_id} {'would be' if dry_run else 'is'} active\n  next: `milepost provision bundle {truck_id}`"
        say({"truck_id": truck_id, "was": before, "dry_run": dry_run}, text, as_json=as_json)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise Rejected("attribute", f"{text!r:.60} must be KEY=VALUE")
    return key, value


def _details(truck: Truck) -> list[str]:
    rows: list[tuple[str, Any]] = [
        ("truck", truck.truck_id),
        ("state", truck.state),
        ("added", truck.added_at),
        ("last seen", truck.last_seen or ("never" if truck.last_seen_known else "unknown")),
        *((f"  {key}", value) for key, value in sorted(truck.attributes.items())),
    ]
    lines = [f"{label:12} {value}" for label, value in rows]
    for one in truck.certificates:
        lines.append(f"certificate  {one.id[:40]}  {one.state}, until {one.not_after}")
    return lines if truck.certificates else [*lines, "certificate  none yet"]
