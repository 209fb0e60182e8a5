"""Keeps a running broker in step with the registry: who is retired is cut off, who is new is let in.

Looks at the registry's revision four times a second. A change becomes, in this order: the revocation list on disk and
loaded (SIGHUP), so that no handshake passes any more; then the plugin's commands, the deletions first, which end live
connections, as does a kick where the truck stays and one of its certificates goes. So a retired truck is out within
two seconds (`CUT_OFF_SECONDS`; mostly 0.3 s), and mosquitto is told again every quarter second until it has confirmed.
More than `MANY` changes at once restart the broker with a new file, an import's when it is over; sessions, queues and
retained messages survive.

A certificate that ends while its connection lives is treated as one that is revoked: the connection ends within the
same two seconds. A new server certificate is loaded without ending any connection; other CAs to trust need a restart of
the broker, which mosquitto 2.0 cannot do without.
"""

import json
import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from contract.errors import MilepostError, Unreachable
from contract.timestamps import from_datetime, to_datetime
from provisioning import reserved_names, secure_files
from provisioning.broker import dynamic_security
from provisioning.registry.sqlite import LocalRegistry

log = logging.getLogger(__name__)

CUT_OFF_SECONDS = 2.0
_LOOK_SECONDS = 0.25
_ANSWER_SECONDS = 5.0
_SEEN_SECONDS = 60.0
_QUIET_SECONDS = 1.0
_RENEW_SECONDS = 3600.0


class BrokerProcess(Protocol):
    """What the gatekeeper needs of the box's broker: its loopback port, a SIGHUP, a restart."""

    @property
    def port(self) -> int: ...

    def reload(self) -> None: ...

    def restart(self) -> None: ...


