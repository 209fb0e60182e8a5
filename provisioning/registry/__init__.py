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

from provisioning.command_key import CommandKey
from provisioning.registry.audit_log import Author, LogLine

State = Literal["active", "retired"]
CertificateState = Literal["active", "revoked"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate of a truck. id: the registry's name for it (local: its serial number, hexadecimal).

    key_hash: SHA-256 of its public key. issued_at, not_after: RFC 3339. pem: None where the registry gives it no more.
    revoked_at: RFC 3339, None for an active one and where the registry does not keep it.
    """

    id: str
    truck_id: str
    key_hash: str
    issued_at: str
    not_after: str
    state: CertificateState
    pem: str | None = None
    revoked_at: str | None = None


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

    command_key: CommandKey
    """By which trucks know their operator's commands."""

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
        """Make what is missing of the registry's own things. May be killed anywhere and called again.

        Args:
            dry_run: change nothing.

        Returns:
            What it made (or would), by name; empty if all was there.
        """
        ...

    def check(self, truck_id: str, attributes: Mapping[str, str]) -> None:
        """Judge a truck's name and attributes before anything is asked of a service.

        Args:
            truck_id: the wanted name.
            attributes: name → value, as `add` takes them.

        Raises:
            Rejected: `add` would not take them.
        """
        ...

    def add(self, truck_id: str, attributes: Mapping[str, str]) -> bool:
        """Make a truck, or give it these attributes; durable when it returns.

        Args:
            truck_id: its name; the same again is no error.
            attributes: name → value; those of other names stay.

        Returns:
            True if it is new.

        Raises:
            Rejected: a name that cannot be.
        """
        ...

    def get(self, truck_id: str) -> Truck:
        """One truck with all its certificates.

        Args:
            truck_id: its name.

        Returns:
            With every certificate that it ever had, the newest first.

        Raises:
            Unknown: there is no such truck.
        """
        ...

    def trucks(self) -> Iterator[Truck]:
        """All trucks, each with its certificates.

        Returns:
            By name, ascending; read as it is asked for.
        """
        ...

    def issue(self, truck_id: str, csr_pem: str) -> Certificate:
        """The active certificate for a request's key: the one there is, or a new one.

        Args:
            truck_id: to whom; the request's own subject is ignored.
            csr_pem: PKCS#10, PEM.

        Returns:
            Durable when it returns. At most two are active at once: a third takes the place of the newer, unproven
            one.

        Raises:
            Rejected: a bad request, or a retired truck.
        """
        ...

    def revoke_others(self, truck_id: str, certificate_id: str) -> int:
        """Revoke every active certificate of a truck but one.

        Args:
            truck_id: whose.
            certificate_id: the one that stays, which must be active.

        Returns:
            How many were revoked.

        Raises:
            Rejected: it is not active.
        """
        ...

    def retire(self, truck_id: str) -> int:
        """Revoke all certificates of a truck and cut it off.

        Args:
            truck_id: whose.

        Returns:
            How many were active; 0 for a truck that was retired before.
        """
        ...

    def reinstate(self, truck_id: str) -> None:
        """Let a retired truck enrol again; it needs a new certificate.

        Args:
            truck_id: whose; no error for one in use.
        """
        ...

    def authority(self) -> str:
        """What a truck knows the server by.

        Returns:
            PEM: one certificate, or two while a CA is changed.
        """
        ...

    def introduction(self, truck_id: str) -> dict[str, str]:
        """What a truck's enrolment file holds, with secrets: to be written 0600 and nowhere else.

        Args:
            truck_id: whose.

        Returns:
            `ca`, a new one-time `token` that ends the unused one before it, and on AWS the claim.

        Raises:
            Rejected: a retired truck.
        """
        ...

    def office(self) -> dict[str, str]:
        """Where a truck's certificates come from.

        Returns:
            Nothing secret: `kind`, `broker`, and `url` or `template`.
        """
        ...

    def transaction(self) -> AbstractContextManager[object]:
        """Do several things as one commit.

        Returns:
            A context; what is done inside is durable at its end, or not at all where the registry knows commits.
        """
        ...

    def replace_claim(self) -> str:
        """Make a new claim and revoke the one before.

        Returns:
            The new one's id.

        Raises:
            Misconfigured: the registry has no claims.
        """
        ...

    def ask_renewal(self, truck_id: str) -> None:
        """Have a truck change its key at its next visit.

        Args:
            truck_id: whose.

        Raises:
            Misconfigured: trucks cannot be told.
        """
        ...

    def log(
        self, *, truck_id: str | None = None, action: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[LogLine]:
        """Who did what to which truck, when and why (provisioning.registry.audit_log).

        Args:
            truck_id: only of this one.
            action: only of this kind.
            before: only lines with a smaller id, to go on from a page's last.
            limit: at most so many.

        Returns:
            Newest first.

        Raises:
            Misconfigured: another service keeps it.
        """
        ...

    def note(self, action: str, truck_id: str | None = None, detail: str = "") -> None:
        """Append a line to the log, where this service keeps it.

        Args:
            action: what was done.
            truck_id: to whom.
            detail: how.
        """
        ...

    def rotate_authority(self) -> bool:
        """Begin to change the CA: a new one signs from now on, both are trusted.

        Returns:
            False where that is under way already.

        Raises:
            Misconfigured: the CA is another's.
        """
        ...

    def behind(self) -> list[str]:
        """Who must move before a change of the CA may be finished.

        Returns:
            Names of trucks in use that the finished change would shut out.
        """
        ...

    def finish_rotation(self) -> None:
        """Trust the new CA alone; what `behind` names must enrol anew. Misconfigured where none is under way."""
        ...

    def warnings(self, days: float) -> list[str]:
        """What the operator must look after.

        Args:
            days: how soon an end is soon.

        Returns:
            A sentence each: a CA or server certificate that ends soon, a rotation that is not finished, a truck that
            seems to be cloned.

        Raises:
            Misconfigured: there is no registry yet.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
