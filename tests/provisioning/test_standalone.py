"""`milepost up` where `provision init` has run: who may publish, what is asked for, and what the operator is told."""

import json
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from contract import topics
from tests.processes import free_port
from tests.provisioning.machine import Machine, process_list
from tests.provisioning.mosquitto import MOSQUITTO, Peer
from tests.waiting import until

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
SECONDS = 30.0


class Up:
    """A running box, and what it says on stderr."""

    def __init__(self, machine: Machine, *arguments: object, **variables: str) -> None:
        self._machine = machine
        self._process: subprocess.Popen[str] = machine.start("up", "--port", 0, *arguments, **variables)

    def __enter__(self) -> "Up":
        ready = self._machine.folder / "milepost-data/up.json"
        until(lambda: ready.exists() or self._process.poll() is not None, SECONDS)
        assert self._process.poll() is None, self._process.communicate()
        self.ready: dict[str, Any] = json.loads(ready.read_text())
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        self.said = "".join(self._process.communicate(timeout=30))

    def local(self) -> Peer:
        peer = Peer(urlsplit(self.ready["mqtt"]).port or 0, "local")
        assert peer.connect() == "Success"
        return peer

    def truck(self, name: str) -> Peer:
        folder = self._machine.folder / name / "identity"
        current = folder / "current"
        return Peer(
            urlsplit(self.ready["mqtts"]).port or 0,
            name,
            ca=folder / "ca.pem",
            certificate=current / "certificate.pem",
            key=current / "key.pem",
        )


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a machine with an identity for T1, in T1/."""
    machine = Machine(tmp_path_factory.mktemp("provisioned") / "box")
    machine.run("provision", "init", "--mqtt-port", free_port(), "--https-port", free_port())
    machine.run("provision", "truck", "add", "T1")
    machine.run("provision", "bundle", "T1", "--make-key")
    return machine.folder


@pytest.fixture
def box(provisioned: Path, tmp_path: Path) -> Machine:
    """Such a machine of this test's own."""
    machine = Machine(tmp_path / "box")
    shutil.copytree(provisioned, machine.folder, symlinks=True, dirs_exist_ok=True)
    return machine


def test_only_who_has_an_identity_is_a_truck_and_what_was_refused_is_in_the_log(box: Machine) -> None:
    """With the box's bound on queues mosquitto also ends the connection of whoever publishes what he may not."""
    with Up(box, "--trucks", 0, "--shoppers", 0) as up:
        rogue = up.truck("T1")
        assert rogue.connect() == "Success"
        assert rogue.publish(topics.telemetry("T2")) == "Not authorized"
        until(lambda: rogue.lost)
        for name in ("T1", "TRUCK-001"):
            assert up.local().publish(topics.telemetry(name)) == "Not authorized"
        truck, local = up.truck("T1"), up.local()
        assert truck.connect() == "Success"
        assert local.subscribe("fleet/#").startswith("Granted")
        assert truck.publish(topics.telemetry("T1"), b'{"truck_id": "T1", "vehicle_speed": 90}') == "Success"
        (version,) = until(lambda: box.look("history", "T1"), SECONDS)
        assert version["sample"]["vehicle_speed"] == 90
        assert [topic for topic, _ in local.heard] == [topics.telemetry("T1")]
        assert box.look("dead-letters", "list") == []
    assert "publish_denied client=T1 topic='fleet/T2/telemetry' times=1" in up.said
    assert "publish_denied client=local topic='fleet/" in up.said


def test_metrics_tell_what_ends_and_what_the_doors_bound(box: Machine) -> None:
    with Up(box, "--trucks", 0, "--shoppers", 0) as up:
        answer = httpx.get(f"{up.ready['http']}/metrics", timeout=60).text
    found = dict(line.rsplit(" ", 1) for line in answer.splitlines() if not line.startswith("#"))
    assert 800 < float(found['milepost_certificate_days_left{of="server"}']) <= 825
    assert float(found['milepost_certificate_days_left{of="ca"}']) > 3000
    assert found['milepost_truck_certificates{state="in_use"}'] == "1.0"
    assert found['milepost_truck_certificates{state="cloned"}'] == "0.0"
    for door in ("http", "enrollment"):
        assert float(found[f'milepost_connections{{door="{door}",state="limit"}}']) >= 64
    assert found['milepost_clicks_refused_total{why="limited"}'] == "0.0"


