"""An account on ministack that tests share, trucks in it, and clients: fixtures, which conftest.py takes in."""

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client

from provisioning import certificate_authority, secure_files
from provisioning.registry.aws import AwsRegistry
from tests.provisioning.aws import Ministack
from tests.provisioning.mosquitto import Files, Peer

_numbers = itertools.count(1)
prepared: list[Path] = []
_paho = Client.connect


@pytest.fixture
def account(ministack: Ministack, tmp_path: Path) -> AwsRegistry:
    registry = ministack.registry(tmp_path / "data")
    if not prepared:
        registry.init()
        prepared.append(registry.folder)
    if not registry.folder.exists():
        shutil.copytree(prepared[0], registry.folder)  # the claim; what is in the account stays
    return registry


@pytest.fixture
def name() -> str:
    return f"A{next(_numbers)}"


def equip(account: AwsRegistry, truck_id: str, folder: Path) -> Files:
    account.add(truck_id, {})
    key, csr = certificate_authority.new_key()
    issued = account.issue(truck_id, csr)
    files = Files(folder / f"{issued.id}.pem", folder / f"{issued.id}.key", issued)
    secure_files.write(files.certificate, issued.pem or "", mode=secure_files.PUBLIC)
    secure_files.write(files.key, key, mode=secure_files.PRIVATE)
    return files


def peer(ministack: Ministack, name: str, files: Files) -> Peer:
    return Peer(ministack.mqtt_port, name, ca=ministack.folder / "ca.pem", certificate=files.certificate, key=files.key)


@pytest.fixture
def localhost(monkeypatch: pytest.MonkeyPatch) -> None:
    """ministack's server certificate is for localhost."""
    monkeypatch.setattr("paho.mqtt.client.Client.connect", _connect)


def _connect(self: Any, host: str, *args: Any, **options: Any) -> Any:
    return _paho(self, "localhost" if host == "127.0.0.1" else host, *args, **options)


def refused(truck: Peer, act: Any) -> bool:
    """Whether it was answered no, or the connection was ended, as AWS does."""
    return act() not in ("Success", "Granted QoS 1", "Granted QoS 0") or truck.lost
