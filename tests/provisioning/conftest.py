"""A registry, and trucks with keys and certificates on disk."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provisioning import certificate_authority, secure_files
from provisioning.enrollment.https_server import EnrolmentServer
from provisioning.enrollment.service import Enrolment
from provisioning.registry.sqlite import LocalRegistry
from provisioning.settings import ProvisioningSettings
from tests.provisioning.account import account, localhost, name
from tests.provisioning.aws import CREDENTIALS, INSTALLED, Ministack
from tests.provisioning.cli import Cli
from tests.provisioning.depot import Depot, unlimited
from tests.provisioning.mosquitto import Broker, Files

__all__ = ["account", "localhost", "name"]  # fixtures, for the tests of AWS


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[LocalRegistry]:
    registry = LocalRegistry(tmp_path / "data", ProvisioningSettings())
    registry.init()
    yield registry
    registry.close()


@pytest.fixture
def equip(registry: LocalRegistry, tmp_path: Path) -> Callable[[str], Files]:
    """Give a truck a key and a certificate."""
    made = 0

    def make(truck_id: str) -> Files:
        nonlocal made
        made += 1
        registry.add(truck_id, {})
        key, csr = certificate_authority.new_key()
        issued = registry.issue(truck_id, csr)
        assert issued.pem
        files = Files(tmp_path / f"{truck_id}-{made}.pem", tmp_path / f"{truck_id}-{made}.key", issued)
        secure_files.write(files.certificate, issued.pem, mode=secure_files.PUBLIC)
        secure_files.write(files.key, key, mode=secure_files.PRIVATE)
        return files

    return make


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    """One for all tests; each uses trucks of its own."""
    if not INSTALLED:
        pytest.skip("ministack is not installed: pip install 'ministack[full]'")
    with Ministack(tmp_path_factory.mktemp("ministack")) as running:
        yield running


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ministack's, for whatever opens an AWS registry."""
    for variable, value in CREDENTIALS.items():
        monkeypatch.setenv(variable, value)


@pytest.fixture
def depot(registry: LocalRegistry, tmp_path: Path) -> Iterator[Depot]:
    enrolment = Enrolment(registry, unlimited(), unlimited())
    with (
        Broker(tmp_path, registry) as broker,
        EnrolmentServer(registry, enrolment, address="127.0.0.1", port=0) as server,
    ):
        broker.server_changed = server.load_certificate
        yield Depot(registry, enrolment, broker, server)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    monkeypatch.chdir(tmp_path)
    for setting in [one for one in os.environ if one.startswith("MILEPOST_")]:
        monkeypatch.delenv(setting)
    monkeypatch.setenv("COLUMNS", "120")
    return Cli(monkeypatch, capsys)
