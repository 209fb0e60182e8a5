"""The transport's promises, kept by every implementation against a real mosquitto over mutual TLS."""

import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from agent.transport import BrokerLimits, Connected, Delivered, Lost, Message, NotConnected, Received, Refused
from agent.transport.endpoint import ALPN, EndpointLine, Tls
from contract.errors import Misconfigured
from tests.agent.live import Broker, Listener
from tests.agent.pki import Authority
from tests.agent.transport.conftest import OWN, Recorder, Road, make_transport
from tests.waiting import until

TOPIC = "fleet/T1/telemetry"
Record = Callable[..., Recorder]
MakeRoad = Callable[..., Road]


def test_every_message_is_answered_and_arrives_in_order(road: Road, watcher: Listener, record: Record) -> None:
    """Ten times the window is handed over at once; also what nobody listens to (code 16) is delivered."""
    one = record(road.line())
    one.until(Connected)
    for token in range(1, 1001):
        one.transport.publish(Message(token, TOPIC, json.dumps({"seq": token}).encode()))
    one.transport.publish(Message(1001, "elsewhere", b"x"))
    one.until(Delivered, 1001)
    until(lambda: len(watcher.of("telemetry")) == 1000)
    assert [sample["seq"] for sample in watcher.of("telemetry")] == list(range(1, 1001))
    assert one.refused() == []


@pytest.mark.usefixtures("mqtt5")
def test_a_refusal_is_told_with_its_code_and_is_no_delivery(
    make_road: MakeRoad, tmp_path: Path, record: Record
) -> None:
    """The certificate's name decides what may be published; 135 is Not authorized."""
    (tmp_path / "acl").write_text("pattern write fleet/%u/#\npattern read fleet/%u/resend\n")
    one = record(make_road(f"acl_file {tmp_path}/acl\n").line())
    one.until(Connected)
    one.transport.publish(Message(2, TOPIC, b"{}"))
    one.until(Delivered)
    one.transport.publish(Message(1, "fleet/T2/telemetry", b"{}"))
    one.until(Refused)
    assert one.refused() == [(1, 135)]
    assert "uthorized" in one.of(Refused)[0].reason
    assert one.tokens() == [2]


@pytest.mark.usefixtures("mqtt5")
def test_what_is_too_large_is_refused_here(make_road: MakeRoad, record: Record) -> None:
    """Ours is the contract's limit; a broker's smaller one is honoured, as it would end the connection."""
    one = record(make_road("max_packet_size 2000\n").line())
    one.until(Connected)
    payload = one.of(Connected)[0].payload
    one.transport.publish(Message(1, TOPIC, b"x" * (payload + 1)))
    one.transport.publish(Message(2, TOPIC, b"x" * payload))
    one.until(Delivered)
    assert one.refused() == [(1, 149)]
    assert one.count(Lost) == 0


def test_the_brokers_receive_maximum_narrows_the_window(make_road: MakeRoad, record: Record) -> None:
    """mosquitto's default of 20 for MQTT 5: without heed for it, publishes are refused with 147 or 151."""
    one = record(make_road("max_inflight_messages 5\n").line())
    one.until(Connected)
    for token in range(1, 301):
        one.transport.publish(Message(token, TOPIC, b"{}"))
    one.until(Delivered, 300)
    assert one.refused() == []


def test_each_message_ends_once_when_the_broker_is_killed_and_comes_back(road: Road, record: Record) -> None:
    """Delivered, or Lost with the connection; the transport repeats nothing by itself, and reconnects."""
    one = record(road.line())
    one.until(Connected)
    for token in range(1, 20_001):
        one.transport.publish(Message(token, TOPIC, b"x" * 300))
    one.until(Delivered, 50)
    road.broker.kill()
    one.until(Lost)
    before = one.count(Delivered)
    assert 50 <= before < 20_000
    one.transport.publish(Message(29_999, TOPIC, b"{}"))  # into nowhere
    road.broker.start()
    one.until(Connected, 2)
    one.transport.publish(Message(30_000, TOPIC, b"{}"))
    one.until(Delivered, before + 1)
    time.sleep(0.2)
    assert len(one.tokens()) == len(set(one.tokens())) == before + 1
    assert one.tokens()[-1] == 30_000
    assert one.turns() == [Connected, Lost, Connected]
    assert one.refused() == []


