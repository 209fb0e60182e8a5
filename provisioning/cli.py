"""`milepost provision …`: an identity for every truck, and only its own."""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from contract.cli_options import AsJson, Config
from contract.cli_options import DataDir as DataDirectory
from contract.errors import Misconfigured, Rejected
from provisioning import cli_authority, cli_fleet, cli_truck
from provisioning.cli_options import (
    CaKeyUri,
    DryRun,
    Listed,
    OpenedRegistry,
    TruckId,
    Trucks,
    Where,
    Why,
    Yes,
    chosen,
    counted,
    enrollable,
    for_each,
    known,
    opened,
    print_answer,
    print_outcome,
    progress,
    sure,
)
from provisioning.csv_import import import_fleet, read_fleet
from provisioning.enrollment.enrollment_file import introduction, write_introduction
from provisioning.enrollment.gateway_bundle import make_bundle
from provisioning.registry import Truck
from provisioning.registry.site import Wish

app = typer.Typer(help="An identity for every truck, and only its own.", no_args_is_help=True, add_completion=False)
app.add_typer(cli_truck.app, name="truck")
app.add_typer(cli_authority.app, name="ca")


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
    clock_is_right: Annotated[
        bool, typer.Option("--clock-is-right", help="Make a CA although the clock looks wrong (before 2026, or 2046).")
    ] = False,
    ca_key_uri: CaKeyUri = None,
    replace_ca: Annotated[
        bool, typer.Option("--replace-ca", help="Make a new CA for one that is lost: every truck must enroll anew.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """Make what identities need: a CA for a box, or in an AWS account policies, template, hook and claim.

    Again is harmless: what is there stays, and what changed is brought up to date.
    """
    wish = Wish(tuple(host or ()), listen, mqtt_port, https_port, clock_is_right, ca_key_uri, replace_ca)
    with opened(config, data_dir, wish=wish) as ours:
        if replace_ca and ours.registry.uses_claims:
            raise Misconfigured("--replace-ca is for a box: AWS IoT has a CA of its own")
        if replace_ca and not dry_run:
            sure("Replace the CA? Every truck must enroll anew; `provision ca rotate` would keep them.", yes=yes)
        made = ours.registry.init(dry_run=dry_run)
        words = "would make" if dry_run else "made"
        text = "\n".join(f"{words}: {one}" for one in made) or "all is there already"
        if made and not dry_run:
            text += f"\nnext: {ours.registry.after_init}`milepost provision truck add TRUCK --file TRUCK.json`"
        print_answer({"made": made, "data_dir": str(ours.folder), "dry_run": dry_run}, text, as_json=as_json)


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
    with opened(config, data_dir) as ours:
        if make_key and csr:
            raise Misconfigured("--make-key or --csr: give one of them")
        folder = to or Path(truck_id)
        enrollable(ours.registry.get(truck_id))
        document: dict[str, Any] = {"truck_id": truck_id, "folder": str(folder), "dry_run": dry_run}
        if not dry_run:
            request = _text(csr) if csr else None
            made = make_bundle(ours.registry, truck_id, folder, key=make_key, csr=request)
            document["certificate"] = made.certificate.id if made.certificate else None
        what = "identity and settings" if make_key or csr else "enrolment file"
        text = f"{folder}: {what} of {truck_id}{' would be written' if dry_run else ''}"
        if not (make_key or csr):
            hours = f"{ours.settings.token_hours:g} h"
            text += f"\n  on the gateway: `milepost agent enroll --file enroll.json`, within {hours}"
        print_answer(document, text, as_json=as_json)


@app.command()
def rotate(  # noqa: PLR0913 - one parameter an option
    trucks: Trucks = None,
    where: Where = None,
    listed: Listed = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Write a new enrolment file here (0600).")] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Have the agents renew by themselves, within a day.")] = False,
    finish: Annotated[bool, typer.Option("--finish", help="Revoke all certificates but the newest.")] = False,
    why: Why = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """Have trucks change their keys. Agents renew by themselves; this is for when they must or cannot.

    --file (one truck): its next enrolment replaces the certificate that it has, which stays good until then.
    """
    with opened(config, data_dir, why=why) as ours:
        found = chosen(ours.registry, trucks, where, listed)
        if [bool(file), ask, finish].count(True) != 1:
            raise Misconfigured(
                "give --ask to have them renew, --file for a new enrolment file, or --finish to revoke all but the "
                "newest"
            )
        if file and len(found) > 1:
            raise Misconfigured("--file is for one truck: `milepost provision bundle` writes a file for each")
        for truck in found:
            if not finish:
                enrollable(truck)
            elif not truck.active:
                raise Rejected("truck_id", f"{truck.truck_id} has no active certificate")
        _rotate(ours, found, file, _Way(ask, finish, yes, dry_run, as_json))


class _Way(NamedTuple):
    ask: bool
    finish: bool
    yes: bool
    dry_run: bool
    as_json: bool


def _rotate(ours: OpenedRegistry, found: list[Truck], file: Path | None, way: _Way) -> None:
    registry = ours.registry
    whom = found[0].truck_id if len(found) == 1 else f"{len(found)} trucks"
    revoked = sum(len(truck.active[1:]) for truck in found) if way.finish else 0
    failed: dict[str, str] = {}
    if not way.dry_run:
        if way.finish and revoked:
            sure(f"Revoke {counted(revoked)} of {whom}, and keep the newest?", yes=way.yes)
            failed = for_each(found, lambda truck: registry.revoke_others(truck.truck_id, truck.active[0].id))
        elif way.ask:
            failed = for_each(found, lambda truck: registry.ask_renewal(truck.truck_id))
        elif file:
            write_introduction(file, introduction(registry, found[0].truck_id))
    named = {"truck_id": found[0].truck_id} if len(found) == 1 else {"trucks": [one.truck_id for one in found]}
    document = {**named, "revoked": revoked, "file": str(file) if file else None, "dry_run": way.dry_run}
    would = "would be " if way.dry_run else ""
    text = f"{whom}: {counted(revoked)} {would}revoked"
    if way.ask:
        text = f"{whom}: {would}asked to renew at the next visit, within a day"
    elif file:
        text = f"{whom}: {file} {would}written\n  next, on the gateway: `milepost agent enroll --file FILE`"
    print_outcome(document, text, failed, as_json=way.as_json)


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
    with opened(config, data_dir) as ours:
        rows = read_fleet(file, ours.registry.check)
        if to is None and (make_keys or any(row.csr for row in rows)):
            raise Misconfigured("--make-keys and a csr column need --to, where certificates go")
        if dry_run:
            new = sum(known(ours.registry, row.truck_id) is None for row in rows)
            print_answer(
                {"trucks": len(rows), "new": new, "dry_run": True}, f"{len(rows)} trucks, {new} new", as_json=as_json
            )
            return
        with progress(len(rows)) as tell:
            done = import_fleet(ours.registry, rows, folder=to, keys=make_keys, progress=tell)
        document = {"trucks": done.trucks, "new": done.new, "certificates": done.certificates, "failed": done.failed}
        lines = [f"{done.trucks} trucks, {done.new} new, {counted(done.certificates)}, {len(done.failed)} failed"]
        lines += [f"  {truck_id}: {reason}" for truck_id, reason in done.failed.items()]
        print_answer(document, "\n".join(lines), as_json=as_json)
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
    with opened(config, data_dir) as ours:
        new = None
        if not ours.registry.uses_claims:
            raise Misconfigured("a box needs no claim: `milepost provision bundle TRUCK` writes a one-time token")
        if not dry_run:
            sure("Replace the claim? Enrolment files that were not used yet end.", yes=yes)
            new = ours.registry.replace_claim()
        print_answer(
            {"claim": new, "dry_run": dry_run}, f"the claim {'would be' if dry_run else 'is'} replaced", as_json=as_json
        )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"cannot read {path}: {error}") from None


app.command()(cli_fleet.status)
app.command()(cli_fleet.log)
app.command()(cli_fleet.export)
