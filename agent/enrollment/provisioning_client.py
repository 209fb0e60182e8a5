"""The two requests of AWS IoT's fleet provisioning, over whatever this machine has installed.

Implementations: fleet_provisioning_awsiot.py and fleet_provisioning_paho.py.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

SECONDS = 20.0
"""For which a desk waits for an answer."""


@dataclass(frozen=True, slots=True)
class ProvisioningEndpoint:
    """Where a desk is, and as whom it is asked. ca: whom to trust, PEM."""

    host: str
    port: int
    client_id: str
    ca: str
    certificate: str
    key: bytes

    def __repr__(self) -> str:
        return f"Line({self.client_id} at {self.host}:{self.port})"


class Made(NamedTuple):
    """A certificate that is not active yet (PEM), and the token that owns it."""

    certificate: str
    ownership: str


class Desk(Protocol):
    """One connection. Rejected with AWS's reason, also where it ends the connection; Unreachable for no answer."""

    def create(self, csr: str) -> Made:
        """CreateCertificateFromCsr.

        Args:
            csr: the signing request, PEM.

        Returns:
            A certificate that is not active yet.

        Raises:
            Rejected: with AWS's reason.
            Unreachable: no answer within SECONDS.
        """

    def register(self, template: str, ownership: str, parameters: dict[str, str]) -> str:
        """RegisterThing.

        Args:
            template: the provisioning template's name.
            ownership: the token of `create`.
            parameters: the template's.

        Returns:
            The thing's name; the certificate is active.

        Raises:
            Rejected: with AWS's reason.
            Unreachable: no answer within SECONDS.
        """


OpenDesk = Callable[[ProvisioningEndpoint], AbstractContextManager[Desk]]
