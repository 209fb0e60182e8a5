"""What MQTT 3.1.1 and a password change: a real mosquitto that knows trucks by name and password."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.transport import BrokerLimits, Connected, Delivered, Message
from agent.transport.endpoint import EndpointLine
from tests.agent.live import Broker, Listener
from tests.agent.process import Process
from tests.agent.transport.conftest import Recorder, make_transport
from tests.agent.trucks import TRUCK
from tests.waiting import until


@pytest.fixture
def guarded(tmp_path: Path, make_broker: Callable[..., Broker]) -> Broker:
    """Knows the truck by a password, and lets it write telemetry only."""
    passwords, rights = tmp_path / "passwords", tmp_path / "acl"
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(passwords), TRUCK, "s3cret"], check=True)
    rights.write_text("pattern write fleet/%u/telemetry\npattern read fleet/%u/config\ntopic read fleet/#\n")
    return make_broker(f"password_file {passwords}\nacl_file {rights}\n")


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_name_and_a_password_let_a_truck_in_by_both_versions(guarded: Broker, protocol: str) -> None:
    line = EndpointLine("127.0.0.1", guarded.port, TRUCK, protocol=protocol, username=TRUCK, password="s3cret")  # type: ignore[arg-type]
    one = Recorder(make_transport("paho", line))
    try:
        one.until(Connected)
        one.transport.publish(Message(1, f"fleet/{TRUCK}/telemetry", b"{}"))
        one.until(Delivered)
    finally:
        one.transport.close()


def test_a_wrong_password_lets_nobody_in(guarded: Broker, caplog: pytest.LogCaptureFixture) -> None:
    line = EndpointLine("127.0.0.1", guarded.port, TRUCK, protocol="3.1.1", username=TRUCK, password="wrong")
    one = Recorder(make_transport("paho", line))
    try:
        until(lambda: "connect_failed" in caplog.text)
    finally:
        one.transport.close()
    assert one.count(Connected) == 0
    assert "wrong" not in caplog.text
    assert "wrong" not in repr(line)


def test_what_a_3_1_1_broker_denies_counts_as_delivered_which_is_why_gap_repair_asks(guarded: Broker) -> None:
    line = EndpointLine("127.0.0.1", guarded.port, TRUCK, protocol="3.1.1", username=TRUCK, password="s3cret")
    one = Recorder(make_transport("paho", line, BrokerLimits()))
    try:
        one.until(Connected)
        one.transport.publish(Message(1, "fleet/another/telemetry", b"{}"))
        one.until(Delivered)
    finally:
        one.transport.close()


def test_a_whole_agent_sends_by_3_1_1(tmp_path: Path, broker: Broker, listener: Listener) -> None:
    agent = Process(tmp_path / "truck", broker.url, more='time_patience = 0\nprotocol = "3.1.1"\n')
    agent.start()
    until(lambda: (seen := agent.glance()) and seen.sent >= 10)
    tally = agent.terminate()
    until(lambda: sorted(listener.samples()) == list(range(1, tally["sampled"] + 1)))
    until(lambda: [message["state"] for message in listener.of("status")] == ["online", "offline"])
