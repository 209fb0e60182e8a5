"""The transport's promises, against a real mosquitto."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.transport import Connected, Delivered, Event, Limits, Lost, Message, Received, Refused
from agent.transport.backoff import Backoff
from agent.transport.paho import Broker as Line
from agent.transport.paho import PahoTransport, Tls
from contract.errors import Misconfigured
from tests.agent.live import Broker, Listener, wait_for

TOPIC = "fleet/T1/telemetry"


class Recorder:
    """A transport that has been started, and its events in order."""

    def __init__(self, line: Line, limits: Limits | None = None) -> None:
        self.events: list[Event] = []
        self.transport = PahoTransport(line, limits=limits, backoff=Backoff(0.05, 0.2))
        will = Message(0, "fleet/T1/status", b'{"state":"lost"}', retain=True)
        self.transport.start(self.events.append, will=will, subscribe="fleet/T1/resend")

    def count(self, kind: type) -> int:
        """How many events of a kind there have been; tokens for Delivered."""
        found = [event for event in list(self.events) if isinstance(event, kind)]
        return sum(len(event.tokens) if isinstance(event, Delivered) else 1 for event in found)

    def until(self, kind: type, number: int = 1, seconds: float = 15) -> None:
        """Wait for the n-th event of a kind."""
        wait_for(lambda: self.count(kind) >= number, seconds)

    def refused(self) -> list[Refused]:
        """All refusals."""
        return [event for event in list(self.events) if isinstance(event, Refused)]


@pytest.fixture
def record() -> Iterator[Callable[..., Recorder]]:
    """Started transports, closed at the end."""
    made: list[Recorder] = []

    def make(line: Line, limits: Limits | None = None) -> Recorder:
        made.append(Recorder(line, limits))
        return made[-1]

    yield make
    for each in made:
        each.transport.close()


Record = Callable[..., Recorder]


def test_every_message_is_answered_and_arrives_in_order(broker: Broker, listener: Listener, record: Record) -> None:
    """Ten times the window is handed over at once; also what nobody listens to (code 16) is delivered."""
    one = record(Line("127.0.0.1", broker.port, "T1"))
    one.until(Connected)
    for token in range(1, 1001):
        one.transport.publish(Message(token, TOPIC, json.dumps({"seq": token}).encode()))
    one.transport.publish(Message(1001, "elsewhere", b"x"))
    one.until(Delivered, 1001)
    wait_for(lambda: len(listener.of("telemetry")) == 1000)
    assert [sample["seq"] for sample in listener.of("telemetry")] == list(range(1, 1001))
    assert one.refused() == []


def test_a_refusal_is_told_with_its_code_and_is_no_delivery(
    make_broker: Callable[..., Broker], tmp_path: Path, record: Record
) -> None:
    (tmp_path / "acl").write_text("topic write fleet/T1/report\ntopic read fleet/T1/resend\n")
    broker = make_broker(f"acl_file {tmp_path}/acl\n")
    one = record(Line("127.0.0.1", broker.port, "T1"))
    one.until(Connected)
    one.transport.publish(Message(2, "fleet/T1/report", b"{}"))
    one.until(Delivered)
    one.transport.publish(Message(1, TOPIC, b"{}"))
    one.until(Refused)
    assert [(event.token, event.code) for event in one.refused()] == [(1, 135)]
    assert [event.tokens for event in one.events if isinstance(event, Delivered)] == [(2,)]


def test_what_is_too_large_is_refused_here(make_broker: Callable[..., Broker], record: Record) -> None:
    """Ours is the contract's limit; a broker's smaller one is honoured, as it would end the connection."""
    broker = make_broker("max_packet_size 2000\n")
    one = record(Line("127.0.0.1", broker.port, "T1"))
    one.until(Connected)
    connected = next(event for event in one.events if isinstance(event, Connected))
    one.transport.publish(Message(1, TOPIC, b"x" * (connected.payload + 1)))
    one.transport.publish(Message(2, TOPIC, b"x" * connected.payload))
    one.until(Delivered)
    assert [(event.token, event.code) for event in one.refused()] == [(1, 149)]
    assert one.count(Lost) == 0


def test_the_brokers_receive_maximum_narrows_the_window(make_broker: Callable[..., Broker], record: Record) -> None:
    """mosquitto's default of 20 for MQTT 5: without heed for it, publishes are refused with 147 or 151."""
    broker = make_broker("max_inflight_messages 5\n")
    one = record(Line("127.0.0.1", broker.port, "T1"))
    one.until(Connected)
    for token in range(1, 301):
        one.transport.publish(Message(token, TOPIC, b"{}"))
    one.until(Delivered, 300)
    assert one.refused() == []


