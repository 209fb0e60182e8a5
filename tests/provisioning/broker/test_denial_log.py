"""What a real mosquitto refuses is told to the operator, once and then counted."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract import topics
from provisioning import certificate_authority, secure_files
from provisioning.broker.denial_log import DenialLog
from provisioning.registry.sqlite import LocalRegistry
from standalone.child_processes import trim
from tests.provisioning.mosquitto import MOSQUITTO, Broker, Files, Peer
from tests.waiting import until

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Watch:
    """A broker, and what is told of it."""

    def __init__(self, broker: Broker, truck: Peer, files: Files, caplog: pytest.LogCaptureFixture) -> None:
        self.broker, self.truck, self.files, self._caplog = broker, truck, files, caplog
        self.clock = Time()
        self.refusals = DenialLog(broker.folder / "mosquitto.log", self.clock)

    def told(self) -> list[str]:
        """What was told of clients.

        Whether a refused handshake is told as an unknown peer's at once or when its time is up depends on how much of
        it mosquitto finds when it accepts; and `Broker` itself connects once, to see the port open.
        """
        self.refusals.look()
        said = [one.getMessage() for one in self._caplog.records if one.name == "provisioning.broker.denial_log"]
        return [one for one in said if "connection_anonymous" not in one and "unexpected eof" not in one]

    def stranger(self, certificate: Path | None = None, key: Path | None = None) -> Peer:
        ca = self.broker.registry.folder / "ca.pem"
        return Peer(self.broker.tls_port, "A", ca=ca, certificate=certificate, key=key)


@pytest.fixture
def watch(
    tmp_path: Path, registry: LocalRegistry, equip: Callable[[str], Files], caplog: pytest.LogCaptureFixture
) -> Iterator[Watch]:
    caplog.set_level(logging.WARNING)
    files = equip("A")
    with Broker(tmp_path, registry) as broker:
        truck = Peer(broker.tls_port, "A", ca=registry.folder / "ca.pem", certificate=files.certificate, key=files.key)
        assert truck.connect() == "Success"
        yield Watch(broker, truck, files, caplog)
        truck.close()


def test_a_denied_publish_is_told_with_truck_and_topic(watch: Watch) -> None:
    assert watch.truck.publish(topics.telemetry("B")) == "Not authorized"
    until(watch.told)
    assert watch.told() == ["publish_denied client=A topic='fleet/B/telemetry' times=1"]


def test_a_denied_subscription_is_told_and_a_granted_one_is_not(watch: Watch) -> None:
    assert watch.truck.subscribe(topics.resend("A")).startswith("Granted")
    assert watch.truck.subscribe("fleet/+/resend") == "Not authorized"
    assert watch.truck.subscribe(topics.config("A")).startswith("Granted")
    until(watch.told)
    assert watch.told() == ["subscribe_denied client=A topic='fleet/+/resend' times=1"]


@pytest.mark.parametrize(
    ("whose", "reason"),
    [
        ("nobody's", "peer did not return a certificate"),
        ("another CA's", "certificate verify failed"),
        ("expired", "certificate verify failed"),
        ("revoked", "certificate verify failed"),
    ],
)
def test_a_refused_connection_is_told_with_its_reason(watch: Watch, tmp_path: Path, whose: str, reason: str) -> None:
    registry = watch.broker.registry
    key, csr = certificate_authority.new_key()
    signer = certificate_authority.Authority((registry.folder / "ca.key").read_bytes(), registry.authority())
    if whose == "another CA's":
        signer = certificate_authority.Authority(*certificate_authority.new_authority("elsewhere"))
    made = signer.issue(csr, "A", days=-0.01 if whose == "expired" else 1).pem
    if whose == "revoked":
        registry.add("R", {})
        made = registry.issue("R", csr).pem or ""
        registry.retire("R")
        time.sleep(1)  # until it is loaded
    secure_files.write(tmp_path / "s.key", key, mode=secure_files.PRIVATE)
    secure_files.write(tmp_path / "s.pem", made, mode=secure_files.PUBLIC)
    stranger = watch.stranger() if whose == "nobody's" else watch.stranger(tmp_path / "s.pem", tmp_path / "s.key")
    assert stranger.connect() != "Success"
    until(watch.told)
    assert watch.told() == [f"connection_refused reason={reason!r} times=1"]


def test_two_gateways_with_one_identity_are_told(watch: Watch) -> None:
    """A cloned disk."""
    ca = watch.broker.registry.folder / "ca.pem"
    files = watch.files
    clone = Peer(watch.broker.tls_port, "A", ca=ca, certificate=files.certificate, key=files.key)
    assert clone.connect() == "Success"
    until(watch.told)
    assert watch.told() == ["connected_twice client=A times=1"]


def test_what_repeats_is_counted_and_told_once_a_minute(watch: Watch) -> None:
    for number in range(50):
        watch.truck.publish(f"fleet/B{number}/telemetry")
        watch.told()
    until(watch.told)
    assert len(watch.told()) == 1
    watch.clock.seconds = 61
    until(lambda: len(watch.told()) > 1)
    assert watch.told()[1:] == ["publish_denied client=A topic='fleet/B49/telemetry' times=49"]


def test_a_log_that_is_cut_meanwhile_loses_no_refusal(watch: Watch) -> None:
    watch.told()
    watch.truck.publish(topics.telemetry("B"))
    until(lambda: "Denied PUBLISH" in watch.broker.log)
    trim(watch.broker.folder / "mosquitto.log", limit=10)
    watch.truck.publish(topics.telemetry("A"))
    assert watch.told() == ["publish_denied client=A topic='fleet/B/telemetry' times=1"]


def test_nobody_floods_the_log_under_many_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "mosquitto.log"
    file.touch()
    refusals = DenialLog(file, Time())
    line = "1: Denied PUBLISH from c{} (d0, q1, r0, m1, 'x', ... (2 bytes))\n"
    file.write_text("".join(line.format(number) for number in range(5000)))
    refusals.look()
    assert len(caplog.records) == 201
    assert caplog.messages[-1].startswith("publish_denied client=others topic='x' times=4800")
