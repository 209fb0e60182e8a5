"""`milepost provision …`: an identity for every truck, and only its own."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from contract.cli_options import AsJson, Config
from contract.cli_options import DataDir as DataDirectory
from contract.errors import Misconfigured, Rejected
from contract.timestamps import from_datetime
from provisioning import cli_truck
from provisioning.cli_options import DryRun, TruckId, Yes, counted, enrollable, fleet, known, say, shown, sure
from provisioning.csv_import import import_fleet, read_fleet
from provisioning.enrollment.enrollment_file import (
    Site,
    introduction,
    listen_for,
    remember,
    site_of,
    write_introduction,
)
from provisioning.enrollment.gateway_bundle import make_bundle
from provisioning.registry import Truck
from provisioning.registry.sqlite import LocalRegistry

app = typer.Typer(help="An identity for every truck, and only its own.", no_args_is_help=True, add_completion=False)
app.add_typer(cli_truck.app, name="truck")


@app.command()
def init(  # noqa: PLR0913 - one parameter an option
    host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name or address by which trucks reach this box; the first is used."),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(help="The address to open ports on; default: all, if --host is not this machine's own."),
    ] = None,
    mqtt_port: Annotated[int | None, typer.Option(min=1, max=65535, help="For MQTT over TLS; default 8883.")] = None,
    https_port: Annotated[int | None, typer.Option(min=1, max=65535, help="For enrolment; default 8443.")] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """Make what identities need: a CA for a box, or in an AWS account policies, template, hook and claim.

    Again is harmless: what is there stays, and what changed is brought up to date.
    """
    with fleet(config, data_dir, hosts=tuple(host or ())) as (ours, folder):
        registry = ours.registry
        ports = (mqtt_port, https_port)
        site = _site(registry, host, listen, ports) if isinstance(registry, LocalRegistry) else Site()
        made = registry.init(dry_run=dry_run)
        restart = ""
        if isinstance(registry, LocalRegistry):
            changed = (not registry.exists or site != site_of(registry)) if dry_run else remember(registry, site)
            made += [f"address {site.broker}, enrolment {site.url}"] if changed else []
            restart = "restart `milepost up`, then "
        words = "would make" if dry_run else "made"
        text = "\n".join(f"{words}: {one}" for one in made) or "all is there already"
        if made and not dry_run:
            text += f"\nnext: {restart}`milepost provision truck add TRUCK --file TRUCK.json`"
        say({"made": made, "data_dir": str(folder), "dry_run": dry_run}, text, as_json=as_json)


@app.command()
def bundle(  # noqa: PLR0913 - one parameter an option
    truck_id: TruckId,
    to: Annotated[Path | None, typer.Option(help="The folder to fill; default ./TRUCK.")] = None,
    make_key: Annotated[
        bool, typer.Option("--make-key", help="Make the private key here, not on the gateway.")
    ] = False,
    csr: Annotated[Path | None, typer.Option(help="A signing request that the gateway made.")] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """Write what a gateway needs: its enrolment file, or with --make-key or --csr a whole identity and settings.

    With the enrolment file the key is made on the gateway and never leaves it: prefer that.
    """
    with fleet(config, data_dir) as (ours, _):
        if make_key and csr:
            raise Misconfigured("--make-key or --csr: give one of them")
        folder = to or Path(truck_id)
        enrollable(ours.registry.get(truck_id))
        document: dict[str, Any] = {"truck_id": truck_id, "folder": str(folder), "dry_run": dry_run}
        if not dry_run:
            request = _text(csr) if csr else None
            made = make_bundle(ours, truck_id, folder, key=make_key, csr=request)
            document["certificate"] = made.certificate.id if made.certificate else None
        what = "identity and settings" if make_key or csr else "enrolment file"
        text = f"{folder}: {what} of {truck_id}{' would be written' if dry_run else ''}"
        if not (make_key or csr):
            hours = f"{ours.settings.token_hours:g} h"
            text += f"\n  on the gateway: `milepost agent enroll --file enroll.json`, within {hours}"
        say(document, text, as_json=as_json)


@app.command()
def rotate(  # noqa: PLR0913 - one parameter an option
    truck_id: TruckId,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Write a new enrolment file here (0600).")] = None,
    finish: Annotated[bool, typer.Option("--finish", help="Revoke all certificates but the newest.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """Have a truck change its key. Agents renew by themselves; this is for when one must or cannot.

    --file: its next enrolment replaces the certificate that it has, which stays good until then.
    """
    with fleet(config, data_dir) as (ours, _):
        truck = ours.registry.get(truck_id)
        if bool(file) == finish:
            raise Misconfigured("give --file for a new enrolment file, or --finish to revoke all but the newest")
        if file:
            enrollable(truck)
        revoked = len(truck.active[1:]) if finish else 0
        if finish and not truck.active:
            raise Rejected("truck_id", f"{truck_id} has no active certificate")
        if finish and revoked and not dry_run:
            sure(f"Revoke {counted(revoked)} of {truck_id}, and keep the newest?", yes=yes)
            ours.registry.settle(truck_id, truck.active[0].id)
        if file and not dry_run:
            write_introduction(file, introduction(ours, truck_id))
        document = {"truck_id": truck_id, "revoked": revoked, "file": str(file) if file else None, "dry_run": dry_run}
        would = "would be " if dry_run else ""
        text = f"{truck_id}: {counted(revoked)} {would}revoked" if finish else f"{truck_id}: {file} {would}written"
        text += "" if finish else "\n  next, on the gateway: `milepost agent enroll --file FILE`"
        say(document, text, as_json=as_json)


@app.command("import")
def import_file(  # noqa: PLR0913 - one parameter an option
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Columns: truck_id, optionally csr, attributes.")],
    to: Annotated[Path | None, typer.Option(help="Write each truck's bundle to a folder in this one.")] = None,
    make_keys: Annotated[bool, typer.Option("--make-keys", help="With --to: make the private keys here.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """Make many trucks known, from a CSV file. Interrupt it anywhere and run it again: nothing doubled, all whole."""
    with fleet(config, data_dir) as (ours, _):
        rows = read_fleet(file, ours.registry.check)
        if to is None and (make_keys or any(row.csr for row in rows)):
            raise Misconfigured("--make-keys and a csr column need --to, where certificates go")
        if dry_run:
            new = sum(known(ours.registry, row.truck_id) is None for row in rows)
            say({"trucks": len(rows), "new": new, "dry_run": True}, f"{len(rows)} trucks, {new} new", as_json=as_json)
            return
        with _progress(len(rows)) as progress:
            done = import_fleet(ours, rows, folder=to, keys=make_keys, progress=progress)
        document = {"trucks": done.trucks, "new": done.new, "certificates": done.certificates, "failed": done.failed}
        lines = [f"{done.trucks} trucks, {done.new} new, {counted(done.certificates)}, {len(done.failed)} failed"]
        lines += [f"  {truck_id}: {reason}" for truck_id, reason in done.failed.items()]
        say(document, "\n".join(lines), as_json=as_json)
        if done.failed:
            raise typer.Exit(1)


@app.command()
def claim(
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """AWS only: replace the claim by which new trucks reach fleet provisioning; the one before is revoked.

    Enrolment files hold the claim, so those that were not used yet must be written anew.
    """
    with fleet(config, data_dir) as (ours, _):
        if isinstance(ours.registry, LocalRegistry):
            raise Misconfigured("a box needs no claim: `milepost provision bundle TRUCK` writes a one-time token")
        from provisioning.registry.aws import AwsRegistry
        from provisioning.registry.aws_account import renew_claim

        new = None
        if not dry_run and isinstance(ours.registry, AwsRegistry):
            sure("Replace the claim? Enrolment files that were not used yet end.", yes=yes)
            new = renew_claim(ours.registry)
        say(
            {"claim": new, "dry_run": dry_run}, f"the claim {'would be' if dry_run else 'is'} replaced", as_json=as_json
        )


@app.command()
def status(
    days: Annotated[float, typer.Option(min=0, help="Name certificates that end within so many days.")] = 30,
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """The fleet's certificates: which end soon, who was never connected, who was heard when."""
    with fleet(config, data_dir) as (ours, _):
        soon = from_datetime(datetime.now(UTC) + timedelta(days=days))
        rows = [_row(truck, soon) for truck in ours.registry.trucks()]
        if as_json:
            say(rows, "", as_json=True)
        else:
            _table(rows)


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
    from rich.console import Console
    from rich.table import Table

    table = Table("truck", "certificate ends", "last seen", "", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["truck_id"], _short(row["not_after"]), _short(row["last_seen"]), ", ".join(row["notes"]))
    console = Console()
    console.print(table if rows else "no trucks yet: `milepost provision truck add TRUCK`", markup=False)


def _short(instant: str | None) -> str:
    return instant[:16].replace("T", " ") if instant else "–"


def _site(
    registry: LocalRegistry, host: list[str] | None, listen: str | None, ports: tuple[int | None, int | None]
) -> Site:
    """What was asked for, and for the rest what is remembered."""
    before = site_of(registry) if registry.exists else Site()
    first = host[0] if host else before.host
    address = listen or (listen_for(first) if host else before.listen)
    site = Site(first, address, ports[0] or before.mqtt_port, ports[1] or before.https_port)
    if site.mqtt_port == site.https_port:
        raise Misconfigured(f"--mqtt-port and --https-port are both {site.mqtt_port}: give another for one of them")
    return site


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"cannot read {path}: {error}") from None


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("trucks", total=total)
        yield lambda done: bar.update(task, completed=done)
