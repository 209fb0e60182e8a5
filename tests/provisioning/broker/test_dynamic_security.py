"""The generated configuration on a real mosquitto: who gets in, as whom, what he may do; refusals are in its log."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from contract import topics
from provisioning import certificate_authority, reserved_names, secure_files
from provisioning.broker.access_reconciler import CUT_OFF_SECONDS
from provisioning.certificate_authority import Authority
from provisioning.registry.sqlite import LocalRegistry
from provisioning.settings import ProvisioningSettings
from tests.provisioning.mosquitto import MOSQUITTO, SIMULATED, Broker, Files, Peer
from tests.waiting import until

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")

Equip = Callable[[str], Files]


@pytest.fixture
def a(equip: Equip) -> Files:
    return equip("A")


@pytest.fixture
def b(equip: Equip) -> Files:
    return equip("B")


@pytest.fixture
def broker(tmp_path: Path, registry: LocalRegistry, a: Files, b: Files) -> Iterator[Broker]:
    with Broker(tmp_path, registry) as broker:
        yield broker


def peer(broker: Broker, name: str, files: Files | None, version: int = mqtt.MQTTv5) -> Peer:
    ca = broker.registry.folder / "ca.pem"
    if files is None:
        return Peer(broker.tls_port, name, ca=ca, version=version)
    return Peer(broker.tls_port, name, ca=ca, certificate=files.certificate, key=files.key, version=version)


def collector_of(broker: Broker) -> Peer:
    """As the box's own collector connects: by name and password, on the loopback listener."""
    peer = Peer(broker.port, "collector")
    peer.client.username_pw_set(reserved_names.COLLECTOR, broker.gatekeeper.passwords.collector)
    assert peer.connect() == "Success"
    return peer


def test_a_truck_may_do_exactly_what_it_must(broker: Broker, a: Files) -> None:
    collector = collector_of(broker)
    collector.subscribe("fleet/#")
    truck = peer(broker, "A", a)
    assert truck.connect() == "Success"
    for topic in (topics.telemetry("A"), topics.batch("A"), topics.report("A"), topics.status("A")):
        assert truck.publish(topic) == "Success"
    for topic in (topics.resend("A"), "fleet/A/config"):
        assert truck.subscribe(topic) == "Granted QoS 1"
        collector.publish(topic, b"{}")
    until(lambda: {topic for topic, _ in truck.heard} == {topics.resend("A"), "fleet/A/config"})
    assert truck.publish(topics.resend("A")) == "Not authorized"
    assert truck.publish("fleet/A/config") == "Not authorized"
    assert truck.publish("fleet/A") == "Not authorized"
    assert truck.subscribe("fleet/A/telemetry") == "Not authorized"
    assert truck.subscribe("$SYS/#") == "Not authorized"
    assert truck.publish("$CONTROL/dynamic-security/v1", b'{"commands":[]}') == "Not authorized"


@pytest.mark.parametrize("topic", ["fleet/B/telemetry", "fleet/B/telemetry/batch", "fleet/B/report", "fleet/B/status"])
def test_a_may_not_publish_as_b(broker: Broker, a: Files, topic: str) -> None:
    collector = collector_of(broker)
    collector.subscribe("fleet/#")
    truck = peer(broker, "A", a)
    truck.connect()
    assert truck.publish(topic) == "Not authorized"
    assert truck.publish(topics.telemetry("A"), b"last") == "Success"
    until(lambda: collector.heard)
    assert collector.heard == [(topics.telemetry("A"), b"last")]
    until(lambda: f"Denied PUBLISH from A (d0, q1, r0, m1, '{topic}'" in broker.log)


@pytest.mark.parametrize("topic", ["fleet/B/resend", "fleet/B/config", "fleet/+/resend", "fleet/#", "#", "+/B/resend"])
def test_a_may_not_subscribe_to_b(broker: Broker, a: Files, topic: str) -> None:
    truck = peer(broker, "A", a)
    truck.connect()
    assert truck.subscribe(topic) == "Not authorized"
    collector_of(broker).publish("fleet/B/resend")
    assert truck.publish(topics.telemetry("A")) in ("Success", "No matching subscribers")
    assert truck.heard == []
    until(lambda: f"\t{topic} (QoS 1)" in broker.log)  # that he asked
    assert f"A 1 {topic}\n" not in broker.log  # what is granted is logged so