def test_http_telemetry_needs_a_key_as_mqtt_needs_an_identity(box: Machine) -> None:
    body = b'{"truck_id": "T1", "vehicle_speed": 90}'
    with Up(box, "--trucks", 0, "--shoppers", 0, MILEPOST_BEACON__TELEMETRY_KEYS='{"key-of-T1": "T1"}') as up:
        assert post(f"{up.ready['http']}/v1/telemetry", body) == 401
        assert post(f"{up.ready['http']}/v1/telemetry", body, key="key-of-T1") == 200
    with Up(box, "--trucks", 0, "--shoppers", 0) as up:
        assert post(f"{up.ready['http']}/v1/telemetry", body) == 401
        assert post(f"{up.ready['http']}/v1/telemetry", body, key="key-of-T1") == 401
        assert post(f"{up.ready['http']}/v1/clicks", b'{"Item_ID": "1", "Click_Counts": 1}') == 200


def post(url: str, body: bytes, *, key: str | None = None) -> int:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_collector_still_asks_a_truck_for_what_is_missing(box: Machine) -> None:
    with Up(box, "--trucks", 0, "--shoppers", 0, MILEPOST_COLLECTOR__RESEND_AFTER="1") as up:
        truck = up.truck("T1")
        assert truck.connect() == "Success"
        assert truck.subscribe(topics.resend("T1")).startswith("Granted")
        report = {"stream_id": "S", "oldest_retained": 1, "highest_seq": 3, "pending": [], "thinned": [], "gone": []}
        assert truck.publish(topics.report("T1"), json.dumps(report).encode()) == "Success"
        until(lambda: truck.heard, SECONDS)
        topic, payload = truck.heard[0]
        assert topic == topics.resend("T1")
        assert json.loads(payload)["ranges"] == [[1, 3]]


def test_the_boxs_owner_configures_a_truck_with_the_collectors_password(box: Machine) -> None:
    with Up(box, "--trucks", 0, "--shoppers", 0) as up:
        password = box.folder / "milepost-data/broker/collector.password"
        assert password.stat().st_mode & 0o777 == 0o600
        owner = Peer(urlsplit(up.ready["mqtt"]).port or 0, "owner")
        owner.client.username_pw_set("milepost-collector", password.read_text())
        assert owner.connect() == "Success"
        owner.publish(topics.config("T1"), b'{"config_version": 1}', retain=True)
        truck = up.truck("T1")
        truck.connect()
        assert truck.subscribe(topics.config("T1")).startswith("Granted")
        until(lambda: truck.heard == [(topics.config("T1"), b'{"config_version": 1}')])
        secret = password.read_text()
    assert secret not in up.said
    assert not any(secret in argument for argument in process_list())


def test_simulated_trucks_drive_beside_real_ones(box: Machine) -> None:
    process = box.start("up", "--trucks", 2, "--shoppers", 0, "--port", 0, "--minutes", 0.1, "--speedup", 60, "--json")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    trucks = json.loads(out)["trucks"]
    assert [one["truck_id"] for one in trucks] == ["TRUCK-001", "TRUCK-002"]
    assert all(one["stored"] == one["sampled"] > 0 for one in trucks)
    assert "denied" not in err


def test_a_truck_of_the_registry_is_not_simulated(box: Machine) -> None:
    box.run("provision", "truck", "add", "TRUCK-002")
    process = box.start("up", "--trucks", 3, "--port", 0)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "TRUCK-002 in the registry cannot be simulated as well: say --trucks 0" in err


def test_the_settings_file_of_up_is_that_of_its_enrolment(box: Machine, tmp_path: Path) -> None:
    """`--config FILE` reaches `[provisioning]`: an enrolled truck's certificate lasts as long as the file says."""
    (tmp_path / "other.toml").write_text("[provisioning]\ncertificate_days = 7\n")
    gateway = Machine(tmp_path / "gateway")
    with Up(box, "--trucks", 0, "--shoppers", 0, "--config", tmp_path / "other.toml") as up:
        box.run("provision", "truck", "add", "T2", "--file", tmp_path / "gateway/T2.json")
        gateway.run("agent", "enroll", "--file", "T2.json")
        (shown,) = box.look("provision", "truck", "show", "T2")["certificates"]
    days = _days(shown["not_after"]) - _days(shown["issued_at"])
    assert 6.9 < days < 7.1
    assert "enrolled truck_id=T2 " in up.said


def _days(instant: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(instant).timestamp() / 86400


def test_where_nothing_is_provisioned_nobody_needs_an_identity(tmp_path: Path) -> None:
    """As ever: whoever reads `mqtt` from up.json may publish there, also `resend`."""
    machine = Machine(tmp_path / "box")
    with Up(machine, "--trucks", 0, "--shoppers", 0) as up:
        assert set(up.ready) == {"pid", "http", "mqtt", "broker_pid"}
        local = up.local()
        for topic in (topics.telemetry("T1"), topics.resend("T1"), topics.config("T1")):
            assert local.publish(topic) in ("Success", "No matching subscribers")
        assert post(f"{up.ready['http']}/v1/telemetry", b'{"truck_id": "T1", "vehicle_speed": 90}') == 200
    assert [path.name for path in machine.folder.iterdir()] == ["milepost-data"]
