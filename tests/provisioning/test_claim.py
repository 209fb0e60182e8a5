"""Fleet provisioning by claim on ministack, with policies enforced, over each of the two desks."""

import logging
import time
import traceback
from pathlib import Path

import pytest

from agent.enrollment import fleet_provisioning, fleet_provisioning_awsiot, fleet_provisioning_paho
from agent.enrollment.connection_test import MqttProof
from agent.enrollment.credential_store import Identity, Wallet
from agent.enrollment.csr import new_key, signing_request
from agent.enrollment.enrollment_file import EnrolmentFile, address_of
from agent.enrollment.fleet_provisioning import ClaimOffice
from agent.enrollment.provisioning_client import SECONDS
from agent.enrollment.renewal import open_office
from agent.enrollment.rotation import Rotation
from contract.errors import Rejected, Unreachable
from provisioning import certificate_authority
from provisioning.enrollment.enrollment_file import introduction
from provisioning.registry import aws_pre_provisioning_hook
from provisioning.registry.aws import AwsRegistry
from provisioning.registry.aws_account import renew_claim
from tests.processes import free_port
from tests.provisioning.account import peer, prepared, refused
from tests.provisioning.aws import Ministack
from tests.provisioning.machine import readable_by_others
from tests.provisioning.mosquitto import Files


@pytest.fixture(params=["awsiotsdk", "paho"])
def desk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to AWS's fleet provisioning; which one a gateway takes is a matter of what is installed there."""
    if request.param == "paho":
        monkeypatch.setattr(fleet_provisioning, "installed_desk", lambda: fleet_provisioning_paho.open_desk)
    else:
        assert fleet_provisioning.installed_desk() is fleet_provisioning_awsiot.open_desk


def enrolment(account: AwsRegistry, name: str) -> EnrolmentFile:
    account.add(name, {})
    return EnrolmentFile.model_validate(introduction(account, name))


def by_claim(file: EnrolmentFile, truck_id: str | None = None) -> ClaimOffice:
    held = (file.claim_certificate or "", file.claim_key or "", file.token or "")
    return ClaimOffice(file.broker, file.ca, file.template or "", truck_id or file.truck_id, claim=held)


@pytest.mark.usefixtures("desk")
def test_a_truck_enrols_by_claim_and_token_and_renews_by_itself(
    account: AwsRegistry, name: str, tmp_path: Path
) -> None:
    wallet, file = Wallet(tmp_path / "identity"), enrolment(account, name)
    address = address_of(file)
    proof = MqttProof(file.broker, name)
    Rotation(wallet, by_claim(file), proof, address=address, ca=file.ca).run(enrol=True)
    (first,) = account.get(name).active
    assert wallet.current
    assert wallet.current.certificate == first.pem
    Rotation(wallet, open_office(file.ca, address), proof, address=address, ca=file.ca).run(renew=True)
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
    address, proof = address_of(file), MqttProof(file.broker, name)
    Rotation(wallet, by_claim(file), proof, address=address, ca=file.ca).run(enrol=True)
    first = wallet.current
    assert first
    secrets = [file.token or "", (file.claim_key or "").splitlines()[1], first.key.decode().splitlines()[1]]
    with pytest.raises(Rejected) as caught:
        by_claim(file).enrol(signing_request(new_key()))
    Rotation(wallet, open_office(file.ca, address), proof, address=address, ca=file.ca).run(renew=True)
    said = caplog.text + "".join(capfd.readouterr()) + "".join(traceback.format_exception(caught.value))
    for secret in secrets:
        assert secret not in said
        assert not any(secret.encode() in content for content in readable_by_others(tmp_path).values())


