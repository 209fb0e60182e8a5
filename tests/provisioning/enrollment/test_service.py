"""Enrolment and rotation over the real HTTPS server and the real broker, as the gateway does them."""

import json
import logging
import os
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from agent.enrollment.credential_store import Wallet
from agent.enrollment.csr import new_key, signing_request
from agent.enrollment.enrollment_file import EnrolmentFile, address_of
from agent.enrollment.renewal import open_office, renew
from agent.enrollment.rotation import Rotation
from contract.errors import Misconfigured, Rejected, Unreachable
from contract.source_limiter import SourceLimiter
from provisioning import certificate_authority
from provisioning.enrollment.https_server import EnrolmentServer
from provisioning.enrollment.service import Enrolment, open_enrolment
from provisioning.errors import Denied, Throttled
from provisioning.registry.sqlite import LocalRegistry
from provisioning.settings import ProvisioningSettings
from tests.provisioning.depot import Depot, enrolled, office, proof, unlimited
from tests.provisioning.mosquitto import MOSQUITTO, Broker

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
ROOT = Path(__file__).resolve().parents[3]


def test_a_truck_enrols_and_connects_and_its_key_is_its_own(depot: Depot, tmp_path: Path) -> None:
    wallet = Wallet(tmp_path / "identity")
    enrolled(depot, wallet)
    current = wallet.current
    assert current
    assert current.confirmed
    (only,) = depot.registry.get("T1").active
    assert only.pem == current.certificate
    modes = {path.name: path.stat().st_mode & 0o777 for path in (current.key_file, wallet.folder, current.folder)}
    assert modes == {"key.pem": 0o600, "identity": 0o700, current.folder.name: 0o700}
    everything = b"".join(path.read_bytes() for path in depot.registry.folder.iterdir())
    assert current.key.splitlines()[1] not in everything


def test_a_token_is_good_for_one_key_and_again_for_that_one(depot: Depot) -> None:
    file = depot.file("T1")
    csr = signing_request(new_key())
    first = office(file).enrol(csr)
    assert office(file).enrol(csr) == first
    with pytest.raises(Rejected, match="denied"):
        office(file).enrol(signing_request(new_key()))
    assert len(depot.registry.get("T1").active) == 1


def test_the_token_says_who_it_is_not_the_request(registry: LocalRegistry) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "B"), x509.NameAttribute(NameOID.COMMON_NAME, "C")])
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=3), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("B")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    registry.add("A", {})
    pem = csr.public_bytes(serialization.Encoding.PEM).decode()
    issued = x509.load_pem_x509_certificate((registry.issue("A", pem).pem or "").encode())
    assert [one.value for one in issued.subject] == ["A"]
    assert not issued.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    with pytest.raises(x509.ExtensionNotFound):
        issued.extensions.get_extension_for_class(x509.SubjectAlternativeName)


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def utc(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.seconds - 1000)


def test_a_token_expires(registry: LocalRegistry) -> None:
    clock = Time()
    enrolment = Enrolment(registry, unlimited(), unlimited(), clock.utc)
    registry.add("A", {})
    token = registry.make_token("A", hours=1, now=clock.utc())
    clock.seconds += 3601
    with pytest.raises(Denied):
        enrolment.enrol(token, certificate_authority.new_key()[1], peer="p")


def test_a_new_token_replaces_the_unused_one_and_retiring_ends_it(registry: LocalRegistry) -> None:
    enrolment = Enrolment(registry, unlimited(), unlimited())
    registry.add("A", {})
    old, new = (registry.make_token("A", hours=1) for _ in range(2))
    with pytest.raises(Denied):
        enrolment.enrol(old, certificate_authority.new_key()[1], peer="p")
    registry.retire("A")
    with pytest.raises(Denied):
        enrolment.enrol(new, certificate_authority.new_key()[1], peer="p")
    with pytest.raises(Rejected, match="retired"):
        registry.make_token("A", hours=1)


def test_guessing_is_slowed_down_for_one_peer_and_for_all(registry: LocalRegistry) -> None:
    clock = Time()
    one = Enrolment(registry, SourceLimiter(1, 3, clock=clock), unlimited())
    for _ in range(3):
        with pytest.raises(Denied):
            one.enrol("guess", certificate_authority.new_key()[1], peer="1.2.3.4")
    with pytest.raises(Throttled) as caught:
        one.enrol("guess", certificate_authority.new_key()[1], peer="1.2.3.4")
    assert 0 < caught.value.after <= 1
    with pytest.raises(Denied):
        one.enrol("guess", certificate_authority.new_key()[1], peer="5.6.7.8")
    clock.seconds += caught.value.after
    with pytest.raises(Denied):
        one.enrol("guess", certificate_authority.new_key()[1], peer="1.2.3.4")
    everyone = Enrolment(registry, unlimited(), SourceLimiter(1, 2, clock=clock))
    for peer in ("a", "b"):
        with pytest.raises(Denied):
            everyone.enrol("guess", certificate_authority.new_key()[1], peer=peer)
    with pytest.raises(Throttled):
        everyone.enrol("guess", certificate_authority.new_key()[1], peer="c")


