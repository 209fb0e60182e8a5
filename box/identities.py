"""The box's side of provisioning: once `milepost provision init` has run in the data directory, trucks come in by TLS.

Without it nothing changes: the broker and HTTP stay on the loopback interface and know nobody. With it mosquitto opens
a second listener that knows trucks by their certificates, and an HTTPS server enrols new ones; what the operator
changes in the registry takes effect while the box runs.
"""

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from contract.errors import Misconfigured
from contract.settings import load

if TYPE_CHECKING:
    from provisioning.gatekeeper import Gatekeeper
    from provisioning.registry.local import LocalRegistry
    from provisioning.site import Site


class Guarded(Protocol):
    """What it needs of the broker (box.broker.Broker)."""

    @property
    def port(self) -> int: ...

    def reload(self) -> None: ...

    def restart(self) -> None: ...


class Identities:
    """One data directory's trucks."""

    def __init__(self, registry: "LocalRegistry", site: "Site", folder: Path) -> None:
        self._registry, self._site = registry, site
        self._file = folder / "broker" / "security.json"
        self._gatekeeper: Gatekeeper | None = None
        self.mqtts = site.broker
        self.enroll = site.url

    def guard(self, broker: Guarded) -> None:
        """Be the gatekeeper of this broker; before its first start."""
        from provisioning.gatekeeper import Gatekeeper

        self._gatekeeper = Gatekeeper(self._registry, self._file, broker)

    def prepare(self) -> list[str]:
        """Before each start of the broker: the lines of its configuration, and the files that they name."""
        from provisioning import mosquitto

        if self._gatekeeper is None:
            raise ValueError("no broker to guard")
        self._gatekeeper.prepare()
        listener = mosquitto.Listener(self._site.listen, self._site.mqtt_port, self._registry.folder.absolute())
        return list(mosquitto.configuration(listener, self._file.absolute(), mosquitto.find_plugin()))

    def serve(self, stack: ExitStack) -> None:
        """Enrol trucks until the stack ends."""
        from provisioning.server import EnrolmentServer, open_enrolment

        enrolment = open_enrolment(self._registry)
        site = self._site
        stack.enter_context(EnrolmentServer(self._registry, enrolment, address=site.listen, port=site.https_port))

    def keep(self, *, stop: threading.Event) -> None:
        """Bring the broker in step with the registry until `stop`; for a thread of its own."""
        if self._gatekeeper is not None:
            self._gatekeeper.run(stop=stop)

    def close(self) -> None:
        """Close the registry."""
        self._registry.close()


def open_identities(folder: Path) -> Identities | None:
    """The identities of a data directory, None where `milepost provision init` has not run."""
    if not (folder / "provisioning" / "registry.db").exists():
        return None
    try:
        from provisioning.registry.local import LocalRegistry
        from provisioning.settings import ProvisioningSettings
        from provisioning.site import site_of
    except ModuleNotFoundError as error:
        raise Misconfigured(f"{error}: {folder} has identities; pip install 'milepost[provisioning]'") from None
    registry = LocalRegistry(folder, load("provisioning", ProvisioningSettings))
    return Identities(registry, site_of(registry), folder)
