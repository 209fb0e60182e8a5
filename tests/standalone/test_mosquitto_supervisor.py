"""The supervised mosquitto, with the real one: what it keeps, what it refuses, and that it comes back."""

import os
import shutil
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from contract.errors import Misconfigured, Unreachable
from contract.topics import MAX_PAYLOAD
from standalone import mosquitto_supervisor as broker_module
from standalone.mosquitto_supervisor import MosquittoSupervisor
from tests.waiting import until

pytestmark = pytest.mark.skipif(
    not (shutil.which("mosquitto") or Path("/usr/sbin/mosquitto").exists()), reason="mosquitto is not installed"
)


class Peer:
    """An MQTT client that keeps what it hears."""

    def __init__(
        self, broker: MosquittoSupervisor, name: str, *, version: int = mqtt.MQTTv5, keep_session: bool = False
    ) -> None:
        self.heard: list[bytes] = []
        self.lost: list[Any] = []
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion(version))
        self.client.max_inflight_messages_set(1000)
        self.client.on_message = lambda _client, _data, message: self.heard.append(bytes(message.payload))
        self.client.on_disconnect = lambda _client, _data, _flags, code, _properties: self.lost.append(code)
        self._arguments: dict[str, Any] = {}
        if version == mqtt.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = 3600 if keep_session else 0
            self._arguments = {"clean_start": not keep_session, "properties": properties}
        self._broker = broker

    def __enter__(self) -> "Peer":
        self.client.connect("127.0.0.1", self._broker.port, **self._arguments)
        self.client.loop_start()
        until(self.client.is_connected)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def subscribe(self, topic: str) -> None:
        granted = threading.Event()
        self.client.on_subscribe = lambda *_: granted.set()
        self.client.subscribe(topic, qos=1)
        assert granted.wait(60)

    def publish(self, payloads: list[bytes], topic: str = "fleet/T1/telemetry") -> None:
        sent = [self.client.publish(topic, payload, qos=1) for payload in payloads]
        for info in sent:
            info.wait_for_publish(20)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[MosquittoSupervisor]:
    broker = MosquittoSupervisor(tmp_path / "the broker")
    broker.start()
    yield broker
    broker.stop()


def test_it_answers_as_soon_as_start_returns(broker: MosquittoSupervisor) -> None:
    assert broker.alive
    assert broker.url == f"mqtt://127.0.0.1:{broker.port}"
    with Peer(broker, "five"), Peer(broker, "three", version=mqtt.MQTTv311):
        pass


def test_it_listens_on_the_loopback_only(broker: MosquittoSupervisor) -> None:
    port = f"{broker.port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines() + Path("/proc/net/tcp6").read_text().splitlines()
    listening = [line.split()[1] for line in lines if line.split()[3] == "0A" and line.split()[1].endswith(f":{port}")]
    assert listening == [f"0100007F:{port}"]


def test_killed_it_is_back_on_its_port(broker: MosquittoSupervisor) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=broker.supervise, args=[stop], daemon=True)
    thread.start()
    port, first = broker.port, broker.pid
    assert first
    os.kill(first, signal.SIGKILL)
    until(lambda: broker.pid not in (None, first) and broker_module._answers(port))
    stop.set()
    thread.join(60)
    assert (broker.port, broker.restarts) == (port, 1)
    with Peer(broker, "again"):
        pass


def test_one_that_lives_and_does_not_answer_is_killed_and_started_again(tmp_path: Path) -> None:
    broker, stop = MosquittoSupervisor(tmp_path, patience=1.5), threading.Event()
    broker.start()
    thread = threading.Thread(target=broker.supervise, args=[stop], daemon=True)
    thread.start()
    try:
        hung = broker.pid
        assert hung
        os.kill(hung, signal.SIGSTOP)
        until(lambda: broker.pid not in (None, hung) and broker_module._answers(broker.port))
    finally:
        stop.set()
        thread.join()
        broker.stop()


def test_a_stopped_broker_stays_stopped(broker: MosquittoSupervisor) -> None:
    broker.stop()
    assert not broker.ensure()
    assert not broker.alive
    assert broker.pid is None


