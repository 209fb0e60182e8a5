"""AWS IoT on ministack with policies enforced: what a truck, a claim and a revoked certificate can and cannot do."""

import itertools
import json
import logging
import random
import shutil
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from paho.mqtt.client import Client

from agent.enrolment import claim, claim_awsiot, claim_paho
from agent.enrolment.claim import SECONDS, ClaimOffice
from agent.enrolment.file import EnrolmentFile, keep
from agent.enrolment.proof import MqttProof
from agent.enrolment.renewal import open_office
from agent.enrolment.request import new_key, signing_request
from agent.enrolment.rotation import Rotation
from agent.enrolment.wallet import Identity, Wallet
from contract import topics
from contract.errors import Rejected, Unreachable
from provisioning import authority, disk, hook, policies
from provisioning.fleet_file import Row, import_fleet
from provisioning.pace import Pace, Paced
from provisioning.registry.aws import AwsRegistry
from provisioning.registry.aws_account import renew_claim
from provisioning.site import Fleet, introduction
from tests.provisioning.aws import Ministack
from tests.provisioning.broker import Peer, free_port
from tests.provisioning.conftest import Files
from tests.provisioning.machine import readable_by_others

_numbers = itertools.count(1)
_prepared: list[Path] = []
_paho = Client.connect


@pytest.fixture
def account(ministack: Ministack, tmp_path: Path) -> AwsRegistry:
    registry = ministack.registry(tmp_path / "data")
    if not _prepared:
        registry.init()
        _prepared.append(registry.folder)
    if not registry.folder.exists():
        shutil.copytree(_prepared[0], registry.folder)  # the claim; what is in the account stays
    return registry


@pytest.fixture
def name() -> str:
    return f"A{next(_numbers)}"


def equip(account: AwsRegistry, truck_id: str, folder: Path) -> Files:
    account.add(truck_id, {})
    key, csr = authority.new_key()
    issued = account.issue(truck_id, csr)
    files = Files(folder / f"{issued.id}.pem", folder / f"{issued.id}.key", issued)
    disk.write(files.certificate, issued.pem or "", mode=disk.PUBLIC)
    disk.write(files.key, key, mode=disk.PRIVATE)
    return files


def peer(ministack: Ministack, name: str, files: Files) -> Peer:
    return Peer(ministack.mqtt_port, name, ca=ministack.folder / "ca.pem", certificate=files.certificate, key=files.key)


@pytest.fixture
def localhost(monkeypatch: pytest.MonkeyPatch) -> None:
    """ministack's server certificate is for localhost."""
    monkeypatch.setattr("paho.mqtt.client.Client.connect", _connect)


def _connect(self: Any, host: str, *args: Any, **options: Any) -> Any:
    return _paho(self, "localhost" if host == "127.0.0.1" else host, *args, **options)


@pytest.fixture
def truck(account: AwsRegistry, ministack: Ministack, name: str, tmp_path: Path, localhost: None) -> Iterator[Peer]:
    truck = peer(ministack, name, equip(account, name, tmp_path))
    assert truck.connect() == "Success"
    yield truck
    truck.close()


def refused(truck: Peer, act: Any) -> bool:
    """Whether it was answered no, or the connection was ended, as AWS does."""
    return act() not in ("Success", "Granted QoS 1", "Granted QoS 0") or truck.lost


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
    assert truck.subscribe(f"fleet/{name}/config").startswith("Granted")
    assert truck.publish(topics.status(name), retain=True) in ("Success", "No matching subscribers")
    assert not truck.lost