def test_many_at_once_with_one_token_get_one_certificate(registry: LocalRegistry) -> None:
    enrolment = Enrolment(registry, unlimited(), unlimited())
    registry.add("A", {})
    token = registry.make_token("A", hours=1)
    outcomes: list[str] = []

    def attempt() -> None:
        try:
            outcomes.append(enrolment.enrol(token, certificate_authority.new_key()[1], peer="p").id)
        except Denied:
            outcomes.append("denied")

    threads = [threading.Thread(target=attempt) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("denied") == 15
    assert len(registry.get("A").active) == 1


def test_nobody_renews_or_confirms_with_what_is_not_his(depot: Depot, tmp_path: Path) -> None:
    wallet = Wallet(tmp_path / "identity")
    address = enrolled(depot, wallet)
    current = wallet.current
    assert current
    assert current.certificate
    desk = open_office(depot.registry.authority(), address)
    csr, stranger = signing_request(new_key()), new_key()
    with pytest.raises(Rejected, match="denied"):
        desk.renew(csr, certificate=current.certificate, key=stranger)
    with pytest.raises(Rejected, match="denied"):
        desk.confirm(certificate=current.certificate, key=stranger)
    elsewhere = certificate_authority.Authority(*certificate_authority.new_authority("elsewhere"))
    key, request = certificate_authority.new_key()
    forged = elsewhere.issue(request, "T1", days=1).pem
    with pytest.raises(Rejected, match="denied"):
        desk.renew(csr, certificate=forged, key=key)
    depot.registry.retire("T1")
    with pytest.raises(Rejected, match="denied"):
        desk.renew(csr, certificate=current.certificate, key=current.key)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b'{"token": 1, "csr": "x"}', 400),
        (b'{"token": "x", "csr": "x"}', 400),
        (b'{"token": "x"}', 400),
        (b"[" * 30000, 400),
        (b'{"token": "\\ud800", "csr": "x"}', 400),
        (b'{"certificate": "x", "signature": "x"}', 400),
        (b"x" * 40_000, 413),
        (b'{"certificate": "CERTIFICATE", "signature": "\\u00e9"}', 403),
        (b'{"certificate": "CERTIFICATE", "csr": "\\ud800", "signature": "AAAA"}', 403),
    ],
)
def test_garbage_gets_an_answer_that_says_nothing(depot: Depot, body: bytes, status: int) -> None:
    import http.client

    context = ssl.create_default_context(cadata=depot.registry.authority())
    body = body.replace(b"CERTIFICATE", json.dumps(depot.registry.authority())[1:-1].encode())
    connection = http.client.HTTPSConnection("127.0.0.1", depot.server.port, context=context, timeout=60)
    connection.request("POST", "/v1/enroll", body)
    response = connection.getresponse()
    assert response.status == status
    assert set(json.loads(response.read())) == {"error"}
    connection.close()


def test_the_truck_trusts_only_the_authority_of_its_file(depot: Depot) -> None:
    file = depot.file("T1").model_copy(update={"ca": certificate_authority.new_authority("another")[1]})
    with pytest.raises(Unreachable, match="certificate verify failed"):
        office(file).enrol(signing_request(new_key()))


def test_a_certificate_for_another_truck_or_key_is_not_taken(depot: Depot, tmp_path: Path) -> None:
    wallet = Wallet(tmp_path / "identity")
    file = depot.file("T1")
    address = replace(address_of(file), truck_id="T2")
    with pytest.raises(Rejected, match="not for T2"):
        Rotation(wallet, office(file), proof(address), address=address, ca=file.ca).run(enrol=True)
    assert wallet.current is None


def test_the_boxes_own_certificate_is_renewed_before_it_ends(registry: LocalRegistry) -> None:
    assert registry.init() == []
    before = (registry.folder / "server.pem").read_text()
    with patch("provisioning.registry.authority_files.RENEWED_BEFORE", timedelta(days=826)):
        assert "server certificate" in registry.init()[0]
    assert (registry.folder / "server.pem").read_text() != before


