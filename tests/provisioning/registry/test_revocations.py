"""Revocations and the CA survive a registry that is lost, restored from a backup, or half made."""

import shutil
from pathlib import Path

import pytest
from cryptography import x509

from contract.errors import Misconfigured
from provisioning import certificate_authority
from provisioning.registry.sqlite import LocalRegistry
from provisioning.settings import ProvisioningSettings


def _registry(folder: Path) -> LocalRegistry:
    registry = LocalRegistry(folder, ProvisioningSettings())
    registry.init()
    return registry


def _issue(registry: LocalRegistry, truck_id: str) -> str:
    registry.add(truck_id, {})
    return registry.issue(truck_id, certificate_authority.new_key()[1]).id


def _revoked(folder: Path) -> set[str]:
    found = x509.load_pem_x509_crl((folder / "provisioning" / "crl.pem").read_bytes())
    return {f"{one.serial_number:x}" for one in found}


def test_a_registry_restored_from_before_the_retirement_revives_nobody(tmp_path: Path) -> None:
    registry = _registry(tmp_path)
    gone, stays = _issue(registry, "T1"), _issue(registry, "T2")
    registry.close()
    shutil.copy(tmp_path / "provisioning" / "registry.db", tmp_path / "backup.db")
    registry = _registry(tmp_path)
    registry.retire("T1")
    registry.close()
    shutil.copy(tmp_path / "backup.db", tmp_path / "provisioning" / "registry.db")
    restored = _registry(tmp_path)
    restored.write_revocations()
    assert _revoked(tmp_path) == {gone}
    assert restored.get("T1").active == ()
    assert [one.id for one in restored.get("T2").active] == [stays]
    restored.close()


def test_a_registry_that_is_lost_leaves_the_revocations(tmp_path: Path) -> None:
    registry = _registry(tmp_path)
    gone = _issue(registry, "T1")
    registry.retire("T1")
    registry.close()
    for file in (tmp_path / "provisioning").glob("registry.db*"):
        file.unlink()
    _registry(tmp_path).close()
    assert _revoked(tmp_path) == {gone}


@pytest.mark.parametrize("lost", ["ca.pem", "registry.db", "server.key", "server.pem", "crl.pem"])
def test_init_repairs_what_a_kill_left_out_and_keeps_the_key_of_the_ca(tmp_path: Path, lost: str) -> None:
    _registry(tmp_path).close()
    folder = tmp_path / "provisioning"
    key = (folder / "ca.key").read_bytes()
    if lost == "ca.pem":  # a kill just after ca.key
        for file in folder.iterdir():
            if file.name != "ca.key":
                file.unlink()
    else:
        for file in folder.glob(f"{lost}*"):
            file.unlink()
    registry = _registry(tmp_path)
    registry.close()
    assert (folder / "ca.key").read_bytes() == key
    assert certificate_authority.matches(key, (folder / "ca.pem").read_text())
    server = (folder / "server.pem").read_text()
    assert certificate_authority.matches((folder / "server.key").read_bytes(), server)
    assert certificate_authority.vouches_for(registry.authority(), server)


def test_a_server_key_of_another_certificate_is_replaced(tmp_path: Path) -> None:
    _registry(tmp_path).close()
    folder = tmp_path / "provisioning"
    (folder / "server.key").write_bytes(certificate_authority.new_key()[0])
    _registry(tmp_path).close()
    assert certificate_authority.matches((folder / "server.key").read_bytes(), (folder / "server.pem").read_text())


def test_a_ca_with_the_key_of_another_is_refused_at_once_and_nothing_is_made(tmp_path: Path) -> None:
    _registry(tmp_path).close()
    folder = tmp_path / "provisioning"
    (folder / "ca.key").write_bytes(certificate_authority.new_key()[0])
    before = (folder / "server.pem").read_bytes()
    with pytest.raises(Misconfigured, match=r"ca\.key is not the key of ca\.pem"):
        _registry(tmp_path)
    assert (folder / "server.pem").read_bytes() == before


def test_a_ca_without_its_key_is_refused_also_without_a_registry(tmp_path: Path) -> None:
    _registry(tmp_path).close()
    for name in ("ca.key", "registry.db"):
        (tmp_path / "provisioning" / name).unlink()
    with pytest.raises(Misconfigured, match=r"ca\.key .* is missing"):
        _registry(tmp_path)
