"""The command key: made by `init`, closed to others, and given to trucks with their certificates."""

from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from agent.enrollment.credential_store import Wallet
from agent.enrollment.enrollment_file import EnrolmentFile
from agent.enrollment.renewal import renew, visit
from contract.errors import Misconfigured
from provisioning.enrollment.enrollment_file import introduction, write_introduction
from provisioning.enrollment.gateway_bundle import make_bundle
from provisioning.registry.aws import AwsRegistry
from provisioning.registry.sqlite import LocalRegistry
from tests.provisioning.cli import Cli
from tests.provisioning.depot import Depot, enrolled


def verifies(public: str, signature: bytes, message: bytes) -> bool:
    key = load_pem_public_key(public.encode())
    assert isinstance(key, Ed25519PublicKey)
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def test_init_makes_it_and_leaves_it(cli: Cli) -> None:
    made = cli.json("init")["made"]
    assert "command key (command.key, command.pub)" in made
    folder = Path("milepost-data/provisioning")
    assert (folder / "command.key").stat().st_mode & 0o777 == 0o600
    before = (folder / "command.key").read_bytes()
    assert cli.json("init")["made"] == []
    assert (folder / "command.key").read_bytes() == before
    (folder / "command.pub").unlink()
    assert cli.json("init", "--dry-run")["made"] == ["command key (command.key, command.pub)"]
    assert not (folder / "command.pub").exists()
    cli.json("init")
    assert (folder / "command.key").read_bytes() == before


def test_what_it_signs_verifies_and_a_damaged_or_open_one_signs_nothing(registry: LocalRegistry) -> None:
    key = registry.command_key
    signature = key.sign(b"do it")
    assert verifies(key.public() or "", signature, b"do it")
    assert not verifies(key.public() or "", signature, b"do that")
    file = registry.folder / "command.key"
    file.chmod(0o644)
    with pytest.raises(Misconfigured, match="can be read by others"):
        key.sign(b"do it")
    file.chmod(0o600)
    file.write_text("no key")
    with pytest.raises(Misconfigured, match=r"command\.key is damaged: restore it, or remove it"):
        key.sign(b"do it")
    file.unlink()
    with pytest.raises(Misconfigured, match="`milepost provision init` makes it"):
        key.sign(b"do it")


def test_a_truck_gets_it_with_its_certificate_and_an_earlier_one_at_its_daily_visit(
    depot: Depot, tmp_path: Path
) -> None:
    """And so does a fleet whose key was replaced."""
    wallet = Wallet(tmp_path / "identity")
    address = enrolled(depot, wallet)
    kept, public = wallet.folder / "command.pub", depot.registry.command_key.public()
    assert kept.read_text() == public
    kept.unlink()
    visit(wallet, address, None)
    assert kept.read_text() == public
    for name in ("command.key", "command.pub"):
        (depot.registry.folder / name).unlink()
    visit(wallet, address, None)
    assert kept.read_text() == public
    depot.registry.init()
    renew(wallet, address, None, now=True)
    assert kept.read_text() == depot.registry.command_key.public() != public


def test_a_bundle_has_it_beside_the_ca(registry: LocalRegistry, tmp_path: Path) -> None:
    registry.add("T1", {})
    make_bundle(registry, "T1", tmp_path / "T1", key=True)
    assert (tmp_path / "T1/identity/command.pub").read_text() == registry.command_key.public()


def test_at_aws_the_enrolment_file_has_it(account: AwsRegistry, name: str, tmp_path: Path) -> None:
    account.add(name, {})
    file = write_introduction(tmp_path / "truck.json", introduction(account, name))
    read = EnrolmentFile.model_validate_json(file.read_text())
    assert read.command_key == account.command_key.public()
    assert read.command_key is not None
