"""AWS IoT on ministack with policies enforced: what a truck, a claim and a revoked certificate can and cannot do."""

import json
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from contract import topics
from provisioning import certificate_authority, secure_files
from provisioning.csv_import import TruckRow, import_fleet
from provisioning.registry import aws_policies
from provisioning.registry.aws import AwsRegistry
from provisioning.registry.aws_throttling import AwsCallLimiter, Paced
from tests.provisioning.account import equip, peer, refused
from tests.provisioning.aws import Ministack
from tests.provisioning.mosquitto import Files, Peer


@pytest.fixture
def truck(account: AwsRegistry, ministack: Ministack, name: str, tmp_path: Path, localhost: None) -> Iterator[Peer]:
    truck = peer(ministack, name, equip(account, name, tmp_path))
    assert truck.connect() == "Success"
    yield truck
    truck.close()


@pytest.mark.parametrize("topic", ["telemetry", "telemetry/batch", "report", "status"])
def test_a_truck_publishes_its_topics_also_by_basic_ingest(truck: Peer, name: str, topic: str) -> None:
    assert truck.publish(f"fleet/{name}/{topic}") in ("Success", "No matching subscribers")
    assert truck.publish(f"$aws/rules/milepost_telemetry/fleet/{name}/{topic}") in (
        "Success",
        "No matching subscribers",
    )
    assert not truck.lost


def test_a_truck_hears_its_own(truck: Peer, name: str) -> None:
    assert truck.subscribe(topics.resend(name)).startswith("Granted")
    for topic in (topics.config(name), topics.command(name), topics.time(name)):
        assert truck.subscribe(topic).startswith("Granted")
    assert truck.publish(topics.status(name), retain=True) in ("Success", "No matching subscribers")
    assert not truck.lost


@pytest.mark.parametrize(
    "topic",
    [
        "fleet/B/telemetry",
        "fleet/B/status",
        "fleet/{}/resend",
        "fleet/{}/config",
        "fleet/{}/command",
        "fleet/{}",
        "$aws/rules/milepost_telemetry/fleet/B/telemetry",
        "$aws/rules/another/fleet/{}/telemetry",
        "$aws/things/{}/shadow/update",
        "$aws/certificates/create/json",
        "$aws/provisioning-templates/another/provision/json",
    ],
)
def test_a_truck_publishes_nowhere_else(truck: Peer, name: str, topic: str) -> None:
    assert refused(truck, lambda: truck.publish(topic.format(name)))


@pytest.mark.parametrize("topic", ["fleet/B/resend", "fleet/+/resend", "fleet/#", "#", "fleet/{}/telemetry", "$aws/#"])
def test_a_truck_hears_nothing_else(truck: Peer, name: str, topic: str) -> None:
    assert refused(truck, lambda: truck.subscribe(topic.format(name)))


def test_a_truck_retains_nothing_but_its_status(truck: Peer, name: str) -> None:
    assert refused(truck, lambda: truck.publish(topics.telemetry(name), retain=True))


def test_nobody_connects_by_another_name(
    account: AwsRegistry, ministack: Ministack, name: str, tmp_path: Path, localhost: None
) -> None:
    files = equip(account, name, tmp_path)
    account.add(f"{name}-other", {})
    for other in (f"{name}-other", "anything"):
        assert peer(ministack, other, files).connect() != "Success"


def test_a_revoked_a_retired_and_a_strangers_certificate_are_refused(
    account: AwsRegistry, ministack: Ministack, name: str, tmp_path: Path, localhost: None
) -> None:
    old, new = equip(account, name, tmp_path), equip(account, name, tmp_path)
    assert new.issued
    account.revoke_others(name, new.issued.id)
    assert peer(ministack, name, old).connect() != "Success"
    assert peer(ministack, name, new).connect() == "Success"
    account.retire(name)
    assert peer(ministack, name, new).connect() != "Success"
    key, csr = certificate_authority.new_key()
    elsewhere = certificate_authority.Authority(*certificate_authority.new_authority("elsewhere"))
    secure_files.write(tmp_path / "s.pem", elsewhere.issue(csr, name, days=1).pem, mode=secure_files.PUBLIC)
    secure_files.write(tmp_path / "s.key", key, mode=secure_files.PRIVATE)
    assert peer(ministack, name, Files(tmp_path / "s.pem", tmp_path / "s.key")).connect() != "Success"


