"""The truck's identity: a private key that never leaves the gateway, and the certificates that go with it.

`wallet` keeps them on disk, `request` makes keys and signing requests, an `Office` hands out certificates (`https` the
box, `claim` AWS IoT), and `rotation` is the one way from one certificate to the next, also at the first enrolment.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Granted:
    """An office's answer. truck_id: whom the certificate names."""

    truck_id: str
    certificate: str


class Office(Protocol):
    """Where certificates come from. Unreachable: try again; Rejected: it will not, and says why.

    Asking again with the same request (the answer may have been lost) gives a certificate for the same key.
    """

    def enrol(self, csr: str) -> Granted:
        """The first certificate, for what the enrolment file holds: a one-time token, a claim."""
        ...

    def renew(self, csr: str, *, certificate: str, key: bytes) -> Granted:
        """A certificate for a new key, on the strength of the present one."""
        ...

    def confirm(self, *, certificate: str, key: bytes) -> None:
        """This certificate has been used: the truck's others may be revoked now."""
        ...
