"""Where trucks reach this fleet, and the enrolment file that tells one of them: the same words for both registries.

The file holds a one-time token (on AWS also the claim): whoever has it first is the truck. It is written 0600 and never
printed.
"""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from contract.errors import Misconfigured
from provisioning import secure_files
from provisioning.enrollment.service import open_enrolment
from provisioning.registry import Registry
from provisioning.registry.sqlite import LocalRegistry
from provisioning.settings import ProvisioningSettings

VERSION = 1
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Fleet:
    """The registry that is in use, and its settings."""

    registry: Registry
    settings: ProvisioningSettings

    @property
    def workers(self) -> int:
        """How many trucks are worth doing at a time."""
        return 4 if isinstance(self.registry, LocalRegistry) else 8


@dataclass(frozen=True, slots=True)
class Site:
    """One box. host: by which trucks know it. listen: the address that its two ports are opened on."""

    host: str = "127.0.0.1"
    listen: str = "127.0.0.1"
    mqtt_port: int = 8883
    https_port: int = 8443

    @property
    def broker(self) -> str:
        return f"mqtts://{_bracketed(self.host)}:{self.mqtt_port}"

    @property
    def url(self) -> str:
        return f"https://{_bracketed(self.host)}:{self.https_port}"


def site_of(registry: LocalRegistry) -> Site:
    """What `init` remembered."""
    text = registry.meta("site")
    return Site(**json.loads(text)) if text else Site()


def remember(registry: LocalRegistry, site: Site) -> bool:
    """Keep it with the registry; whether that was a change."""
    text = json.dumps(asdict(site))
    if registry.meta("site") == text:
        return False
    registry.remember({"site": text})
    return True


def listen_for(host: str) -> str:
    """The address to open ports on: the loopback interface for a box that serves only itself, else all."""
    return "127.0.0.1" if host in _LOOPBACK else "0.0.0.0"


def introduction(fleet: Fleet, truck_id: str) -> dict[str, Any]:
    """The enrolment file's content, with a new one-time token. Rejected for a retired truck, Unknown for none."""
    registry, settings = fleet.registry, fleet.settings
    if isinstance(registry, LocalRegistry):
        token = open_enrolment(registry, time.monotonic).make_token(truck_id, hours=settings.token_hours)
        return {**office(registry, truck_id), "ca": registry.authority(), "token": token}
    from provisioning.registry.aws import AwsRegistry

    if not isinstance(registry, AwsRegistry):
        raise Misconfigured("this registry cannot introduce trucks")
    claim = registry.claim()
    token = registry.make_token(truck_id, hours=settings.token_hours)
    return {**office(registry, truck_id), "ca": registry.authority(), "token": token, **claim}


def office(registry: Registry, truck_id: str) -> dict[str, Any]:
    """Where a truck's certificates come from: nothing secret."""
    known: dict[str, Any] = {"version": VERSION, "truck_id": truck_id}
    if isinstance(registry, LocalRegistry):
        site = site_of(registry)
        return {**known, "kind": "https", "broker": site.broker, "url": site.url}
    from provisioning.registry.aws import AwsRegistry

    if not isinstance(registry, AwsRegistry):
        raise Misconfigured("this registry has no enrolment")
    return {**known, "kind": "claim", "broker": registry.broker(), "template": registry.names.template}


def write_introduction(path: Path, document: dict[str, Any]) -> Path:
    """The enrolment file, readable by its owner only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(f"cannot write {path}: {error.strerror}: give another path") from None
    secure_files.write(path, json.dumps(document, indent=1) + "\n", mode=secure_files.PRIVATE)
    return path


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
