"""Live trucks while the box's CA is changed: each goes on publishing, and each publish is acknowledged."""

import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agent.enrollment.credential_store import Identity, Wallet
from agent.enrollment.enrollment_file import EnrolmentFile, ServerAddress, address_of, kept
from agent.enrollment.renewal import open_office, renew, visit
from agent.enrollment.rotation import Rotation
from contract import topics
from contract.errors import MilepostError, Rejected, Unreachable
from provisioning import certificate_authority
from provisioning.registry import authority_files
from tests.provisioning.depot import Depot, enrolled, office, proof
from tests.provisioning.mosquitto import MOSQUITTO
from tests.waiting import until

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")


@dataclass
class Truck:
    """A gateway that publishes five times a second, and connects again as the agent does."""

    truck_id: str
    wallet: Wallet
    address: ServerAddress
    sent: int = 0
    acknowledged: int = 0
    refused: int = 0
    context: ssl.SSLContext = field(init=False)
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        current = self.wallet.current
        assert current
        self.context = ssl.create_default_context(cafile=str(self.wallet.ca_file))
        self.context.load_cert_chain(str(current.certificate_file), str(current.key_file))
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.truck_id,
            protocol=MQTTProtocolVersion.MQTTv311,
            clean_session=False,
        )
        self.client.tls_set_context(self.context)
        self.client.reconnect_delay_set(1, 2)
        self.client.on_publish = self._published
        self.client.on_connect = self._connected
        host, _, port = self.address.broker.removeprefix("mqtts://").partition(":")
        self.client.connect(host, int(port))
        self.client.loop_start()

    def _published(self, *_: object) -> None:
        self.acknowledged += 1

    def _connected(self, _client: object, _data: object, _flags: object, code: object, _properties: object) -> None:
        self.refused += bool(getattr(code, "is_failure", True))

    def drive(self) -> None:
        while not self.stop.wait(0.2):
            self.client.publish(topics.telemetry(self.truck_id), b"{}", qos=1)
            self.sent += 1

    def move(self) -> int:
        """What the agent does once a day."""
        if visit(self.wallet, self.address, self.context):
            return renew(self.wallet, self.address, self.context, now=True)
        return 0


@pytest.mark.parametrize("count", [4, pytest.param(50, marks=pytest.mark.prove)])
def test_no_live_truck_is_cut_off_while_the_ca_is_changed(depot: Depot, tmp_path: Path, count: int) -> None:
    wallets = {f"T{number:02d}": Wallet(tmp_path / f"identity-{number}") for number in range(count)}
    trucks = [Truck(name, wallet, enrolled(depot, wallet, name)) for name, wallet in wallets.items()]
    drivers = [threading.Thread(target=truck.drive) for truck in trucks]
    for driver in drivers:
        driver.start()
    with ThreadPoolExecutor(8) as pool, ExitStack() as stack:
        for truck in trucks:
            stack.callback(truck.client.loop_stop)
            stack.callback(truck.client.disconnect)
            stack.callback(truck.stop.set)
        assert [truck.move() for truck in trucks] == [0] * count  # nothing to do before
        old = [open_old(wallet) for wallet in wallets.values()]
        depot.registry.rotate_authority()
        until(lambda: depot.broker.restarts == 1)
        assert all(pool.map(Truck.move, trucks))
        assert depot.registry.behind() == []
        depot.registry.finish_rotation()
        until(lambda: depot.broker.restarts == 2)
        for truck in trucks:
            proof(truck.address)(current(truck.wallet))
            assert truck.move() == 0  # it trusts the new server's certificate, and is told of the new CA alone
        mark = [truck.acknowledged for truck in trucks]
        until(lambda: all(truck.acknowledged > was + 3 for truck, was in zip(trucks, mark, strict=True)))
        for truck in trucks:
            truck.stop.set()
        for driver in drivers:
            driver.join()
        until(lambda: all(truck.acknowledged == truck.sent for truck in trucks))
    assert [truck.refused for truck in trucks] == [0] * count
    assert {truck.wallet.ca_file.read_text() for truck in trucks} == {depot.registry.authority()}
    assert not any(certificate_authority.vouches_for(depot.registry.authority(), pem) for pem in old)
    print(f"{count} trucks: {sum(truck.sent for truck in trucks)} published, each acknowledged")


