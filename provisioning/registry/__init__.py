"""Who belongs to the fleet, and by which certificates: the protocol, and what every implementation promises.

- **Idempotent.** Each call may be repeated after a crash at any point inside it and then ends as if it had run once:
  one truck, and one certificate for one key. Whoever calls retries; nothing here retries but AWS's throttling.
- **Bound.** A certificate names the truck that the registry was told, never the one its request names, and is good for
  nothing but being that truck.
- **Durable.** When a call returns, what it did survives a power cut.
- **Retired means out.** After `retire` no certificate of the truck is active, and none can be issued until `reinstate`,
  which revives no old certificate. How soon live connections end is stated by each implementation.
- **No secrets.** Private keys are no business of a registry: it sees signing requests only.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from provisioning.registry.audit_log import Author, LogLine

State = Literal["active", "retired"]
CertificateState = Literal["active", "revoked"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate of a truck. id: the registry's name for it (local: its serial number, hexadecimal).

    key_hash: SHA-256 of its public key. issued_at, not_after: RFC 3339. pem: None where the registry gives it no more.
    """

    id: str
    truck_id: str
    key_hash: str
    issued_at: str
    not_after: str
    state: CertificateState
    pem: str | None = None


@dataclass(frozen=True, slots=True)
class Truck:
    """One truck. last_seen: when the broker heard it last; None for never, or if not last_seen_known."""

    truck_id: str
    state: State
    added_at: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    last_seen: str | None = None
    last_seen_known: bool = True
    certificates: tuple[Certificate, ...] = ()

    @property
    def active(self) -> tuple[Certificate, ...]:
        """Its active certificates, newest first; two of them only while it changes from one to the other."""
        return tuple(one for one in self.certificates if one.state == "active")


class Registry(Protocol):
    """The fleet's identities. Unknown is raised for a truck that is not there, Misconfigured before `init`."""

    author: Author
    """Whom the log names for what is done by this object."""

    @property
    def workers(self) -> int:
        """How many trucks are worth doing at a time."""
        ...

    @property
    def uses_claims(self) -> bool:
        """Whether new trucks come by a claim that they share (`replace_claim`)."""
        ...

    @property
    def after_init(self) -> str:
        """What is to be done after `init`, before the first truck; "" or the beginning of a sentence."""
        ...

    def init(self, *, dry_run: bool = False) -> list[str]:
        """Make what is missing of the registry's own things; says what it made (or would), nothing if all was there."""
        ...

    def check(self, truck_id: str, attributes: Mapping[str, str]) -> None:
        """Rejected for a name or attributes that `add` would not take; asks nobody."""
        ...

    def add(self, truck_id: str, attributes: Mapping[str, str]) -> bool:
        """Make a truck, or give it these attributes; True if it is new. Rejected for a name that cannot be."""
        ...

    def get(self, truck_id: str) -> Truck:
        """One truck with all its certificates."""
        ...

    def trucks(self) -> Iterator[Truck]:
        """All trucks by name, each with its certificates."""
        ...

    def issue(self, truck_id: str, csr_pem: str) -> Certificate:
        """The active certificate for this request's key: the one there is, or a new one.

        At most two are active at once: a third takes the place of the newer, unproven one. Rejected for a bad request
        and for a retired truck.
        """
        ...

    def settle(self, truck_id: str, certificate_id: str) -> int:
        """Revoke every active certificate of the truck but this one, which must be active; how many there were."""
        ...

    def retire(self, truck_id: str) -> int:
        """Revoke all certificates and cut the truck off; how many were active."""
        ...

    def reinstate(self, truck_id: str) -> None:
        """Let the truck enrol again; it needs a new certificate."""
        ...

    def authority(self) -> str:
        """The PEM by which a truck knows the server: one certificate, or two while a CA is changed."""
        ...

    def introduction(self, truck_id: str) -> dict[str, str]:
        """For a truck's enrolment file, with secrets: `ca`, a new one-time `token` that ends the unused one before it,
        and on AWS the claim. Rejected for a retired truck."""
        ...

    def office(self) -> dict[str, str]:
        """Where a truck's certificates come from, nothing secret: `kind`, `broker`, and `url` or `template`."""
        ...

    def transaction(self) -> AbstractContextManager[object]:
        """What is done inside is one commit, where the registry knows commits."""
        ...

    def replace_claim(self) -> str:
        """Make a new claim and revoke the one before; its id. Misconfigured where the registry has no claims."""
        ...

    def ask_renewal(self, truck_id: str) -> None:
        """Have the truck change its key at its next visit. Misconfigured where trucks cannot be told."""
        ...

    def log(
        self, *, truck_id: str | None = None, action: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[LogLine]:
        """Who did what, newest first (provisioning.registry.audit_log). Misconfigured where another service keeps
        it."""
        ...

    def rotate_authority(self) -> bool:
        """Begin to change the CA: a new one signs from now on, both are trusted. False where that is under way already,
        Misconfigured where the CA is another's."""
        ...

    def behind(self) -> list[str]:
        """Trucks in use that a finished change of the CA would shut out."""
        ...

    def finish_rotation(self) -> None:
        """Trust the new CA alone; what `behind` names must enrol anew. Misconfigured where none is under way."""
        ...

    def warnings(self, days: float) -> list[str]:
        """What the operator must look after, a sentence each: a CA or server certificate that ends soon, a rotation
        that is not finished, a truck that seems to be cloned."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