def test_the_will_of_a_cannot_be_left_as_b(broker: Broker, a: Files) -> None:
    collector = collector_of(broker)
    collector.subscribe("fleet/#")
    truck = peer(broker, "A", a)
    truck.client.will_set("fleet/B/status", b"dead", qos=1, retain=True)
    truck.connect()
    connection = truck.client.socket()
    assert connection is not None
    truck.client.loop_stop()
    connection.close()
    other = peer(broker, "A", a)
    other.connect()
    other.publish(topics.telemetry("A"), b"last")
    until(lambda: collector.heard)
    assert collector.heard == [(topics.telemetry("A"), b"last")]


def made(tmp_path: Path, signer: Authority, name: str, *, days: float = 1.0) -> Files:
    key, csr = certificate_authority.new_key()
    secure_files.write(tmp_path / "other.key", key, mode=secure_files.PRIVATE)
    secure_files.write(tmp_path / "other.pem", signer.issue(csr, name, days=days).pem, mode=secure_files.PUBLIC)
    return Files(tmp_path / "other.pem", tmp_path / "other.key")


def test_no_certificate_no_connection(broker: Broker) -> None:
    assert peer(broker, "A", None).connect() != "Success"
    until(lambda: "peer did not return a certificate" in broker.log)


def test_plain_text_on_the_tls_port_is_refused(broker: Broker) -> None:

    def greet() -> tuple[bytes, None]:
        with socket.create_connection(("127.0.0.1", broker.tls_port), timeout=60) as plain:
            plain.sendall(bytes.fromhex("100c 0004 4d515454 04 02 000a 0000"))
            answer = plain.recv(64)
            return b"" if answer.startswith(b"\x15") else answer, None  # a TLS alert is no answer

    assert _refused(greet)
    until(lambda: "Client <unknown> " in broker.log or "OpenSSL Error" in broker.log or "failed" in broker.log)


@pytest.mark.parametrize("whose", ["another CA's", "self-signed", "a CA of the same name"])
def test_a_strangers_certificate_is_refused(broker: Broker, tmp_path: Path, whose: str) -> None:
    own = Authority(
        *certificate_authority.new_authority("Milepost CA" if whose == "a CA of the same name" else "elsewhere")
    )
    files = made(tmp_path, own, "A")
    if whose == "self-signed":
        key, certificate = certificate_authority.new_authority("A")
        secure_files.write(files.key, key, mode=secure_files.PRIVATE)
        secure_files.write(files.certificate, certificate, mode=secure_files.PUBLIC)
    assert peer(broker, "A", files).connect() != "Success"
    until(lambda: "certificate verify failed" in broker.log)


def test_an_expired_certificate_is_refused(broker: Broker, tmp_path: Path) -> None:
    signer = Authority((broker.registry.folder / "ca.key").read_bytes(), broker.registry.authority())
    assert peer(broker, "A", made(tmp_path, signer, "A", days=-0.01)).connect() != "Success"
    until(lambda: "certificate verify failed" in broker.log)


def test_a_servers_certificate_is_no_trucks(broker: Broker) -> None:
    folder = broker.registry.folder
    assert peer(broker, "A", Files(folder / "server.pem", folder / "server.key")).connect() != "Success"


def test_a_revoked_certificate_is_refused_also_by_a_resumed_session(broker: Broker, a: Files) -> None:
    context = ssl.create_default_context(cafile=str(broker.registry.folder / "ca.pem"))
    context.load_cert_chain(a.certificate, a.key)

    def greet(session: ssl.SSLSession | None) -> tuple[bytes, ssl.SSLSession | None]:
        plain = socket.create_connection(("127.0.0.1", broker.tls_port), timeout=60)
        with context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as line:
            line.sendall(bytes.fromhex("100d 0004 4d515454 04 02 000a 0001 41"))
            return line.recv(4), line.session

    answer, session = greet(None)
    assert answer == bytes.fromhex("20020000")
    broker.registry.retire("A")
    until(lambda: _refused(lambda: greet(None)), CUT_OFF_SECONDS)
    assert _refused(lambda: greet(session))
    until(lambda: "certificate verify failed" in broker.log)


def _refused(attempt: Callable[[], tuple[bytes, object]]) -> bool:
    try:
        return attempt()[0] == b""
    except OSError:
        return True


@pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5])
def test_with_the_client_id_of_b_a_is_still_a_and_b_is_not_disturbed(
    broker: Broker, a: Files, b: Files, version: int
) -> None:
    """mosquitto 2.0.11 cannot refuse a client id; it is told to overrule it."""
    victim = peer(broker, "B", b)
    assert victim.connect() == "Success"
    victim.subscribe(topics.resend("B"))
    thief = peer(broker, "B", a, version)
    thief.connect()
    assert thief.publish(topics.telemetry("A")) in ("Success", "No matching subscribers")
    if version == mqtt.MQTTv5:
        assert thief.publish(topics.telemetry("B")) == "Not authorized"
    collector_of(broker).publish(topics.resend("B"), b"for B")
    until(lambda: victim.heard == [(topics.resend("B"), b"for B")])
    assert thief.heard == []
    assert not victim.lost
    assert " as A (p" in broker.log
    assert broker.log.count(" as B (p") == 1


def test_with_the_client_id_of_b_a_gets_nothing_of_bs_session_and_leaves_no_will(
    broker: Broker, a: Files, b: Files
) -> None:
    """B is away, and something waits for it."""

    def as_b(files: Files, *, will: bool = False) -> Peer:
        one = peer(broker, "B", files)
        if will:
            one.client.will_set("fleet/B/status", b"stolen", qos=1, retain=True)
        expiry = Properties(PacketTypes.CONNECT)
        expiry.SessionExpiryInterval = 600
        one.client.connect("127.0.0.1", broker.tls_port, clean_start=False, properties=expiry)
        one.client.loop_start()
        assert until(one._connected)[1] == "Success"
        return one

    victim = as_b(b)
    victim.subscribe(topics.resend("B"))
    victim.close()
    collector = collector_of(broker)
    collector.subscribe("fleet/B/status")
    collector.publish(topics.resend("B"), b"for B")
    thief = as_b(a, will=True)
    assert thief.subscribe(topics.resend("B")) == "Not authorized"
    connection = thief.client.socket()
    assert connection is not None
    thief.client.loop_stop()
    connection.close()
    back = as_b(b)
    until(lambda: back.heard)
    assert back.heard == [(topics.resend("B"), b"for B")]
    assert thief.heard == []
    assert collector.heard == []


def test_retired_a_truck_is_cut_off_within_the_stated_time_and_others_stay(broker: Broker, a: Files, b: Files) -> None:
    truck, other = peer(broker, "A", a), peer(broker, "B", b)
    assert (truck.connect(), other.connect()) == ("Success", "Success")
    began = time.monotonic()
    broker.registry.retire("A")
    until(lambda: truck.lost, CUT_OFF_SECONDS)
    print(f"cut off after {time.monotonic() - began:.2f} s")
    assert peer(broker, "A", a).connect() != "Success"
    assert other.publish(topics.telemetry("B")) in ("Success", "No matching subscribers")
    assert not other.lost


def test_reinstated_a_truck_needs_and_may_use_a_new_certificate(broker: Broker, a: Files, equip: Equip) -> None:
    broker.registry.retire("A")
    broker.registry.reinstate("A")
    until(lambda: peer(broker, "A", a).connect() != "Success", CUT_OFF_SECONDS)
    again = equip("A")
    until(lambda: _may_publish(broker, again))


def test_a_truck_added_while_the_broker_runs_may_come_in(broker: Broker, equip: Equip) -> None:
    files = equip("NEW")
    until(lambda: _may_publish(broker, files, "NEW"), CUT_OFF_SECONDS)
    assert broker.restarts == 0


def test_many_trucks_at_once_come_by_one_restart(broker: Broker, equip: Equip) -> None:
    with broker.registry.transaction():
        files = [equip(f"T{n}") for n in range(60)]
    until(lambda: broker.restarts)
    until(lambda: _may_publish(broker, files[59], "T59"))
    assert broker.restarts == 1


def test_an_import_under_way_restarts_nothing_and_holds_up_no_retirement(
    broker: Broker, a: Files, equip: Equip
) -> None:
    truck = peer(broker, "A", a)
    assert truck.connect() == "Success"
    for group in range(6):
        with broker.registry.transaction():
            last = [equip(f"T{group}-{number}") for number in range(30)][-1]
        if group == 2:
            broker.registry.retire("A")
        time.sleep(0.4)
    assert truck.lost
    assert broker.restarts == 0
    until(lambda: _may_publish(broker, last, "T5-29"))  # 180 trucks, on a machine that does other work
    until(lambda: broker.restarts == 1)


def _may_publish(broker: Broker, files: Files, name: str = "A") -> bool:
    truck = peer(broker, name, files)
    try:
        return truck.connect() == "Success" and truck.publish(topics.telemetry(name)) in (
            "Success",
            "No matching subscribers",
        )
    finally:
        truck.close()