@pytest.mark.usefixtures("mqtt5")
def test_at_most_a_window_is_unacknowledged(record: Record) -> None:
    """Counted by a broker that acknowledges nothing."""
    with _DeafBroker() as deaf:
        one = record(EndpointLine("127.0.0.1", deaf.port, "T1", ack_timeout=5), OWN._replace(window=7))
        one.until(Connected)
        for token in range(1, 51):
            one.transport.publish(Message(token, TOPIC, b"x"))
        until(lambda: deaf.received.count(TOPIC.encode()) >= 7)
        time.sleep(0.2)
        assert deaf.received.count(TOPIC.encode()) == 7


def test_the_subscriptions_stand_before_it_counts_as_connected(road: Road, watcher: Listener, record: Record) -> None:
    for number in range(1, 4):
        one = record(road.line())
        one.until(Connected)
        watcher.publish("fleet/T1/resend", {"stream_id": "s", "ranges": [[1, number]]})
        watcher.publish("fleet/T1/config", {"config_version": number})
        one.until(Received, 2)
        assert {event.topic for event in one.of(Received)} == {"fleet/T1/resend", "fleet/T1/config"}
        one.transport.close()


def test_the_will_speaks_for_a_truck_that_vanished_and_not_for_one_that_left(
    road: Road, watcher: Listener, record: Record
) -> None:
    gone = record(road.line())
    gone.until(Connected)
    gone.transport.close()
    taken_over = record(road.line())
    taken_over.until(Connected)
    assert watcher.of("status") == []
    record(road.line()).until(Connected)  # the same id: the broker drops the older one
    until(lambda: {"state": "lost"} in watcher.of("status"))


@pytest.mark.parametrize(("kept", "expected"), [(0, 0), (60, 1)])
def test_what_came_meanwhile_waits_as_long_as_the_session_does(
    road: Road, watcher: Listener, record: Record, kept: int, expected: int
) -> None:
    first = record(road.line(session_expiry=kept))
    first.until(Connected)
    first.transport.close()
    watcher.publish("fleet/T1/resend", {"stream_id": "s", "ranges": [[1, 2]]})
    second = record(road.line(session_expiry=kept))
    second.until(Connected)
    time.sleep(0.3)
    assert second.count(Received) == expected


def test_close_is_quick_and_no_alarm(record: Record, road: Road, caplog: pytest.LogCaptureFixture) -> None:
    """Also while nobody answers: then why is told, once, and after the close nothing; a close that we asked for is
    worth no warning."""
    away = record(EndpointLine("127.0.0.1", 1, "T1"))
    away.until(NotConnected)
    began = time.monotonic()
    away.transport.close()
    assert time.monotonic() - began < 20
    time.sleep(0.3)
    assert [type(event) for event in away.events] == [NotConnected]
    caplog.clear()
    one = record(road.line())
    one.until(Connected)
    began = time.monotonic()
    one.transport.close()
    assert time.monotonic() - began < 20
    assert one.turns() == [Connected, Lost]
    assert [entry for entry in caplog.records if entry.levelno >= logging.WARNING] == []


@pytest.mark.usefixtures("mqtt5")
def test_a_broker_that_never_acknowledges_is_left_for_another_try(record: Record) -> None:
    """It takes CONNECT, SUBSCRIBE and PUBLISH and answers all but the last: the connection counts as dead."""
    with _DeafBroker() as deaf:
        one = record(EndpointLine("127.0.0.1", deaf.port, "T1", ack_timeout=1))
        one.until(Connected)
        one.transport.publish(Message(1, TOPIC, b"{}"))
        one.until(Connected, 2)
        assert one.turns()[:3] == [Connected, Lost, Connected]
        assert one.count(Delivered) == one.count(Refused) == 0


def test_a_certificate_that_is_missing_or_of_another_authority_does_not_connect(
    road: Road, tmp_path: Path, record: Record, kind: str
) -> None:
    stranger = record(road.line(tls=Tls(road.tls.ca, None, None)))
    sceptic = record(road.line(tls=Tls(None, road.tls.certificate, road.tls.key)))
    time.sleep(0.5)
    assert stranger.count(Connected) == sceptic.count(Connected) == 0
    (tmp_path / "other.key").write_text("not a key")
    with pytest.raises(Misconfigured, match=r"T1\.pem"):
        make_transport(kind, road.line(tls=Tls(None, road.tls.certificate, tmp_path / "other.key")))


