"""A real mosquitto with the generated configuration, and clients that tell all that happens to them."""

import shutil
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from provisioning.broker import dynamic_security
from provisioning.broker.access_reconciler import Gatekeeper
from provisioning.registry import Certificate
from provisioning.registry.sqlite import LocalRegistry
from tests.processes import free_port
from tests.waiting import until

SIMULATED = "TRUCK-001"  # may publish without an identity, on the loopback listener
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin")


class Broker:
    """mosquitto with a loopback and a TLS listener, kept in step by a Gatekeeper on a thread."""

    def __init__(self, folder: Path, registry: LocalRegistry) -> None:
        self.folder, self.registry = folder, registry
        self.port, self.tls_port = free_port(), free_port()
        self.server_changed: Callable[[], None] = lambda: None
        self.gatekeeper = Gatekeeper(
            registry, folder / "security.json", self, [SIMULATED], server_changed=lambda: self.server_changed()
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.restarts = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.gatekeeper.run, kwargs={"stop": self._stop}, daemon=True)

    def __enter__(self) -> "Broker":
        self._start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        self._end()

    @property
    def log(self) -> str:
        return (self.folder / "mosquitto.log").read_text(errors="replace")

    def reload(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGHUP)

    def restart(self) -> None:
        self._end()
        self._start()
        self.restarts += 1

    def _start(self) -> None:
        self.gatekeeper.prepare()
        listener = dynamic_security.Listener("127.0.0.1", self.tls_port, self.registry.folder)
        lines = [
            "user root",
            f"listener {self.port} 127.0.0.1",
            *dynamic_security.configuration(listener, self.folder / "security.json", dynamic_security.find_plugin()),
        ]
        (self.folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        assert MOSQUITTO
        with (self.folder / "mosquitto.log").open("ab") as log:
            argv = [MOSQUITTO, "-c", str(self.folder / "mosquitto.conf")]
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)
        until(lambda: _listens(self.port) and _listens(self.tls_port))

    def _end(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(60)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Files:
    """One identity on disk."""

    certificate: Path
    key: Path
    issued: Certificate | None = None


class Peer:
    """One MQTT client. certificate, key: PEM files; events: ("connected"|"published"|"subscribed"|"lost", reason)."""

    def __init__(  # noqa: PLR0913 - a test's client
        self,
        port: int,
        name: str,
        *,
        ca: Path | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
        version: int = mqtt.MQTTv5,
    ) -> None:
        self.events: list[tuple[str, str]] = []
        self.heard: list[tuple[str, bytes]] = []
        self.client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            protocol=MQTTProtocolVersion(version),
            reconnect_on_failure=False,
        )
        if ca:
            context = ssl.create_default_context(cafile=str(ca))
            if certificate:
                context.load_cert_chain(str(certificate), str(key))
            client.tls_set_context(context)
        client.on_connect = lambda _c, _d, _f, code, _p: self.events.append(("connected", str(code)))
        client.on_disconnect = lambda _c, _d, _f, code, _p: self.events.append(("lost", str(code)))
        client.on_publish = lambda _c, _d, _m, code, _p: self.events.append(("published", str(code)))
        client.on_subscribe = lambda _c, _d, _m, codes, _p: self.events.append(("subscribed", str(codes[0])))
        client.on_message = lambda _c, _d, message: self.heard.append((message.topic, bytes(message.payload)))
        self._port = port

    def connect(self) -> str:
        """What came of it: "Success", the broker's reason, or why there was no handshake."""
        try:
            self.client.connect("127.0.0.1", self._port)
        except (OSError, ssl.SSLError) as error:
            return f"refused: {error}"
        self.client.loop_start()
        return str(until(self._connected)[1])

    def _connected(self) -> tuple[str, str] | None:
        return next((event for event in self.events if event[0] in ("connected", "lost")), None)

    def _next(self, what: str, act: Callable[[], object]) -> str:
        """What came of it; nothing any more on a connection that was lost before, as where the broker restarts."""
        seen = len(self.events)
        act()

        def answered() -> list[tuple[str, str]]:
            lost = [each for each in self.events if each[0] == "lost"]
            return [each for each in self.events[seen:] if each[0] == what] + lost

        return str(until(answered)[0][1])

    def publish(self, topic: str, payload: bytes = b"{}", *, retain: bool = False) -> str:
        """The PUBACK's reason."""
        return self._next("published", lambda: self.client.publish(topic, payload, qos=1, retain=retain))

    def subscribe(self, topic: str) -> str:
        """The SUBACK's reason."""
        return self._next("subscribed", lambda: self.client.subscribe(topic, qos=1))

    @property
    def lost(self) -> bool:
        return any(kind == "lost" for kind, _ in self.events)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
