"""A box for enrolment tests: registry, real broker, real HTTPS server; and what a gateway does with it."""

from dataclasses import dataclass

from agent.enrollment.connection_test import MqttProof
from agent.enrollment.credential_store import Wallet
from agent.enrollment.enrollment_file import EnrolmentFile, ServerAddress, address_of
from agent.enrollment.rotation import Rotation
from agent.enrollment.standalone_issuer import HttpsOffice
from contract.source_limiter import SourceLimiter
from provisioning.enrollment.https_server import EnrolmentServer
from provisioning.enrollment.service import Enrolment
from provisioning.registry.sqlite import LocalRegistry
from tests.provisioning.mosquitto import Broker


def unlimited() -> SourceLimiter:
    return SourceLimiter(1e9, 1_000_000)


@dataclass
class Depot:
    """A box: registry, broker, enrolment server."""

    registry: LocalRegistry
    enrolment: Enrolment
    broker: Broker
    server: EnrolmentServer

    def file(self, truck_id: str) -> EnrolmentFile:
        """Add a truck and make its enrolment file."""
        broker, url = f"mqtts://127.0.0.1:{self.broker.tls_port}", f"https://127.0.0.1:{self.server.port}"
        return new_truck_file(self.registry, truck_id, broker=broker, url=url)


def new_truck_file(registry: LocalRegistry, truck_id: str, *, broker: str, url: str) -> EnrolmentFile:
    """Add a truck and make its enrolment file, with the addresses of its box."""
    registry.add(truck_id, {})
    return EnrolmentFile(
        version=1,
        kind="https",
        truck_id=truck_id,
        broker=broker,
        ca=registry.authority(),
        url=url,
        token=registry.make_token(truck_id, hours=1),
    )


def office(file: EnrolmentFile) -> HttpsOffice:
    return HttpsOffice(file.url or "", file.ca, token=file.token)


def enrolled(depot: Depot, wallet: Wallet, truck_id: str = "T1") -> ServerAddress:
    return enrolled_by(depot.file(truck_id), wallet)


def enrolled_by(file: EnrolmentFile, wallet: Wallet) -> ServerAddress:
    """Enroll with this file, as a gateway does."""
    address = address_of(file)
    Rotation(wallet, office(file), proof(address), address=address, ca=file.ca).run(enrol=True)
    return address


def proof(address: ServerAddress) -> MqttProof:
    return MqttProof(address.broker, address.truck_id)
