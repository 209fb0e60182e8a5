"""`milepost provision truck …`: add, show, list, retire, reinstate."""

from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from contract.cli_options import AsJson, Config
from contract.cli_options import DataDir as DataDirectory
from contract.errors import Misconfigured
from provisioning.cli_options import (
    DryRun,
    Listed,
    TruckId,
    Trucks,
    Where,
    Why,
    Yes,
    chosen,
    counted,
    enrollable,
    fits,
    for_each,
    known,
    opened,
    pair,
    print_answer,
    print_outcome,
    shown,
    sure,
)
from provisioning.enrollment.enrollment_file import introduction, write_introduction
from provisioning.registry import Truck

app = typer.Typer(help="Trucks: add, show, list, retire, reinstate.", no_args_is_help=True, add_completion=False)


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
    with opened(config, data_dir) as ours:
        attributes = dict(pair(text) for text in attribute or [])
        ours.registry.check(truck_id, attributes)
        present = known(ours.registry, truck_id) if dry_run else None
        new = present is None if dry_run else ours.registry.add(truck_id, attributes)
        if file and present:
            enrollable(present)
        if file and not dry_run:
            write_introduction(file, introduction(ours.registry, truck_id))
        document = {"truck_id": truck_id, "new": new, "file": str(file) if file else None, "dry_run": dry_run}
        lines = [f"{truck_id} {'would be' if dry_run else 'is'} {'new' if new else 'known already'}"]
        if file:
            lines.append(
                f"  enrolment file: {file}: bring it to the gateway, where `milepost agent enroll --file` takes it"
            )
        else:
            lines.append(f"  next: `milepost provision bundle {truck_id}` writes what its gateway needs")
        print_answer(document, "\n".join(lines), as_json=as_json)


@app.command()
def show(truck_id: TruckId, as_json: AsJson = False, data_dir: DataDirectory = None, config: Config = None) -> None:
    """A truck and its certificates."""
    with opened(config, data_dir) as ours:
        truck = ours.registry.get(truck_id)
        print_answer(shown(truck), "\n".join(_details(truck)), as_json=as_json)


@app.command("list")
def list_trucks(  # noqa: PLR0913 - one parameter an option
    where: Where = None,
    state: Annotated[str | None, typer.Option(help="Only active or only retired ones.")] = None,
    after: Annotated[str | None, typer.Option(metavar="TRUCK", help="Begin behind this one: the next page.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="So many at most.")] = None,
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """All trucks by name, and how many active certificates each has."""
    with opened(config, data_dir) as ours:
        if state not in (None, "active", "retired"):
            raise Misconfigured(f"--state {state!r:.40} must be active or retired")
        fitting = (one for one in ours.registry.trucks() if fits(one, where) and state in (None, one.state))
        trucks = list(islice((one for one in fitting if after is None or one.truck_id > after), limit))
        lines = [f"{one.truck_id:32} {one.state:8} {len(one.active)} active" for one in trucks]
        print_answer([shown(one) for one in trucks], "\n".join(lines) or "no trucks", as_json=as_json)


@app.command()
def retire(  # noqa: PLR0913 - one parameter an option
    trucks: Trucks = None,
    where: Where = None,
    listed: Listed = None,
    why: Why = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """Cut trucks off: revoke their certificates, end their connections. What they sent stays.

    A running box ends a live connection within two seconds; AWS within some minutes.
    """
    with opened(config, data_dir, why=why) as ours:
        found = chosen(ours.registry, trucks, where, listed)
        active = sum(len(one.active) for one in found)
        whom = found[0].truck_id if len(found) == 1 else f"{len(found)} trucks"
        failed: dict[str, str] = {}
        if not dry_run:
            sure(f"Cut {whom} off ({counted(active)} in use)?", yes=yes)
            failed = for_each(found, lambda truck: ours.registry.retire(truck.truck_id))
        be, would = ("would be", "would be ") if dry_run else ("is" if len(found) == 1 else "are", "")
        named = {"truck_id": found[0].truck_id} if len(found) == 1 else {"trucks": [one.truck_id for one in found]}
        document = {**named, "revoked": active, "failed": failed, "dry_run": dry_run}
        print_outcome(document, f"{whom} {be} retired: {counted(active)} {would}revoked", failed, as_json=as_json)


@app.command()
def reinstate(  # noqa: PLR0913 - one parameter an option
    truck_id: TruckId,
    why: Why = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """Let a retired truck enrol again. Its old certificates stay revoked."""
    with opened(config, data_dir, why=why) as ours:
        before = ours.registry.get(truck_id).state
        if not dry_run:
            ours.registry.reinstate(truck_id)
        text = f"{truck_id} {'would be' if dry_run else 'is'} active\n  next: `milepost provision bundle {truck_id}`"
        print_answer({"truck_id": truck_id, "was": before, "dry_run": dry_run}, text, as_json=as_json)


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