def open_old(wallet: Wallet) -> str:
    pem = current(wallet).certificate
    assert pem
    return pem


def current(wallet: Wallet) -> Identity:
    found = wallet.current
    assert found
    return found


def test_the_server_certificate_renews_itself_and_no_connection_ends(depot: Depot, tmp_path: Path) -> None:
    wallet = Wallet(tmp_path / "identity")
    truck = Truck("T1", wallet, enrolled(depot, wallet))
    until(lambda: truck.client.is_connected())
    ended: list[object] = []
    truck.client.on_disconnect = lambda *_: ended.append(1)
    before = depot.registry.files.server_certificate()
    with patch.object(authority_files, "RENEWED_BEFORE", timedelta(days=authority_files.SERVER_DAYS + 1)):
        depot.broker.gatekeeper._renew_at = 0.0  # as after an hour
        until(lambda: depot.registry.files.server_certificate() != before)
    new = depot.registry.files.server_certificate()
    for port in (depot.broker.tls_port, depot.server.port):
        until(lambda port=port: shown(depot, wallet, port) == new)
    assert not ended
    truck.client.disconnect()
    truck.client.loop_stop()


def shown(depot: Depot, wallet: Wallet, port: int) -> str:
    """The certificate that a server shows."""
    context = ssl.create_default_context(cadata=depot.registry.authority())
    identity = current(wallet)
    context.load_cert_chain(identity.certificate_file, identity.key_file)
    with (
        socket.create_connection(("127.0.0.1", port), 5) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as secured,
    ):
        return ssl.DER_cert_to_PEM_cert(secured.getpeercert(binary_form=True) or b"")


def test_an_operator_has_a_truck_change_its_key_at_its_next_visit(depot: Depot, tmp_path: Path) -> None:
    wallet = Wallet(tmp_path / "identity")
    address = enrolled(depot, wallet)
    before = current(wallet).certificate
    assert not visit(wallet, address, None)
    time.sleep(0.005)  # asked after it was issued
    depot.registry.ask_renewal("T1")
    assert visit(wallet, address, None)
    renew(wallet, address, None, now=True)
    assert current(wallet).certificate != before
    assert not visit(wallet, address, None)


def test_a_certificate_that_ends_while_it_is_connected_ends_the_connection(depot: Depot, tmp_path: Path) -> None:
    """Within two seconds of its end, as if it had been revoked (CUT_OFF_SECONDS)."""
    wallet = Wallet(tmp_path / "identity")
    seconds = 6.0
    depot.registry._settings = depot.registry._settings.model_copy(update={"certificate_days": seconds / 86_400})
    truck = Truck("T1", wallet, enrolled(depot, wallet))
    truck.client.reconnect_delay_set(60, 60)
    until(lambda: truck.client.is_connected())
    (certificate,) = depot.registry.get("T1").active
    end = datetime.fromisoformat(certificate.not_after)
    until(lambda: not truck.client.is_connected())
    assert timedelta(0) <= datetime.now(UTC) - end < timedelta(seconds=60)  # two, and a loaded machine
    truck.client.loop_stop()