@pytest.mark.usefixtures("desk")
def test_until_the_new_certificate_is_proved_the_old_one_is_good(
    account: AwsRegistry, name: str, tmp_path: Path
) -> None:
    wallet, file = Wallet(tmp_path / "identity"), enrolment(account, name)
    address = address_of(file)
    proof = MqttProof(file.broker, name)
    Rotation(wallet, by_claim(file), proof, address=address, ca=file.ca).run(enrol=True)

    def refuse(identity: Identity) -> None:
        raise Unreachable("the broker cannot be reached")

    with pytest.raises(Unreachable):
        Rotation(wallet, open_office(file.ca, address), refuse, address=address, ca=file.ca).run(renew=True)
    assert wallet.current
    proof(wallet.current)
    assert len(account.get(name).active) == 2


@pytest.mark.usefixtures("desk")
def test_a_claim_is_worth_nothing_without_the_trucks_token(account: AwsRegistry, name: str) -> None:
    file = enrolment(account, name)
    victim = f"{name}-victim"
    enrolment(account, victim)
    csr = signing_request(new_key())
    for truck_id, token in ((victim, file.token), (name, "mpe_guess"), ("nobody", file.token)):
        stolen = file.model_copy(update={"token": token})
        with pytest.raises(Rejected):
            by_claim(stolen, truck_id).enrol(csr)
    assert account.get(victim).active == ()
    by_claim(file).enrol(csr)
    (first,) = account.get(name).active
    again = by_claim(file).enrol(csr)  # the answer may have been lost
    (second,) = account.get(name).active
    assert (again.certificate, first.key_hash) == (second.pem, second.key_hash)
    assert first.id != second.id
    with pytest.raises(Rejected):
        by_claim(file).enrol(signing_request(new_key()))
    assert len(account.get(name).active) == 1


@pytest.mark.usefixtures("desk")
def test_a_claim_that_is_replaced_is_refused_at_once(account: AwsRegistry, name: str) -> None:
    file = enrolment(account, name)
    renew_claim(account)
    prepared[:] = [account.folder]
    began = time.monotonic()
    with pytest.raises(Rejected):
        by_claim(file).enrol(signing_request(new_key()))
    assert time.monotonic() - began < SECONDS / 2
    by_claim(enrolment(account, name)).enrol(signing_request(new_key()))


@pytest.mark.usefixtures("desk")
def test_an_endpoint_that_is_away_is_to_be_tried_again(account: AwsRegistry, name: str) -> None:
    away = enrolment(account, name).model_copy(update={"broker": f"mqtts://localhost:{free_port()}"})
    with pytest.raises(Unreachable, match="try again"):
        by_claim(away).enrol(signing_request(new_key()))


@pytest.mark.parametrize("desk", [pytest.param("awsiotsdk", marks=pytest.mark.prove), "paho"], indirect=True)
@pytest.mark.usefixtures("desk")
def test_a_server_that_the_enrolment_files_ca_does_not_vouch_for_is_refused(account: AwsRegistry, name: str) -> None:
    """The AWS SDK sits out up to 30 seconds before it tells of a handshake that failed."""
    other = {"ca": certificate_authority.new_authority("elsewhere")[1]}
    stranger = enrolment(account, name).model_copy(update=other)
    with pytest.raises(Rejected):
        by_claim(stranger).enrol(signing_request(new_key()))


@pytest.mark.usefixtures("desk")
def test_a_truck_cannot_register_as_another(account: AwsRegistry, name: str) -> None:
    file = enrolment(account, name)
    key = new_key()
    granted = by_claim(file).enrol(signing_request(key))
    account.add(f"{name}-victim", {})
    thief = ClaimOffice(file.broker, file.ca, file.template or "", f"{name}-victim")
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


def test_the_hook_knows_a_certificates_key_as_the_registry_does() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    signer = certificate_authority.Authority(*certificate_authority.new_authority("x"))
    rsa_key = rsa.generate_private_key(65537, 2048).public_key()
    for issued in (
        signer.issue(certificate_authority.new_key()[1], "T1", days=1),
        signer._sign(rsa_key, "T", days=1, role="client"),
    ):
        assert aws_pre_provisioning_hook.key_hash(issued.pem) == issued.key_hash