@pytest.mark.parametrize(
    "topic",
    [
        "fleet/B/telemetry",
        "fleet/B/status",
        "fleet/{}/resend",
        "fleet/{}/config",
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
    account.settle(name, new.issued.id)
    assert peer(ministack, name, old).connect() != "Success"
    assert peer(ministack, name, new).connect() == "Success"
    account.retire(name)
    assert peer(ministack, name, new).connect() != "Success"
    key, csr = authority.new_key()
    elsewhere = authority.Authority(*authority.new_authority("elsewhere"))
    disk.write(tmp_path / "s.pem", elsewhere.issue(csr, name, days=1).pem, mode=disk.PUBLIC)
    disk.write(tmp_path / "s.key", key, mode=disk.PRIVATE)
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


@pytest.fixture(params=["awsiotsdk", "paho"])
def desk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to AWS's fleet provisioning; which one a gateway takes is a matter of what is installed there."""
    if request.param == "paho":
        monkeypatch.setattr(claim, "installed_desk", lambda: claim_paho.open_desk)
    else:
        assert claim.installed_desk() is claim_awsiot.open_desk


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


def enrolment(account: AwsRegistry, name: str) -> EnrolmentFile:
    account.add(name, {})
    return EnrolmentFile.model_validate(introduction(Fleet(account, account.settings), name))


def by_claim(file: EnrolmentFile, wallet: Wallet, truck_id: str | None = None) -> ClaimOffice:
    held = (file.claim_certificate or "", file.claim_key or "", file.token or "")
    return ClaimOffice(file.broker, wallet.ca_file, file.template or "", truck_id or file.truck_id, claim=held)


@pytest.mark.usefixtures("desk")
def test_a_truck_enrols_by_claim_and_token_and_renews_by_itself(
    account: AwsRegistry, name: str, tmp_path: Path
) -> None:
    wallet, file = Wallet(tmp_path / "identity"), enrolment(account, name)
    address = keep(wallet, file)
    proof = MqttProof(wallet, file.broker, name)
    Rotation(wallet, by_claim(file, wallet), proof, truck_id=name).run(enrol=True)
    (first,) = account.get(name).active
    assert wallet.current
    assert wallet.current.certificate == first.pem
    Rotation(wallet, open_office(wallet, address), proof, truck_id=name).run(renew=True)
    (second,) = account.get(name).active
    assert wallet.current.certificate == second.pem != first.pem
    assert wallet.current.confirmed
    proof(wallet.current)


@pytest.mark.usefixtures("desk")
def test_enrolling_and_renewing_say_no_secret_and_leave_none_to_others(
    account: AwsRegistry, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    wallet, file = Wallet(tmp_path / "identity"), enrolment(account, name)
    address, proof = keep(wallet, file), MqttProof(wallet, file.broker, name)
    Rotation(wallet, by_claim(file, wallet), proof, truck_id=name).run(enrol=True)
    first = wallet.current
    assert first
    secrets = [file.token or "", (file.claim_key or "").splitlines()[1], first.key.decode().splitlines()[1]]
    with pytest.raises(Rejected) as caught:
        by_claim(file, wallet).enrol(signing_request(new_key()))
    Rotation(wallet, open_office(wallet, address), proof, truck_id=name).run(renew=True)
    said = caplog.text + "".join(capfd.readouterr()) + "".join(traceback.format_exception(caught.value))
    for secret in secrets:
        assert secret not in said
        assert not any(secret.encode() in content for content in readable_by_others(tmp_path).values())


@pytest.mark.usefixtures("desk")
def test_until_the_new_certificate_is_proved_the_old_one_is_good(
    account: AwsRegistry, name: str, tmp_path: Path
) -> None:
    wallet, file = Wallet(tmp_path / "identity"), enrolment(account, name)
    address = keep(wallet, file)
    proof = MqttProof(wallet, file.broker, name)
    Rotation(wallet, by_claim(file, wallet), proof, truck_id=name).run(enrol=True)

    def refuse(identity: Identity) -> None:
        raise Unreachable("the broker cannot be reached")

    with pytest.raises(Unreachable):
        Rotation(wallet, open_office(wallet, address), refuse, truck_id=name).run(renew=True)
    assert wallet.current
    proof(wallet.current)
    assert len(account.get(name).active) == 2


@pytest.mark.usefixtures("desk")
def test_a_claim_is_worth_nothing_without_the_trucks_token(account: AwsRegistry, name: str, tmp_path: Path) -> None:
    wallet, file = Wallet(tmp_path / "identity"), enrolment(account, name)
    keep(wallet, file)
    victim = f"{name}-victim"
    enrolment(account, victim)
    csr = signing_request(new_key())
    for truck_id, token in ((victim, file.token), (name, "mpe_guess"), ("nobody", file.token)):
        stolen = file.model_copy(update={"token": token})
        with pytest.raises(Rejected):
            by_claim(stolen, wallet, truck_id).enrol(csr)
    assert account.get(victim).active == ()
    by_claim(file, wallet).enrol(csr)
    (first,) = account.get(name).active
    again = by_claim(file, wallet).enrol(csr)  # the answer may have been lost
    (second,) = account.get(name).active
    assert (again.certificate, first.key_hash) == (second.pem, second.key_hash)
    assert first.id != second.id
    with pytest.raises(Rejected):
        by_claim(file, wallet).enrol(signing_request(new_key()))
    assert len(account.get(name).active) == 1


@pytest.mark.usefixtures("desk")
def test_a_claim_that_is_replaced_is_refused_at_once(account: AwsRegistry, name: str, tmp_path: Path) -> None:
    wallet, file = Wallet(tmp_path / "identity"), enrolment(account, name)
    keep(wallet, file)
    renew_claim(account)
    _prepared[:] = [account.folder]
    began = time.monotonic()
    with pytest.raises(Rejected):
        by_claim(file, wallet).enrol(signing_request(new_key()))
    assert time.monotonic() - began < SECONDS / 2
    by_claim(enrolment(account, name), wallet).enrol(signing_request(new_key()))


@pytest.mark.usefixtures("desk")
def test_an_endpoint_that_is_away_or_another_is_said_so(account: AwsRegistry, name: str, tmp_path: Path) -> None:
    """Away: try again. A server that the enrolment file's CA does not vouch for: never."""
    wallet, file = Wallet(tmp_path / "identity"), enrolment(account, name)
    keep(wallet, file)
    away = file.model_copy(update={"broker": f"mqtts://localhost:{free_port()}"})
    with pytest.raises(Unreachable, match="try again"):
        by_claim(away, wallet).enrol(signing_request(new_key()))
    wallet.ca_file.write_text(authority.new_authority("elsewhere")[1])
    with pytest.raises(Rejected):
        by_claim(file, wallet).enrol(signing_request(new_key()))


@pytest.mark.usefixtures("desk")
def test_a_truck_cannot_register_as_another(account: AwsRegistry, name: str, tmp_path: Path) -> None:
    wallet, file = Wallet(tmp_path / "identity"), enrolment(account, name)
    keep(wallet, file)
    key = new_key()
    granted = by_claim(file, wallet).enrol(signing_request(key))
    account.add(f"{name}-victim", {})
    thief = ClaimOffice(file.broker, wallet.ca_file, file.template or "", f"{name}-victim")
    with pytest.raises((Rejected, Unreachable)):
        thief.renew(signing_request(new_key()), certificate=granted.certificate, key=key)
    assert account.get(f"{name}-victim").active == ()


def test_a_claim_does_nothing_but_provision(
    account: AwsRegistry, ministack: Ministack, tmp_path: Path, localhost: None
) -> None:
    files = Files(account.folder / "claim.pem", account.folder / "claim.key")
    for topic in ("fleet/A1/telemetry", "fleet/A1/resend", "$aws/provisioning-templates/other/provision/json"):
        holder = peer(ministack, "claim", files)
        assert holder.connect() == "Success"
        assert refused(holder, lambda holder=holder, topic=topic: holder.publish(topic))
    holder = peer(ministack, "claim", files)
    holder.connect()
    assert refused(holder, lambda: holder.subscribe("fleet/#"))


def test_no_policy_has_a_wildcard_where_a_name_belongs() -> None:
    names = policies.Names("milepost", "us-east-1", "1" * 12)
    text = json.dumps(policies.truck(names, ["rule_a"]))
    assert '"*"' not in text
    assert "fleet/*" not in text
    assert "/*" not in text


def test_the_hook_knows_a_certificates_key_as_the_registry_does() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    signer = authority.Authority(*authority.new_authority("x"))
    rsa_key = rsa.generate_private_key(65537, 2048).public_key()
    for issued in (
        signer.issue(authority.new_key()[1], "T1", days=1),
        signer._sign(rsa_key, "T", days=1, role="client"),
    ):
        assert hook.key_hash(issued.pem) == issued.key_hash


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
    client, prefix = account.iot.client, f"TH{next(_numbers)}-"
    gate = Throttling(client, 25, random.Random(6))
    account.iot = Paced(gate, 400)
    rows = [Row(n, f"{prefix}{n}", {}, None) for n in range(20)]
    done = import_fleet(Fleet(account, account.settings), rows, folder=tmp_path / "out", keys=True)
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
    pace = Pace(10, lambda: now[0], slept.append)
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