def test_a_clone_that_renews_first_is_an_alarm(depot: Depot, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    honest = Wallet(tmp_path / "honest")
    address = enrolled(depot, honest)
    shutil.copytree(honest.folder, tmp_path / "clone", symlinks=True)
    clone = Wallet(tmp_path / "clone")
    renew(clone, address, None, now=True)
    assert depot.registry.cloned() == []
    for attempt in (lambda: renew(honest, address, None, now=True), lambda: visit(honest, address, None)):
        with pytest.raises(Rejected, match="denied"):
            attempt()
    assert depot.registry.cloned() == ["T1"]
    assert "clone_suspected truck_id=T1" in caplog.text
    assert [one.action for one in depot.registry.log(truck_id="T1", action="clone_suspected")] == ["clone_suspected"]
    assert any("T1 may be cloned" in one for one in depot.registry.warnings(20))
    depot.registry.retire("T1")
    assert depot.registry.cloned() == []


def test_a_known_name_and_an_unknown_one_are_answered_alike(depot: Depot) -> None:
    depot.registry.add("KNOWN", {})
    depot.registry.issue("KNOWN", certificate_authority.new_key()[1])
    stranger = certificate_authority.Authority(*certificate_authority.new_authority("elsewhere"))
    answers = set()
    for name in ("KNOWN", "UNKNOWN"):
        key, request = certificate_authority.new_key()
        forged = stranger.issue(request, name, days=1).pem
        address = ServerAddress("https", name, "mqtts://x", f"https://127.0.0.1:{depot.server.port}", None)
        with pytest.raises(Rejected) as caught:
            open_office(depot.registry.authority(), address).confirm(certificate=forged, key=key)
        answers.add(str(caught.value))
    assert len(answers) == 1


def test_an_rsa_certificate_renews(depot: Depot, tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    wallet = Wallet(tmp_path / "identity")
    with patch("agent.enrollment.rotation.new_key", return_value=key):
        address = enrolled(depot, wallet)
    assert current(wallet).key == key
    assert renew(wallet, address, None, now=True)
    assert current(wallet).key != key
    proof(address)(current(wallet))


def test_an_enrollment_that_fails_leaves_a_working_gateway_as_it_was(depot: Depot, tmp_path: Path) -> None:
    """To another box whose broker cannot be reached, whose token is used up, or whose broker refuses the truck."""
    wallet = Wallet(tmp_path / "identity")
    address = enrolled(depot, wallet)
    ca, certificate = wallet.ca_file.read_text(), current(wallet).certificate
    file = depot.file("T1")
    away = replace(address_of(file), broker="mqtts://127.0.0.1:1")

    def refuse(_: object) -> None:
        raise Rejected("certificate", "the broker refused it")

    used = file.model_copy(update={"token": "mpe_used"})
    failures: list[tuple[Callable[..., None], Callable[[], EnrolmentFile], ServerAddress, type[MilepostError]]] = [
        (proof(away), lambda: file, away, Unreachable),
        (refuse, lambda: depot.file("T1"), replace(away, url="https://elsewhere"), Rejected),
        (proof(address), lambda: used, address, Rejected),
    ]
    for prove, make, where, error in failures:
        rotation = Rotation(wallet, office(make()), prove, address=where, ca="another CA")
        with pytest.raises(error):
            rotation.run(enrol=True)
        assert (wallet.ca_file.read_text(), kept(wallet)) == (ca, address)
        assert current(wallet).certificate == certificate
        proof(address)(current(wallet))
        assert renew(wallet, address, None) == 0  # the agent beside it does not go on with what is not its own
    assert renew(wallet, address, None, now=True)
    proof(address)(current(wallet))


def test_an_identity_of_the_release_before_renews_and_keeps_its_names(depot: Depot, tmp_path: Path) -> None:
    """It kept `ca.pem` and `office.json` as files beside `current`, which settings and `renewing` name."""
    wallet = Wallet(tmp_path / "identity")
    address = enrolled(depot, wallet)
    folder = current(wallet).folder
    for name in ("ca.pem", "office.json"):
        (wallet.folder / name).unlink()
        (folder / name).rename(wallet.folder / name)
    proof(address)(current(wallet))
    assert kept(wallet) == address
    assert renew(wallet, address, None, now=True)
    assert [(wallet.folder / name).is_symlink() for name in ("ca.pem", "office.json")] == [True, True]
    assert wallet.ca_file.read_text() == depot.registry.authority()
    assert kept(wallet) == address
    proof(address)(current(wallet))
    assert [path.name for path in wallet.folder.iterdir() if path.name.isdecimal()] == [current(wallet).folder.name]