def test_a_clean_restart_keeps_sessions_queues_and_retained_messages(broker: MosquittoSupervisor) -> None:
    with Peer(broker, "collector", keep_session=True) as collector:
        collector.subscribe("fleet/#")
    with Peer(broker, "T1") as truck:
        truck.publish([b"%d" % n for n in range(100)])
        truck.client.publish("fleet/T1/status", b"online", qos=1, retain=True).wait_for_publish(10)
    broker.stop()
    broker.start()
    with Peer(broker, "collector", keep_session=True) as collector:
        until(lambda: len(collector.heard) == 101)
    assert collector.heard[:100] == [b"%d" % n for n in range(100)]
    with Peer(broker, "late") as late:
        late.subscribe("fleet/+/status")
        until(lambda: late.heard == [b"online"])


@pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5])
def test_nothing_is_dropped_for_a_subscriber_that_is_away(broker: MosquittoSupervisor, version: int) -> None:
    """mosquitto's own default keeps 1,000 messages and acknowledges the rest all the same."""
    with Peer(broker, "collector", keep_session=True) as collector:
        collector.subscribe("fleet/#")
    payloads = [b"%d:" % n + b"x" * 400 for n in range(5000)]
    with Peer(broker, "T1", version=version) as truck:
        truck.publish(payloads)
    with Peer(broker, "collector", keep_session=True) as collector:
        until(lambda: len(collector.heard) >= 5000)
    assert collector.heard == payloads


def test_the_largest_payload_passes(broker: MosquittoSupervisor) -> None:
    with Peer(broker, "collector") as collector:
        collector.subscribe("fleet/#")
        with Peer(broker, "T1") as truck:
            truck.publish([b"x" * MAX_PAYLOAD], f"fleet/{'T' * 64}/telemetry/batch")
        until(lambda: collector.heard == [b"x" * MAX_PAYLOAD])


@pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5])
def test_an_oversize_message_is_refused_and_never_acknowledged(broker: MosquittoSupervisor, version: int) -> None:
    with Peer(broker, "collector") as collector:
        collector.subscribe("fleet/#")
        with Peer(broker, "T1", version=version) as truck:
            info = truck.client.publish("fleet/T1/telemetry/batch", b"x" * (MAX_PAYLOAD + 2000), qos=1)
            until(lambda: truck.lost)
            truck.client.loop_stop()
            assert not info.is_published()
        with Peer(broker, "T2") as other:
            other.publish([b"fine"])
        until(lambda: collector.heard == [b"fine"])


def test_topics_of_strangers_are_refused(broker: MosquittoSupervisor) -> None:
    with Peer(broker, "stranger") as stranger:
        codes: list[Any] = []
        stranger.client.on_publish = lambda _client, _data, _mid, code, _properties: codes.append(code)
        stranger.publish([b"x"], "elsewhere/T1")
        until(lambda: codes)
        assert codes[0].value == 135


@pytest.mark.parametrize("damage", ["random", "cut", "empty"])
def test_a_damaged_database_is_set_aside_and_it_starts(
    broker: MosquittoSupervisor, tmp_path: Path, damage: str
) -> None:
    with Peer(broker, "collector", keep_session=True) as collector:
        collector.subscribe("fleet/#")
    with Peer(broker, "T1") as truck:
        truck.publish([b"x" * 500] * 50)
    broker.stop()
    database = tmp_path / "the broker" / "mosquitto.db"
    whole = database.read_bytes()
    damaged = {"random": os.urandom(5000), "cut": whole[: len(whole) // 2 + 7], "empty": b""}[damage]
    database.write_bytes(damaged)
    broker.start()
    with Peer(broker, "T1"):
        pass
    if damage == "random":
        assert database.with_name("mosquitto.db.damaged").read_bytes() == damaged


def test_a_taken_port_is_named_with_the_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Misconfigured, match=rf"port {port} is in use.*another port"):
            MosquittoSupervisor(tmp_path, port=port).start()


def test_a_missing_mosquitto_names_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(broker_module, "_SYSTEM_PATH", ())
    with pytest.raises(Unreachable, match=r"apt-get install -y --no-install-recommends mosquitto.*--broker URL"):
        MosquittoSupervisor(tmp_path / "broker").start()


def test_a_mosquitto_that_cannot_start_says_why_and_loses_no_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is not to blame, so it is put back."""
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\necho 'Error: out of luck' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    broker = MosquittoSupervisor(tmp_path / "broker")
    (tmp_path / "broker" / "mosquitto.db").write_bytes(b"precious")
    with pytest.raises(Unreachable, match="out of luck"):
        broker.start()
    assert (tmp_path / "broker" / "mosquitto.db").read_bytes() == b"precious"
    assert not broker.alive
