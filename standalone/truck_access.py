"""The box's side of provisioning: once `milepost provision init` has run in the data directory, trucks come in by TLS.

Without it nothing changes: the broker and HTTP stay on the loopback interface and know nobody. With it mosquitto opens
a second listener that knows trucks by their certificates, and an HTTPS server enrols new ones; what the operator
changes in the registry takes effect while the box runs, and what the broker refuses is in the box's log. On the
loopback listener the collector has a name and a password, and others publish only as the trucks that `up` simulates.
"""

import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from contract.errors import Misconfigured
from provisioning.settings import ProvisioningSettings

if TYPE_CHECKING:
    from provisioning.broker.access_reconciler import Gatekeeper
    from provisioning.enrollment.https_server import EnrolmentServer
    from provisioning.registry.site import Site
    from provisioning.registry.sqlite import LocalRegistry


class Guarded(Protocol):
    """What it needs of the broker (standalone.mosquitto_supervisor.Broker)."""

    @property
    def port(self) -> int: ...

    def reload(self) -> None: ...

    def restart(self) -> None: ...


class TruckAccess:
    """One data directory's trucks. simulated: those that need no identity, since `up` makes them up itself."""

    def __init__(self, registry: "LocalRegistry", site: "Site", folder: Path, simulated: Sequence[str]) -> None:
        if taken := sorted({truck.truck_id for truck in registry.trucks()}.intersection(simulated)):
            registry.close()
            raise Misconfigured(f"{', '.join(taken[:5])} in the registry cannot be simulated as well: say --trucks 0")
        self._simulated = simulated
        self._registry, self._site = registry, site
        self._folder = folder / "broker"
        self._file = self._folder / "security.json"
        self._gatekeeper: Gatekeeper | None = None
        self._server: EnrolmentServer | None = None
        self.mqtts = site.broker
        self.enroll = site.url

    def guard(self, broker: Guarded) -> None:
        """Be the gatekeeper of this broker; before its first start."""
        from provisioning.broker.access_reconciler import Gatekeeper

        self._gatekeeper = Gatekeeper(
            self._registry, self._file, broker, self._simulated, server_changed=self._load_certificate
        )

    def _load_certificate(self) -> None:
        if self._server:
            self._server.load_certificate()

    @property
    def collector(self) -> tuple[str, str]:
        """The collector's name and password at the broker."""
        from provisioning import reserved_names

        return reserved_names.COLLECTOR, self._guarding.passwords.collector

    @property
    def _guarding(self) -> "Gatekeeper":
        if self._gatekeeper is None:
            raise ValueError("no broker to guard")
        return self._gatekeeper

    def prepare(self) -> list[str]:
        """Before each start of the broker: the lines of its configuration, and the files that they name."""
        from provisioning.broker import dynamic_security

        self._guarding.prepare()
        listener = dynamic_security.Listener(self._site.listen, self._site.mqtt_port, self._registry.folder.absolute())
        return list(dynamic_security.configuration(listener, self._file.absolute(), dynamic_security.find_plugin()))

    def serve(self, stack: ExitStack) -> None:
        """Enrol trucks until the stack ends."""
        from provisioning.enrollment.https_server import EnrolmentServer
        from provisioning.enrollment.service import open_enrolment

        enrolment = open_enrolment(self._registry)
        site = self._site
        self._server = stack.enter_context(
            EnrolmentServer(self._registry, enrolment, address=site.listen, port=site.https_port)
        )

    def figures(self) -> Mapping[str, int]:
        """Connections of the enrollment server, as contract.http_connections.Connections counts them."""
        return self._server.figures() if self._server else {}

    def expiry(self) -> Mapping[str, float]:
        """For /metrics: `ca_days_left`, `server_days_left`, and numbers of `trucks` in use, `trucks_ended`,
        `trucks_ending` (within 20 days) and `trucks_cloned`. Some milliseconds for 10,000 trucks."""
        return self._registry.figures()

    def certificates(self) -> list[tuple[str, str, str, str | None]]:
        """`(truck_id, issued_at, not_after, revoked_at)`, RFC 3339, of every truck, also of retired ones."""
        return [
            (truck.truck_id, one.issued_at, one.not_after, one.revoked_at)
            for truck in self._registry.trucks()
            for one in truck.certificates
        ]

    def is_retired(self, truck_id: str) -> bool:
        """Whether a truck has been retired; one that the registry does not know has not."""
        from provisioning.errors import Unknown

        try:
            return self._registry.get(truck_id).state == "retired"
        except Unknown:
            return False

    def keep(self, *, stop: threading.Event) -> None:
        """Bring the broker in step with the registry until `stop`; for a thread of its own."""
        self._guarding.run(stop=stop)

    def watch(self, *, stop: threading.Event) -> None:
        """Log what the broker refuses until `stop`; for a thread of its own."""
        from provisioning.broker.denial_log import DenialLog

        DenialLog(self._folder / "mosquitto.log").run(stop=stop)

    def close(self) -> None:
        """Close the registry."""
        self._registry.close()


def open_identities(folder: Path, settings: ProvisioningSettings, simulated: Sequence[str]) -> TruckAccess | None:
    """The identities of a data directory, None where `milepost provision init` has not run.

    Misconfigured where a simulated truck is called like one of the registry.
    """
    if not (folder / "provisioning" / "registry.db").exists():
        return None
    try:
        from provisioning.registry.audit_log import Author
        from provisioning.registry.sqlite import LocalRegistry
    except ModuleNotFoundError as error:
        raise Misconfigured(f"{error}: {folder} has identities; pip install 'milepost[provisioning]'") from None
    registry = LocalRegistry(folder, settings, author=Author("milepost up"))
    return TruckAccess(registry, registry.site, folder, simulated)
