"""AWS IoT's office: fleet provisioning over MQTT, with a claim certificate at first and the truck's own afterwards.

`CreateCertificateFromCsr` gives a certificate that is not active yet, `RegisterThing` has the template bind it to the
thing. Its hook (provisioning/registry/aws_pre_provisioning_hook.py) lets a claim register only a truck that the
operator added, with that truck's one-time token, and a truck's own certificate only that truck.

The two requests are made over a `Desk`: AWS's identity client where awsiotsdk is installed
(`fleet_provisioning_awsiot`), else over paho (`fleet_provisioning_paho`), since awsiotsdk has no wheel for 32-bit ARM
and trucks there must enroll and renew too.
"""

import importlib.util
from contextlib import suppress
from urllib.parse import urlsplit

from agent.enrollment import Advice, Granted
from agent.enrollment.csr import signing_request
from agent.enrollment.provisioning_client import OpenDesk, ProvisioningEndpoint
from contract.errors import Misconfigured, Rejected


def installed_desk() -> OpenDesk:
    """The way to AWS that this machine has."""
    if importlib.util.find_spec("awsiot"):
        from agent.enrollment.fleet_provisioning_awsiot import open_desk

        return open_desk
    from agent.enrollment.fleet_provisioning_paho import open_desk as over_paho

    return over_paho


class ClaimOffice:
    """One account's endpoint.

    ca: whom to trust, PEM. claim: certificate and key (PEM) of the enrolment file, and its one-time token.
    """

    def __init__(
        self, broker: str, ca: str, template: str, truck_id: str, *, claim: tuple[str, str, str] | None = None
    ) -> None:
        parts = urlsplit(broker)
        self._host, self._port = parts.hostname or "", parts.port or 8883
        self._ca, self._template, self._truck_id, self._claim = ca, template, truck_id, claim
        self._open_desk = installed_desk()

    def enrol(self, csr: str) -> Granted:
        """The first certificate, for claim and token."""
        if self._claim is None:
            raise Misconfigured("the enrolment file has no claim: ask for a new one")
        certificate, key, token = self._claim
        return self._provision(csr, certificate, key.encode("ascii"), {"Token": token})

    def renew(self, csr: str, *, certificate: str, key: bytes) -> Granted:
        """A certificate for a new key, over a connection with the present one."""
        return self._provision(csr, certificate, key, {"Token": "renewal"})

    def confirm(self, *, certificate: str, key: bytes) -> Advice:
        """The hook revokes the truck's other certificates, and registers nothing: that it says no is its answer."""
        with self._open_desk(self._line(certificate, key)) as desk:
            made = desk.create(signing_request(key))
            with suppress(Rejected):
                desk.register(self._template, made.ownership, {"ThingName": self._truck_id, "Token": "confirm"})
        return Advice()

    def _provision(self, csr: str, certificate: str, key: bytes, parameters: dict[str, str]) -> Granted:
        with self._open_desk(self._line(certificate, key)) as desk:
            made = desk.create(csr)
            name = desk.register(self._template, made.ownership, {"ThingName": self._truck_id, **parameters})
        return Granted(name, made.certificate)

    def _line(self, certificate: str, key: bytes) -> ProvisioningEndpoint:
        return ProvisioningEndpoint(self._host, self._port, self._truck_id, self._ca, certificate, key)
