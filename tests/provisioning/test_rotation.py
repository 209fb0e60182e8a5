"""Rotation over the real HTTPS server and the real broker, with kills at every step, and beside the running agent."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from agent.enrollment.connection_test import MqttProof
from agent.enrollment.credential_store import Identity, Wallet
from agent.enrollment.csr import share_lived
from agent.enrollment.enrollment_file import EnrolmentFile, address_of
from agent.enrollment.fleet_provisioning import ClaimOffice
from agent.enrollment.renewal import DUE, due, open_office, renew
from agent.enrollment.rotation import Rotation
from contract.errors import Unreachable
from provisioning import certificate_authority
from provisioning.enrollment.enrollment_file import introduction
from provisioning.registry import Registry
from provisioning.registry.sqlite import LocalRegistry
from provisioning.settings import ProvisioningSettings
from tests.provisioning.aws import Ministack
from tests.provisioning.depot import Depot, enrolled
from tests.provisioning.mosquitto import MOSQUITTO, Peer
from tests.waiting import until

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
ROOT = Path(__file__).resolve().parents[2]


def test_rotation_changes_key_and_certificate_and_leaves_one(depot: Depot, tmp_path: Path) -> None:
    wallet = Wallet(tmp_path / "identity")
    address = enrolled(depot, wallet)
    before = wallet.current
    assert before
    key, serial = before.key, depot.registry.get("T1").active[0].id
    renew(wallet, address, None, now=True)
    after = wallet.current
    assert after
    assert after.key != key
    (only,) = depot.registry.get("T1").active
    assert only.id != serial
    assert [path.name for path in wallet.folder.iterdir() if path.name.isdecimal()] == [after.folder.name]


def test_while_the_new_certificate_is_unproven_the_old_one_stays(depot: Depot, tmp_path: Path) -> None:
    wallet = Wallet(tmp_path / "identity")
    address = enrolled(depot, wallet)
    before = wallet.current

    def refuse(identity: Identity) -> None:
        raise Unreachable("the broker cannot be reached")

    ca = depot.registry.authority()
    rotation = Rotation(wallet, open_office(ca, address), refuse, address=address, ca=ca)
    with pytest.raises(Unreachable):
        rotation.run(renew=True)
    assert wallet.current == before
    assert len(depot.registry.get("T1").active) == 2
    assert before
    MqttProof(address.broker, "T1")(before)
    renew(wallet, address, None)
    assert len(depot.registry.get("T1").active) == 1


def test_it_is_due_when_two_thirds_are_over(depot: Depot, tmp_path: Path) -> None:
    wallet = Wallet(tmp_path / "identity")
    enrolled(depot, wallet)
    assert not due(wallet, datetime.now(UTC) + timedelta(days=59))
    assert due(wallet, datetime.now(UTC) + timedelta(days=61))


def test_a_certificate_for_decades_is_due_after_sixty_days(registry: LocalRegistry) -> None:
    """AWS's is; the local authority's own stands in for it, as it lasts for ten years and more."""
    begin = datetime.now(UTC)
    with patch("provisioning.certificate_authority.AUTHORITY_DAYS", 9000):
        _, pem = certificate_authority.new_authority("x")
    assert share_lived(pem, begin + timedelta(days=59)) < DUE < share_lived(pem, begin + timedelta(days=61))


def test_the_running_agent_renews_by_itself_and_goes_on_with_the_new_certificate(depot: Depot, tmp_path: Path) -> None:
    """A certificate of a quarter of an hour is due at once."""
    depot.registry._settings = ProvisioningSettings(certificate_days=0.01)
    wallet = Wallet(tmp_path / "identity")
    address = enrolled(depot, wallet)
    (first,) = depot.registry.get("T1").active
    settings = tmp_path / "milepost.toml"
    settings.write_text(
        f"""[agent]
truck_id = "T1"
broker = "{address.broker}"
ca = "{wallet.ca_file}"
certificate = "{wallet.folder}/current/certificate.pem"
key = "{wallet.folder}/current/key.pem"
buffer = "{tmp_path}/buffer.db"
interval = 1
time_patience = 1
[[agent.sensors]]
type = "gpsd"
"""
    )
    argv = [sys.executable, "-m", "agent", "--config", str(settings)]
    agent = subprocess.Popen(argv, cwd=ROOT, stderr=(tmp_path / "agent.log").open("wb"))
    try:
        until(lambda: [one.id for one in depot.registry.get("T1").active] != [first.id])
        until(lambda: len(depot.registry.get("T1").active) == 1)
        renewed = depot.registry.get("T1").active[0]
        collector = Peer(depot.broker.port, "collector")
        collector.connect()
        collector.subscribe("fleet/T1/telemetry")
        until(lambda: len(collector.heard) > 2)
        assert wallet.current
        assert wallet.current.certificate == renewed.pem
        assert agent.poll() is None
    finally:
        agent.terminate()
        agent.wait(60)


def killed(wallet: Wallet, registry: Registry, truck_id: str, *, every: int) -> int:
    """Rotate again and again, each time killed `every` steps later, until it ends by itself; how many kills."""
    script = [sys.executable, "-m", "tests.provisioning.rotate_and_die", str(wallet.folder), str(every)]
    process = subprocess.Popen(script, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    kills = 0
    for line in process.stdout:
        report = json.loads(line)
        assert (report["connects"], report["finishes"], report["connects_after"]) == (0, 0, 0), report
        current = wallet.current
        (only,) = registry.get(truck_id).active
        assert current
        assert only.pem == current.certificate, report
        assert wallet.pending is None
        kills += report["ended"] == -9
        process.stdin.write("\n")
        process.stdin.flush()
    assert process.wait(10) == 0
    print(f"{kills} kills")
    return kills


@pytest.mark.parametrize("every", [2, pytest.param(1, marks=pytest.mark.prove)])
def test_killed_at_steps_of_a_rotation_the_truck_connects_and_ends_with_one_certificate(
    depot: Depot, tmp_path: Path, every: int
) -> None:
    wallet = Wallet(tmp_path / "identity")
    enrolled(depot, wallet)
    assert killed(wallet, depot.registry, "T1", every=every) > 20 // every


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.prove)])
def test_killed_at_steps_also_on_aws(ministack: Ministack, tmp_path: Path, every: int) -> None:
    """By AWS's identity client, with policies enforced; the hook revokes the old certificate when the new is proved."""
    truck = f"ROTATE-{every}"
    account, wallet = ministack.registry(tmp_path / "data", "rotate"), Wallet(tmp_path / "identity")
    account.init()
    account.add(truck, {})
    file = EnrolmentFile.model_validate(introduction(account, truck))
    address = address_of(file)
    held = (file.claim_certificate or "", file.claim_key or "", file.token or "")
    office = ClaimOffice(file.broker, file.ca, file.template or "", truck, claim=held)
    Rotation(wallet, office, MqttProof(address.broker, truck), address=address, ca=file.ca).run(enrol=True)
    assert killed(wallet, account, truck, every=every) > 20 // every
