"""`milepost agent enroll`: from an enrolment file to a certificate that works, and a settings file that names it."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from agent.enrollment import Office
from agent.enrollment.credential_store import Wallet, write
from agent.enrollment.enrollment_file import EnrolmentFile, address_of, kept, read
from contract.cli_options import AsJson
from contract.errors import MilepostError, Misconfigured, Unreachable

_SETTINGS = """# Written by `milepost agent enroll`.
[agent]
truck_id = {truck_id}
broker = {broker}
ca = {ca}
certificate = {certificate}
key = {key}
buffer = {buffer}

# What this truck measures: a satellite receiver by gpsd, and what else agent/milepost.example.toml knows. What is not
# there is sampled as null, with the reason.
[[agent.sensors]]
type = "gpsd"
"""


def enroll(
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="The enrolment file from `milepost provision`; '-' is stdin.")
    ] = None,
    identity: Annotated[Path, typer.Option(help="Where keys and certificates are kept (0700).")] = Path("identity"),
    config: Annotated[
        Path | None, typer.Option("--config", help="The settings file to write if it is not there.")
    ] = None,
    renew: Annotated[bool, typer.Option("--renew", help="Change to a new key and certificate now.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make this truck's key, get its certificate, and prove it at the broker.

    The private key is made here and never leaves. Run it again whenever it was interrupted: it goes on where it was.
    A working identity stays in use until the new one has connected, whatever fails.
    With --renew no enrolment file is needed.
    """
    try:
        if file is None and not renew:
            raise Misconfigured("give the enrolment file by --file, or --renew for a new certificate")
        document = _renewed(Wallet(identity)) if file is None else _enrolled(read_file(file), Wallet(identity))
        settings = config or Path("milepost.toml")
        document["config"] = str(settings)
        document["config_written"] = _write_settings(settings, document)
    except MilepostError as error:
        sys.stderr.write(f"milepost agent enroll: {error}\n")
        raise typer.Exit(
            2 if isinstance(error, Misconfigured) else 3 if isinstance(error, Unreachable) else 1
        ) from None
    sys.stdout.write(json.dumps(document) + "\n" if as_json else _told(document))


def read_file(path: Path) -> EnrolmentFile:
    """The enrolment file, or stdin for `-`."""
    if str(path) != "-":
        return read(path)
    try:
        return EnrolmentFile.model_validate_json(sys.stdin.read())
    except ValueError:
        raise Misconfigured("stdin is no enrolment file: pipe in what `milepost provision` wrote") from None


def _enrolled(file: EnrolmentFile, wallet: Wallet) -> dict[str, object]:
    from agent.enrollment.connection_test import MqttProof
    from agent.enrollment.rotation import Rotation

    address = address_of(file)
    proof = MqttProof(address.broker, address.truck_id)
    Rotation(wallet, _office(file), proof, address=address, ca=file.ca).run(enrol=True)
    wallet.obey(file.command_key)
    return _state(wallet, file.truck_id, file.broker)


def _renewed(wallet: Wallet) -> dict[str, object]:
    from agent.enrollment.renewal import renew

    address = kept(wallet)
    if address is None:
        raise Misconfigured(f"{wallet.folder} holds no identity: enrol with --file first")
    renew(wallet, address, None, now=True)
    return _state(wallet, address.truck_id, address.broker)


def _office(file: EnrolmentFile) -> Office:
    if file.kind == "https":
        from agent.enrollment.standalone_issuer import HttpsOffice

        return HttpsOffice(file.url or "", file.ca, token=file.token)
    from agent.enrollment.fleet_provisioning import ClaimOffice

    if not (file.claim_certificate and file.claim_key and file.template):
        raise Misconfigured("the enrolment file has no claim: ask for a new one")
    claim = (file.claim_certificate, file.claim_key, file.token or "")
    return ClaimOffice(file.broker, file.ca, file.template, file.truck_id, claim=claim)


def _state(wallet: Wallet, truck_id: str, broker: str) -> dict[str, object]:
    current = wallet.folder.absolute() / "current"
    return {
        "truck_id": truck_id,
        "broker": broker,
        "ca": str(wallet.folder.absolute() / "ca.pem"),
        "certificate": str(current / "certificate.pem"),
        "key": str(current / "key.pem"),
        "confirmed": bool(wallet.current and wallet.current.confirmed),
    }


def _write_settings(path: Path, document: dict[str, object]) -> bool:
    """A settings file for this truck, unless there is one: that is the operator's."""
    if path.exists():
        return False
    buffer = Path(os.path.abspath(path)).parent / "milepost-agent" / "buffer.db"  # noqa: PTH100 - keeps symlinks
    values = {key: json.dumps(str(document[key])) for key in ("truck_id", "broker", "ca", "certificate", "key")}
    write(path, _SETTINGS.format(**values, buffer=json.dumps(str(buffer))), mode=0o644)
    return True


def _told(document: dict[str, object]) -> str:
    lines = [f"{document['truck_id']} is enrolled at {document['broker']}", f"  key and certificate: {document['key']}"]
    if document["config_written"]:
        lines.append(f"  settings written to {document['config']}: choose its sensors, then `milepost agent run`")
    else:
        lines.append(f"  {document['config']} is left as it is: its [agent] must name ca, certificate and key as above")
    return "\n".join(lines) + "\n"
