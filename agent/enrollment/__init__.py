"""The truck's identity: a private key that never leaves the gateway, and the certificates that go with it.

`credential_store` keeps them on disk, `csr` makes keys and signing requests, an `Office` hands out certificates
(`standalone_issuer` the box, `fleet_provisioning` AWS IoT), and `rotation` is the one way from one certificate to the
next, also at the first enrolment.
"""

from typing import NamedTuple, Protocol


class Granted(NamedTuple):
    """An office's answer. truck_id: whom the certificate names. ca: whom to trust from now on (PEM), if it changed.
    command_key: by which the operator's commands are known (PEM), if the office says."""

    truck_id: str
    certificate: str
    ca: str | None = None
    command_key: str | None = None


class Advice(NamedTuple):
    """What an office says to a truck that shows its certificate. ca, command_key: as in Granted. renew: it is to change
    its key now, before it would by itself."""

    ca: str | None = None
    renew: bool = False
    command_key: str | None = None


class Office(Protocol):
    """Where certificates come from. Unreachable: try again; Rejected: it will not, and says why.

    Asking again with the same request (the answer may have been lost) gives a certificate for the same key.
    """

    def enrol(self, csr: str) -> Granted:
        """The first certificate, for what the enrolment file holds: a one-time token, a claim.

        Args:
            csr: the signing request, PEM.

        Returns:
            The certificate for the request's key.

        Raises:
            Unreachable: no answer; ask again.
            Rejected: it will not, and says why.
        """

    def renew(self, csr: str, *, certificate: str, key: bytes) -> Granted:
        """A certificate for a new key, on the strength of the present one.

        Args:
            csr: the new key's signing request, PEM.
            certificate: the present one, PEM.
            key: its private key, PEM.

        Returns:
            The new certificate; the present one stays valid until `confirm`.

        Raises:
            Unreachable: no answer; ask again.
            Rejected: it will not, and says why.
        """

    def confirm(self, *, certificate: str, key: bytes) -> Advice:
        """Say that a certificate has been used: the truck's others may be revoked now. May be said again at any time.

        Args:
            certificate: that one, PEM.
            key: its private key, PEM.

        Returns:
            What the office advises.

        Raises:
            Unreachable: no answer; say it again.
            Rejected: it does not know the certificate.
        """