def test_a_connection_with_a_certificate_that_is_replaced_ends_and_the_new_one_works(
    broker: Broker, a: Files, equip: Equip
) -> None:
    old = peer(broker, "A", a)
    assert old.connect() == "Success"
    new = equip("A")
    assert new.issued
    broker.registry.revoke_others("A", new.issued.id)
    until(lambda: old.lost, CUT_OFF_SECONDS)
    assert peer(broker, "A", a).connect() != "Success"
    assert _may_publish(broker, new)


def test_the_broker_notes_when_a_truck_was_last_heard(broker: Broker, a: Files) -> None:
    assert broker.registry.get("A").last_seen is None
    truck = peer(broker, "A", a)
    truck.connect()
    until(lambda: truck.publish(topics.status("A")) and broker.registry.get("A").last_seen)


def test_on_this_machine_all_is_heard_and_only_simulated_trucks_are_sent_as(broker: Broker, equip: Equip) -> None:
    """Nobody without an identity is a truck; a truck that is added meanwhile disturbs nobody."""
    local = Peer(broker.port, "local")
    local.connect()
    local.subscribe("fleet/#")
    equip("NEW")
    for name in ("A", "NEW", "UNKNOWN", SIMULATED):
        for topic in ("resend", "config"):
            assert local.publish(f"fleet/{name}/{topic}") == "Not authorized", topic
    for name in ("A", "NEW", "UNKNOWN"):
        for topic in ("telemetry", "telemetry/batch", "report", "status"):
            assert local.publish(f"fleet/{name}/{topic}") == "Not authorized", topic
    assert local.publish(topics.telemetry(SIMULATED), b"simulated") == "Success"
    until(lambda: local.heard)
    assert local.heard == [(topics.telemetry(SIMULATED), b"simulated")]
    until(lambda: "createClient" in broker.log or '"NEW"' in (broker.folder / "security.json").read_text())
    assert not local.lost


def test_the_collector_asks_and_configures_and_is_no_truck(broker: Broker) -> None:
    collector = collector_of(broker)
    for topic in (topics.resend("A"), topics.config("A"), topics.resend(SIMULATED)):
        assert collector.publish(topic) in ("Success", "No matching subscribers")
    assert collector.publish(topics.telemetry("A")) == "Not authorized"
    assert collector.publish("$CONTROL/dynamic-security/v1", b'{"commands":[]}') == "Not authorized"
    guess = Peer(broker.port, "guess")
    guess.client.username_pw_set(reserved_names.COLLECTOR, "guess")
    assert guess.connect() == "Not authorized"


def test_a_reload_of_the_revocation_list_disturbs_neither_collector_nor_trucks(broker: Broker, b: Files) -> None:
    collector, other = collector_of(broker), peer(broker, "B", b)
    other.connect()
    broker.registry.retire("A")
    until(lambda: '"A"' not in (broker.folder / "security.json").read_text(), CUT_OFF_SECONDS)
    time.sleep(0.5)  # the reload was before
    assert not collector.lost
    assert not other.lost
    assert collector.publish(topics.resend("B")) in ("Success", "No matching subscribers")


def test_nobody_but_the_box_commands_the_plugin(broker: Broker) -> None:
    local = Peer(broker.port, "local")
    local.connect()
    assert local.publish("$CONTROL/dynamic-security/v1", b'{"commands":[{"command":"listClients"}]}') != "Success"
    assert local.subscribe("$CONTROL/dynamic-security/v1/response") == "Not authorized"
    admin = Peer(broker.port, "admin")
    admin.client.username_pw_set("milepost-admin", "guess")
    assert admin.connect() != "Success"


def test_a_certificate_lasts_as_long_as_the_settings_say(tmp_path: Path) -> None:
    registry = LocalRegistry(tmp_path, ProvisioningSettings(certificate_days=7))
    registry.init()
    registry.add("A", {})
    issued = registry.issue("A", certificate_authority.new_key()[1])
    left = datetime.fromisoformat(issued.not_after) - datetime.now(UTC)
    assert timedelta(days=6.9) < left <= timedelta(days=7)


def test_an_expired_certificate_counts_no_more_as_active(registry: LocalRegistry) -> None:
    registry.add("A", {})
    first = registry.issue("A", certificate_authority.new_key()[1])
    with patch("provisioning.registry.sqlite.now_text", return_value="2999-01-01T00:00:00.000Z"):
        registry.issue("A", certificate_authority.new_key()[1])
    assert first.id not in {one.id for one in registry.get("A").active}
