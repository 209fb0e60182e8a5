"""A real mosquitto and a subscriber: free port of 127.0.0.1, own configuration, stopped by its process id."""

import json
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from itertools import chain
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from contract import leashed_process
from tests.waiting import until

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin")
SETTINGS = """
user root
listener {port} 127.0.0.1
allow_anonymous true
max_queued_messages 0
max_queued_bytes 268435456
max_inflight_messages 1000
persistence true
persistence_location {folder}/
persistent_client_expiration 1d
"""


class Broker:
    """One mosquitto; `start` after `kill` takes the same port. extra: more lines of its configuration."""

    def __init__(self, folder: Path, extra: str = "") -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.config = folder / "mosquitto.conf"
        self.config.write_text(SETTINGS.format(port=self.port, folder=folder) + extra)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As `[agent] broker` has it."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait until it listens."""
        assert MOSQUITTO
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = leashed_process.start(
                [MOSQUITTO, "-c", str(self.config)], death_signal=signal.SIGKILL, stdout=log, stderr=log
            )
        until(self._listens)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """SIGTERM: it writes down whose sessions it holds, and queues for them from its next start on."""
        assert self.process
        self.process.terminate()
        assert self.process.wait(60) == 0
        self.process = None

    def kill(self) -> None:
        """SIGKILL."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


class Listener:
    """A subscriber of everything; what arrived, in order."""

    def __init__(
        self, port: int, topic: str = "fleet/#", client_id: str = "listener", *, tls: ssl.SSLContext | None = None
    ) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self.ready = threading.Event()
        self.client = client = Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        client.reconnect_delay_set(1, 1)
        if tls:
            client.tls_set_context(tls)
        client.on_message = self._on_message
        client.on_connect = lambda *_: client.subscribe(topic, qos=1)
        client.on_subscribe = lambda *_: self.ready.set()
        client.connect("127.0.0.1", port, clean_start=False, properties=_keep_session())
        client.loop_start()
        assert self.ready.wait(90)

    def _on_message(self, client: Client, _: object, message: MQTTMessage) -> None:
        self.messages.append((message.topic, bytes(message.payload), message.retain))

    def of(self, suffix: str) -> list[Any]:
        """The parsed messages of `fleet/+/SUFFIX`."""
        return [json.loads(body) for topic, body, _ in list(self.messages) if topic.split("/", 2)[2] == suffix]

    def sample_messages(self) -> list[list[Any]]:
        """The samples of each message that has some, alone or a batch, in the order in which they came."""
        found = []
        for topic, body, _ in list(self.messages):
            kind = topic.split("/", 2)[2]
            if kind.startswith("telemetry"):
                found.append(json.loads(body)["records"] if kind == "telemetry/batch" else [json.loads(body)])
        return found

    def samples(self) -> dict[int, set[str]]:
        """seq → the different contents in which it arrived, alone or in batches."""
        found: dict[int, set[str]] = {}
        for sample in chain.from_iterable(self.sample_messages()):
            found.setdefault(sample["seq"], set()).add(json.dumps(sample))
        return found

    def publish(self, topic: str, value: object, *, retain: bool = False) -> None:
        """Send JSON."""
        self.client.publish(topic, json.dumps(value), qos=1, retain=retain).wait_for_publish(60)

    def close(self) -> None:
        """Leave."""
        self.client.disconnect()
        self.client.loop_stop()


def _keep_session() -> Any:
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 3600
    return properties
