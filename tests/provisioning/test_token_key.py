"""A CA whose key is in a token: SoftHSM 2, by its PKCS #11 library, as a real HSM would be used."""

import shutil
import subprocess
from pathlib import Path

import pytest

from contract.errors import Misconfigured
from provisioning import certificate_authority, secure_files
from provisioning.registry.site import Wish
from provisioning.registry.sqlite import LocalRegistry
from provisioning.settings import ProvisioningSettings
from provisioning.token_key import TokenUri

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
pytest.importorskip("pkcs11")
pytestmark = pytest.mark.skipif(not shutil.which("softhsm2-util"), reason="softhsm2 is not installed")


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URI of a token without its object's name. A process loads the library once, with one configuration."""
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        argv = ["softhsm2-util", "--init-token", "--free", "--label", "depot", "--pin", "4321", "--so-pin", "8765"]
        subprocess.run(argv, check=True, capture_output=True)
        secure_files.write(folder / "pin", "4321\n", mode=0o600)
        import pkcs11

        pkcs11.lib(MODULE)
    return f"pkcs11:token=depot;object=NAME?module-path={MODULE}&pin-source=file:{folder}/pin"


def registry(folder: Path, uri: str | None) -> LocalRegistry:
    return LocalRegistry(folder, ProvisioningSettings(), wish=Wish(ca_key_uri=uri))


def test_a_ca_signs_in_its_token_and_its_key_is_in_no_file(token: str, tmp_path: Path) -> None:
    uri = token.replace("NAME", "first")
    ours = registry(tmp_path, uri)
    assert ours.init()
    ours.add("T1", {})
    pem = ours.issue("T1", certificate_authority.new_key()[1]).pem or ""
    assert certificate_authority.vouches_for(ours.authority(), pem)
    ours.retire("T1")
    assert len(certificate_authority.revoked_by(ours.authority(), (ours.folder / "crl.pem").read_text())) == 1
    assert (ours.folder / "ca.key").read_text() == f"{uri}\n"
    assert "PRIVATE KEY" not in (ours.folder / "ca.key").read_text()
    ours.close()
    again = registry(tmp_path, None)
    assert again.init() == []
    again.add("T2", {})
    assert again.issue("T2", certificate_authority.new_key()[1]).pem
    again.close()


def test_a_fleet_moves_from_a_file_to_a_token(token: str, tmp_path: Path) -> None:
    before = registry(tmp_path, None)
    before.init()
    before.close()
    ours = registry(tmp_path, token.replace("NAME", "second"))
    assert ours.rotate_authority()
    ours.add("T1", {})
    pem = ours.issue("T1", certificate_authority.new_key()[1]).pem or ""
    ours.finish_rotation()
    assert certificate_authority.vouches_for(ours.authority(), pem)
    assert certificate_authority.vouches_for(ours.authority(), ours.files.server_certificate())
    ours.close()


def test_a_token_that_cannot_be_used_says_what_to_look_at(token: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="look at the token"):
        registry(tmp_path / "a", token.replace("token=depot", "token=another")).init()
    wrong = tmp_path / "wrong"
    secure_files.write(wrong, "0000", mode=0o600)
    pin = token.rpartition("file:")[2]
    with pytest.raises(Misconfigured, match="PIN in its file"):
        registry(tmp_path / "b", token.replace(pin, str(wrong))).init()
    wrong.chmod(0o644)
    with pytest.raises(Misconfigured, match="can be read by others"):
        registry(tmp_path / "c", token.replace(pin, str(wrong))).init()
    with pytest.raises(Misconfigured, match="must be pkcs11:token="):
        TokenUri.parse("pkcs11:token=x")