class Gatekeeper:
    """One broker's. `file` is the plugin's; call `prepare` before each start of the broker, then `run` on a thread.

    simulated: the trucks as which anybody on this machine may publish. server_changed: called when the server's
    certificate is another one.
    """

    def __init__(
        self,
        registry: LocalRegistry,
        file: Path,
        broker: BrokerProcess,
        simulated: Iterable[str] = (),
        *,
        server_changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._registry, self._file, self._broker = registry, file, broker
        self._simulated = tuple(simulated)
        self.passwords = dynamic_security.Passwords.new()
        self._known: set[str] = set()
        self._serials: dict[str, str] = {}
        self._server_changed = server_changed
        self._roots = self._server = ""
        self._next_end, self._renew_at = math.inf, 0.0
        self._revision = -1
        self._noticed = (-1, 0.0)
        self._control: Control | None = None
        self._last_seen: dict[str, float] = {}

    def prepare(self) -> None:
        """Write the plugin's file and the revocation list as the registry is now."""
        self._revision = self._registry.revision
        self._known, self._serials = self._wanted()
        self._registry.files.write_roots()
        self._roots, self._server = self._registry.authority(), self._registry.files.server_certificate()
        security = dynamic_security.security(sorted(self._known), self.passwords, simulated=self._simulated)
        secure_files.write(self._file, json.dumps(security), mode=secure_files.PRIVATE)
        for name, password in (("collector", self.passwords.collector), ("operator", self.passwords.operator)):
            secure_files.write(self._file.with_name(f"{name}.password"), password, mode=secure_files.PRIVATE)
        self._registry.write_revocations()
        self._hang_up()

    def run(self, *, stop: threading.Event) -> None:
        """Keep in step until `stop`; a broker that is away is tried again.

        Args:
            stop: ends it within a second.
        """
        failing = ""
        while not stop.wait(_LOOK_SECONDS):
            try:
                self.step()
                failing = ""
            except (MilepostError, OSError) as error:
                self._hang_up()
                if str(error) != failing:
                    log.warning("gatekeeper_waits reason=%r", str(error))
                failing = str(error)
        self._hang_up()

    def step(self) -> bool:
        """Bring the broker in step with the registry, once.

        Returns:
            Whether there was anything to do.

        Raises:
            Unreachable: the broker does not answer; try again.
        """
        self._listen()
        if self._follow_authority():
            return True
        revision = self._registry.revision
        if revision == self._revision and time.time() < self._next_end:
            return False
        wanted, serials = self._wanted()
        if wait := len(wanted - self._known) > dynamic_security.MANY and not self._is_quiet(revision):
            wanted &= self._known  # an import under way: who goes must go now, who comes can wait until it ends
        orders = dynamic_security.changes(self._known, wanted)
        revoked = serials.keys() - self._serials.keys()
        if revoked or orders:
            self._registry.write_revocations()
            self._broker.reload()
        if len(orders) > 2 * dynamic_security.MANY:
            log.info("broker_restarts changes=%d", len(orders))
            self._broker.restart()  # which calls prepare
            return True
        stale = sorted({serials[one] for one in revoked} & self._known & wanted)
        orders += [order for truck_id in stale for order in dynamic_security.kick(truck_id)]
        if orders:
            self._listen().order(orders)
        self._known, self._serials = wanted, serials
        self._revision = self._revision if wait else revision
        for order in orders:
            if order["command"] in ("deleteClient", "createClient"):
                log.info("broker_told command=%s truck_id=%s", order["command"], order["username"])
        return True

    def _follow_authority(self) -> bool:
        """Renew the server's certificate if it is time, and bring the broker in step with files that have changed."""
        if time.monotonic() >= self._renew_at:
            self._renew_at = time.monotonic() + _RENEW_SECONDS
            self._registry.renew_server()
        if self._registry.authority() != self._roots:
            log.info("broker_restarts reason='the CAs to trust have changed'")
            self._broker.restart()  # which calls prepare
            self._server_changed()
            return True
        server = self._registry.files.server_certificate()
        if server == self._server:
            return False
        self._broker.reload()
        self._server_changed()
        self._server = server
        return True

    def _is_quiet(self, revision: int) -> bool:
        """Whether the registry has been still for a while."""
        now = time.monotonic()
        if revision != self._noticed[0]:
            self._noticed = (revision, now)
        return now - self._noticed[1] > _QUIET_SECONDS

    def _wanted(self) -> tuple[set[str], dict[str, str]]:
        """The trucks that may come in; and serial number, revoked or over → whose it was."""
        trucks, now = list(self._registry.trucks()), from_datetime(datetime.now(UTC))
        serials, wanted, ends = {}, set(), []
        for truck in trucks:
            for one in truck.certificates:
                if one.state == "revoked" or one.not_after <= now:
                    serials[one.id] = truck.truck_id
                else:
                    wanted.add(truck.truck_id)
                    ends.append(one.not_after)
        self._next_end = to_datetime(min(ends)).timestamp() if ends else math.inf
        return wanted, serials

    def _listen(self) -> "Control":
        if self._control is None or not self._control.connected:
            self._hang_up()
            self._control = Control(self._broker.port, self.passwords.admin, self._saw)
        return self._control

    def _hang_up(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None

    def _saw(self, truck_id: str) -> None:
        """Note when a truck was heard, once a minute at most."""
        now = datetime.now(UTC)
        if now.timestamp() - self._last_seen.get(truck_id, 0.0) > _SEEN_SECONDS:
            self._last_seen[truck_id] = now.timestamp()
            self._registry.seen(truck_id, from_datetime(now))


class Control:
    """The administrator's connection to the plugin, on the loopback listener. Raises Unreachable."""

    def __init__(self, port: int, password: str, saw: Callable[[str], None]) -> None:
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._ready = threading.Event()
        self._saw = saw
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=reserved_names.ADMIN,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )
        client.username_pw_set(reserved_names.ADMIN, password)
        client.on_connect = self._on_connect
        client.on_subscribe = lambda *_: self._ready.set()
        client.on_message = self._on_message
        try:
            client.connect("127.0.0.1", port, keepalive=30)
        except OSError as error:
            raise Unreachable(f"the broker on port {port} does not answer: {error}") from None
        client.loop_start()
        if not self._ready.wait(_ANSWER_SECONDS):
            self.close()
            raise Unreachable(f"the broker on port {port} does not let its administrator in")

    @property
    def connected(self) -> bool:
        return self._client.is_connected()

    def order(self, commands: list[dynamic_security.Json]) -> None:
        """Send commands and wait until the plugin has done them."""
        self._client.publish(dynamic_security.CONTROL, json.dumps({"commands": commands}), qos=1)
        try:
            response = self._answers.get(timeout=_ANSWER_SECONDS)
        except queue.Empty:
            raise Unreachable("the broker's security plugin does not answer") from None
        if failed := dynamic_security.failures(response):
            raise Unreachable(f"the broker's security plugin refused: {'; '.join(failed[:3])}")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, *_: object) -> None:
        topics = (f"{dynamic_security.CONTROL}/response", "fleet/+/status", "fleet/+/report")
        client.subscribe([(topic, 0) for topic in topics])

    def _on_message(self, client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        if message.topic.startswith("fleet/"):
            if not message.retain:
                self._saw(message.topic.split("/")[1])
        else:
            self._answers.put(bytes(message.payload))