def test_no_secret_is_logged(depot: Depot, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wallet = Wallet(tmp_path / "identity")
    file = depot.file("T1")
    with pytest.raises(Rejected):
        office(file.model_copy(update={"token": "mpe_wrong-but-a-secret-too"})).enrol(signing_request(new_key()))
    address = address_of(file)
    Rotation(wallet, office(file), proof(address), address=address, ca=file.ca).run(enrol=True)
    renew(wallet, address, None, now=True)
    current = wallet.current
    assert current
    said = caplog.text + depot.broker.log
    assert "enrolment_denied" in said
    for secret in (file.token or "", "mpe_wrong-but-a-secret-too", current.key.decode().splitlines()[1]):
        assert secret not in said
        assert secret not in repr(file)
    assert (file.token or "").encode() not in b"".join(p.read_bytes() for p in depot.registry.folder.iterdir())


def test_a_key_that_others_may_read_is_refused(depot: Depot, tmp_path: Path) -> None:
    wallet = Wallet(tmp_path / "identity")
    enrolled(depot, wallet)
    assert wallet.current
    wallet.current.key_file.chmod(0o644)
    with pytest.raises(Misconfigured, match="can be read by others"):
        _ = wallet.current.key
    (depot.registry.folder / "ca.key").chmod(0o640)
    with pytest.raises(Misconfigured, match="can be read by others"):
        depot.registry.issue("T1", certificate_authority.new_key()[1])


def test_under_any_umask_files_have_their_modes(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        registry = LocalRegistry(tmp_path / "data", ProvisioningSettings())
        registry.init()
        Wallet(tmp_path / "identity").begin(new_key(), ca="", office="{}")
    finally:
        os.umask(before)
    registry.close()
    modes = {path.name: path.stat().st_mode & 0o777 for path in registry.folder.iterdir()}
    assert modes == {
        "ca.key": 0o600,
        "ca.pem": 0o644,
        "command.key": 0o600,
        "command.pub": 0o644,
        "server.key": 0o600,
        "server.pem": 0o644,
        "crl.pem": 0o644,
        "roots.pem": 0o644,
        "registry.db": 0o600,
    } | {name: 0o600 for name in modes if name.startswith("registry.db-")}
    assert registry.folder.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "identity/1/key.pem").stat().st_mode & 0o777 == 0o600


def test_200_trucks_enroll_from_one_address_also_beside_a_guesser(registry: LocalRegistry) -> None:
    """With the limits of the service: a depot is behind one address, and refusals count against nobody but guesses."""
    enrolment = open_enrolment(registry)
    with registry.transaction():
        for number in range(200):
            registry.add(f"D-{number:03d}", {})
    tokens = [registry.make_token(f"D-{number:03d}", hours=1) for number in range(200)]
    for _ in range(20):
        with pytest.raises(Denied):
            enrolment.enrol("guess", certificate_authority.new_key()[1], peer="depot")
    with pytest.raises(Throttled):
        enrolment.enrol("guess", certificate_authority.new_key()[1], peer="depot")
    for number, token in enumerate(tokens):
        assert enrolment.enrol(token, certificate_authority.new_key()[1], peer="depot").truck_id == f"D-{number:03d}"


@pytest.mark.parametrize("count", [12, pytest.param(200, marks=pytest.mark.prove)])
def test_a_depot_enrolls_for_real_from_one_address_beside_a_guesser(
    registry: LocalRegistry, tmp_path: Path, count: int
) -> None:
    """Over TLS, with the limits of the service, each truck up to its PUBACK at the broker."""
    with (
        Broker(tmp_path, registry) as broker,
        EnrolmentServer(registry, open_enrolment(registry), address="127.0.0.1", port=0) as server,
    ):
        depot = Depot(registry, open_enrolment(registry), broker, server)
        files = [depot.file(f"D-{number:03d}") for number in range(count)]
        guess = office(files[0].model_copy(update={"token": "mpe_guess"}))
        refusals = []
        for _ in range(25):
            with pytest.raises((Rejected, Unreachable)) as caught:
                guess.enrol(signing_request(new_key()))
            refusals.append(str(caught.value))
        assert "answered 429" in refusals[-1]

        def enroll(file: EnrolmentFile) -> None:
            wallet, address = Wallet(tmp_path / file.truck_id), address_of(file)
            Rotation(wallet, office(file), proof(address), address=address, ca=file.ca).run(enrol=True)
            assert wallet.current
            assert wallet.current.confirmed

        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(enroll, files))
        print(f"{count} trucks enrolled from one address in {time.monotonic() - began:.1f} s")
    assert [len(truck.active) for truck in registry.trucks()] == [1] * count