def test_a_certificate_that_has_run_out_is_no_unspecified_error(
    road: Road, record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    """In TLS 1.3 the broker refuses it after the handshake, which looks like any other end."""
    record(road.line(tls=road.authority.issue("T1", timedelta(days=-1))))
    until(lambda: "connect_failed" in caplog.text)
    assert "Unspecified" not in caplog.text


def test_a_renewed_certificate_is_used_from_the_next_connection_on(road: Road) -> None:
    """AwsIotTransport sees that the file has changed; agent/enrollment loads it into paho's ssl context. The old one is
    another authority's here, which the broker does not take."""
    pytest.importorskip("awscrt", reason="pip install 'milepost[agent-aws]'")
    tls = road.authority.issue("T1")
    assert tls.certificate
    assert tls.key
    good = tls.certificate.read_bytes(), tls.key.read_bytes()
    foreign = Authority(road.authority.folder / "foreign").issue("T1")
    assert foreign.certificate
    assert foreign.key
    tls.certificate.write_bytes(foreign.certificate.read_bytes())
    tls.key.write_bytes(foreign.key.read_bytes())
    one = Recorder(make_transport("aws", road.line(tls=tls)))
    time.sleep(0.3)
    assert one.count(Connected) == 0
    tls.key.write_bytes(good[1])
    tls.certificate.write_bytes(good[0])
    one.until(Connected, seconds=40)
    one.transport.close()


def test_the_protocol_name_for_port_443_is_offered(road: Road, record: Record) -> None:
    """IoT Core serves MQTT on 443 only to those who ask for it by ALPN."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls = road.authority.issue("localhost")
    context.load_cert_chain(str(server_tls.certificate), str(server_tls.key))
    context.load_verify_locations(str(road.authority.ca))
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols([ALPN])
    agreed: list[str | None] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with context.wrap_socket(server.accept()[0], server_side=True) as client:
                agreed.append(client.selected_alpn_protocol())

        thread = threading.Thread(target=serve)
        thread.start()
        record(EndpointLine("127.0.0.1", server.getsockname()[1], "T1", road.tls._replace(alpn=ALPN)))
        thread.join(60)
    assert agreed == [ALPN]


def test_without_tls_it_connects_as_well(broker: Broker, record: Record) -> None:
    one = record(EndpointLine("127.0.0.1", broker.port, "T1"), BrokerLimits())
    one.until(Connected)
    one.transport.publish(Message(1, TOPIC, b"{}"))
    one.until(Delivered)


@pytest.mark.usefixtures("mqtt5")
def test_a_second_client_of_the_same_name_is_told(record: Record) -> None:
    """AWS IoT Core and newer brokers say so (142); mosquitto 2.0.11 only closes."""
    with _DeafBroker() as deaf:
        one = record(EndpointLine("127.0.0.1", deaf.port, "T1"))
        one.until(Connected)
        deaf.say(b"\xe0\x01\x8e")
        one.until(Lost)
    assert "another client has this truck's name" in one.of(Lost)[0].reason


@pytest.mark.prove
@pytest.mark.usefixtures("mqtt5")
def test_a_broker_that_wants_to_hear_more_often_is_obeyed(make_road: MakeRoad, record: Record) -> None:
    """Ten seconds are the least that mosquitto names; it ends a connection after fifteen."""
    one = record(make_road("max_keepalive 10\n").line())
    one.until(Connected)
    time.sleep(40)
    assert one.turns() == [Connected]


class _DeafBroker:
    """Answers CONNECT and SUBSCRIBE, then only reads."""

    def __enter__(self) -> "_DeafBroker":
        self.received = b""
        self._server = socket.create_server(("127.0.0.1", 0))
        self._kept: list[socket.socket] = []
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def _serve(self) -> None:
        try:
            while True:
                client, _ = self._server.accept()
                self._kept.append(client)
                client.recv(4096)
                client.sendall(bytes([0x20, 3, 0, 0, 0]))
                packet = client.recv(4096)
                client.sendall(bytes([0x90, 5, packet[2], packet[3], 0, 1, 1]))
                threading.Thread(target=self._read, args=(client,), daemon=True).start()
        except OSError:
            return

    def say(self, packet: bytes) -> None:
        """To the newest client."""
        self._kept[-1].sendall(packet)

    def _read(self, client: socket.socket) -> None:
        try:
            while data := client.recv(65536):
                self.received += data
        except OSError:
            return

    def __exit__(self, *_: object) -> None:
        self._server.close()
        for each in self._kept:
            each.close()


def test_why_it_cannot_connect_is_told_once(record: Record) -> None:
    """Nobody listens there: one event, however often it is tried."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    one = record(EndpointLine("127.0.0.1", port, "T1"))
    one.until(NotConnected)
    time.sleep(1)
    assert one.count(NotConnected) == 1
    assert "refused" in one.of(NotConnected)[0].reason.lower()