def test_each_message_ends_once_when_the_broker_is_killed_and_comes_back(broker: Broker, record: Record) -> None:
    """Delivered, or Lost with the connection; the transport repeats nothing by itself, and reconnects."""
    one = record(Line("127.0.0.1", broker.port, "T1"))
    one.until(Connected)
    for token in range(1, 20_001):
        one.transport.publish(Message(token, TOPIC, b"x" * 300))
    one.until(Delivered, 50)
    broker.kill()
    one.until(Lost)
    before = one.count(Delivered)
    assert 50 <= before < 20_000
    broker.start()
    one.until(Connected, 2)
    one.transport.publish(Message(30_000, TOPIC, b"{}"))
    one.until(Delivered, before + 1)
    time.sleep(0.2)
    tokens = [token for event in one.events if isinstance(event, Delivered) for token in event.tokens]
    assert len(tokens) == len(set(tokens)) == before + 1
    kinds = [type(event) for event in one.events if isinstance(event, Connected | Lost)]
    assert kinds == [Connected, Lost, Connected]


def test_the_subscription_stands_before_it_counts_as_connected(
    broker: Broker, listener: Listener, record: Record
) -> None:
    for number in range(1, 6):
        one = record(Line("127.0.0.1", broker.port, "T1"))
        one.until(Connected)
        listener.publish("fleet/T1/resend", {"stream_id": "s", "ranges": [[1, number]]})
        one.until(Received)
        one.transport.close()


def test_the_will_speaks_for_a_truck_that_vanished_and_not_for_one_that_left(
    broker: Broker, listener: Listener, record: Record
) -> None:
    gone = record(Line("127.0.0.1", broker.port, "T1"))
    gone.until(Connected)
    gone.transport.close()
    taken_over = record(Line("127.0.0.1", broker.port, "T1"))
    taken_over.until(Connected)
    assert listener.of("status") == []
    record(Line("127.0.0.1", broker.port, "T1")).until(Connected)  # the same id: the broker drops the older one
    wait_for(lambda: {"state": "lost"} in listener.of("status"))


def test_close_is_quick_also_while_nobody_answers(record: Record) -> None:
    one = record(Line("127.0.0.1", 1, "T1"))
    began = time.monotonic()
    one.transport.close()
    assert time.monotonic() - began < 2
    assert one.events == []


def test_a_broker_that_never_acknowledges_is_left(record: Record) -> None:
    """It takes CONNECT, SUBSCRIBE and PUBLISH and answers all but the last: the connection counts as dead."""
    with _silent_broker() as port:
        one = record(Line("127.0.0.1", port, "T1", ack_timeout=0.3))
        one.until(Connected)
        one.transport.publish(Message(1, TOPIC, b"{}"))
        one.until(Lost)
        assert one.count(Delivered) == 0


class _silent_broker:
    def __enter__(self) -> int:
        import socket

        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return int(self._server.getsockname()[1])

    def _serve(self) -> None:
        try:
            while True:
                client, _ = self._server.accept()
                client.recv(4096)
                client.sendall(bytes([0x20, 3, 0, 0, 0]))
                packet = client.recv(4096)
                client.sendall(bytes([0x90, 4, packet[2], packet[3], 0, 1]))
                self._keep = client
        except OSError:
            return

    def __exit__(self, *_: object) -> None:
        self._server.close()


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    """ca.pem, and truck and server certificates made by it."""
    folder = tmp_path / "pki"
    folder.mkdir()
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    _openssl(folder, "req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "2")
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for name, subject in (("server", "/CN=localhost"), ("truck", "/CN=T1")):
        _openssl(folder, "req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        sign = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "san")
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", *sign, "-out", f"{name}.pem")
    return folder


def test_mutual_tls(make_broker: Callable[..., Broker], pki: Path, tmp_path: Path, record: Record) -> None:
    """A truck is who its certificate says; without one, or towards another CA, there is no connection."""
    (tmp_path / "acl").write_text("pattern write fleet/%u/#\npattern read fleet/%u/resend\n")
    files = f"cafile {pki}/ca.pem\ncertfile {pki}/server.pem\nkeyfile {pki}/server.key\n"
    broker = make_broker(
        f"{files}require_certificate true\nuse_identity_as_username true\nacl_file {tmp_path}/acl\n",
    )
    one = record(Line("127.0.0.1", broker.port, "T1", Tls(pki / "ca.pem", pki / "truck.pem", pki / "truck.key")))
    one.until(Connected)
    for token in range(1, 201):
        one.transport.publish(Message(token, TOPIC, b"x" * 5000))
    one.transport.publish(Message(201, "fleet/T2/telemetry", b"{}"))
    one.until(Delivered, 200)
    one.until(Refused)
    assert one.refused()[0].token == 201
    one.transport.close()
    stranger = record(Line("127.0.0.1", broker.port, "T1", Tls(pki / "ca.pem", None, None)))
    sceptic = record(Line("127.0.0.1", broker.port, "T1", Tls(None, pki / "truck.pem", pki / "truck.key")))
    time.sleep(0.5)
    assert stranger.count(Connected) == sceptic.count(Connected) == 0
    with pytest.raises(Misconfigured, match=r"truck\.pem"):
        PahoTransport(Line("127.0.0.1", 1, "T1", Tls(None, pki / "truck.pem", pki / "ca.key")))