def test_when_a_truck_was_seen_is_known_by_the_status_that_it_left(
    account: AwsRegistry, truck: Peer, name: str
) -> None:
    assert account.get(name).last_seen is None
    assert account.get(name).last_seen_known
    truck.publish(topics.status(name), b'{"state": "offline"}', retain=True)
    left = account.get(name).last_seen
    assert left
    assert next(one for one in account.trucks() if one.truck_id == name).last_seen == left
    truck.publish(topics.status(name), b'{"state": "online"}', retain=True)
    time.sleep(0.01)
    assert (account.get(name).last_seen or "") > left


def test_who_may_not_ask_says_unknown_and_not_never(
    account: AwsRegistry, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "ForbiddenException"}, "ResponseMetadata": {}}, "GetRetainedMessage")  # type: ignore[typeddict-item]

    account.add(name, {})
    monkeypatch.setattr(account.data.client, "get_retained_message", forbidden)
    for shown in (account.get(name), next(one for one in account.trucks() if one.truck_id == name)):
        assert (shown.last_seen, shown.last_seen_known) == (None, False)


def test_no_policy_has_a_wildcard_where_a_name_belongs() -> None:
    names = aws_policies.Names("milepost", "us-east-1", "1" * 12)
    text = json.dumps(aws_policies.truck(names, ["rule_a"]))
    assert '"*"' not in text
    assert "fleet/*" not in text
    assert "/*" not in text


def test_retired_first_its_certificates_end_and_then_its_connection(
    account: AwsRegistry, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DeleteConnection, which ministack does not have: that it is asked for, and when."""
    equip(account, name, tmp_path)
    asked: list[tuple[str, int]] = []

    def delete_connection(clientId: str) -> dict[str, Any]:
        asked.append((clientId, len(account.get(name).active)))
        return {}

    monkeypatch.setattr(account.data.client, "delete_connection", delete_connection)
    account.retire(name)
    assert asked == [(name, 0)]


class Throttling:
    """boto3's client behind AWS's gate: `rate` calls a second of each operation; and some answers are lost."""

    def __init__(self, client: Any, rate: float, chance: random.Random) -> None:
        self._client, self._rate, self._chance = client, rate, chance
        self.exceptions = client.exceptions
        self._levels: dict[str, tuple[float, float]] = {}
        self._guard = threading.Lock()
        self.calls = self.throttled = self.lost = 0

    def _admits(self, operation: str) -> bool:
        with self._guard:
            self.calls += 1
            now = time.monotonic()
            level, at = self._levels.get(operation, (3.0, now))
            level = min(3.0, level + (now - at) * self._rate)
            admitted = level >= 1
            self._levels[operation] = (level - admitted, now)
            self.throttled += not admitted
            return admitted

    def __getattr__(self, operation: str) -> Any:
        call = getattr(self._client, operation)

        def gated(**arguments: Any) -> Any:
            if not self._admits(operation):
                raise ClientError({"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {}}, operation)  # type: ignore[typeddict-item]
            answer = call(**arguments)
            if self._chance.random() < 0.03:
                self.lost += 1
                raise ReadTimeoutError(endpoint_url="lost")
            return answer

        return gated


def test_throttled_and_with_lost_answers_an_import_still_ends_with_one_certificate_each(
    account: AwsRegistry, tmp_path: Path
) -> None:
    client, prefix = account.iot.client, "THROTTLED-"
    gate = Throttling(client, 25, random.Random(6))
    account.iot = Paced(gate, 400)
    rows = [TruckRow(n, f"{prefix}{n}", {}, None) for n in range(20)]
    done = import_fleet(account, rows, folder=tmp_path / "out", keys=True)
    assert (done.trucks, done.failed) == (20, {})
    assert gate.throttled > 10
    assert gate.throttled < gate.calls / 2, "it does not slow down"
    account.iot = Paced(client, 400)
    for row in rows:
        (only,) = account.get(row.truck_id).active
        assert only.pem == (tmp_path / f"out/{row.truck_id}/identity/1/certificate.pem").read_text()
    print(f"{gate.calls} calls, {gate.throttled} throttled, {gate.lost} answers lost")


def test_a_throttled_operation_slows_down_and_recovers() -> None:
    now, slept = [0.0], list[float]()
    pace = AwsCallLimiter(10, lambda: now[0], slept.append)
    for _ in range(3):
        pace.wait()
    assert slept == pytest.approx([0.1, 0.2])
    now[0] = 5.0
    pace.slower()
    pace.slower()
    now[0] = 10.0
    pace.wait()
    pace.wait()
    assert slept[-1] == pytest.approx(0.2)
