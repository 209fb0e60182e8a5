"""What a gateway needs, in one folder: an enrolment file, or settings and a whole identity.

    enroll.json                    0600   `milepost agent enroll --file enroll.json` makes the key on the gateway
  or, with a key made here or from a signing request that the gateway made:
    milepost.toml
    identity/ca.pem, command.pub, office.json, 1/key.pem (0600), 1/certificate.pem, current -> 1

Promise: interrupted anywhere and run again, the folder ends whole, with the key that it had and one certificate for it.
Only the key is flushed to disk at once: the rest can be had again (`is_whole` says whether it must).
"""

import json
from dataclasses import dataclass
from pathlib import Path

from contract.errors import Rejected
from provisioning import certificate_authority, secure_files
from provisioning.enrollment.enrollment_file import introduction, office, write_introduction
from provisioning.registry import Certificate, Registry

_KEPT = ("kind", "truck_id", "broker", "url", "template")
_END = "-----END CERTIFICATE-----"
_SETTINGS = """# Written by `milepost provision`.
[agent]
truck_id = {truck_id}
broker = {broker}
ca = "identity/ca.pem"
certificate = "identity/current/certificate.pem"
key = "identity/current/key.pem"

# What this truck measures: see agent/milepost.example.toml.
# [[agent.sensors]]
# type = "replay"
# path = "drive.jsonl"
"""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was put into `folder`. certificate: None where the gateway will ask for it with its enrolment file."""

    folder: Path
    certificate: Certificate | None


def make_bundle(registry: Registry, truck_id: str, folder: Path, *, key: bool, csr: str | None = None) -> Bundle:
    """Fill a folder for one truck. key: make its private key here. csr: of a key that the gateway has already.

    Errors as Registry.issue, and Rejected where the folder is another truck's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    home = office(registry, truck_id)
    if not key and csr is None:
        write_introduction(folder / "enroll.json", introduction(registry, truck_id))
        return Bundle(folder, None)
    certificate = registry.issue(truck_id, csr or keep_key(folder, truck_id))
    identity = folder / "identity"
    files = {
        "ca.pem": registry.authority(),
        "office.json": json.dumps({name: home.get(name) for name in _KEPT}) + "\n",
        "1/certificate.pem": certificate.pem or "",
    }
    if key_pem := registry.command_key.public():
        files["command.pub"] = key_pem
    secure_files.private_folder(identity)
    secure_files.private_folder(identity / "1")
    for name, text in files.items():
        secure_files.write(
            identity / name,
            text,
            mode=secure_files.PRIVATE if name == "office.json" else secure_files.PUBLIC,
            durable=False,
        )
    if not (identity / "current").is_symlink():
        (identity / "current").symlink_to("1")
    if not (folder / "milepost.toml").exists():
        names = {"truck_id": json.dumps(truck_id), "broker": json.dumps(home["broker"])}
        secure_files.write(folder / "milepost.toml", _SETTINGS.format(**names), mode=secure_files.PUBLIC, durable=False)
    return Bundle(folder, certificate)


def keep_key(folder: Path, truck_id: str) -> str:
    """A signing request for the private key in a folder, which is made, durably, if there is none."""
    identity = secure_files.private_folder(folder / "identity")
    owner = identity / "office.json"
    if owner.exists() and (name := json.loads(owner.read_text() or "{}").get("truck_id", truck_id)) != truck_id:
        raise Rejected("folder", f"{folder} holds the identity of {name}: give another folder")
    path = secure_files.private_folder(identity / "1") / "key.pem"
    if path.exists():
        return certificate_authority.request_for(secure_files.read_private(path))
    key, request = certificate_authority.new_key()
    secure_files.write(path, key, mode=secure_files.PRIVATE)
    return request


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a whole identity, also after a power cut."""
    try:
        settings = (folder / "milepost.toml").read_text(encoding="utf-8")
        certificate = (folder / "identity" / "current" / "certificate.pem").read_text(encoding="ascii")
        authority_pem = (folder / "identity" / "ca.pem").read_text(encoding="ascii")
        kept = (folder / "identity" / "office.json").read_text(encoding="utf-8")
    except OSError:
        return False
    return bool(settings and kept and _END in certificate and _END in authority_pem)
