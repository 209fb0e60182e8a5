"""Enrolment at the box: a one-time token and a signing request become a certificate; later ones follow from the first.

Promises: the token alone decides which truck it is. It is kept as a hash, expires, and is used up by one key: the same
request again (the answer may have been lost on the way) gets the same certificate, any other is denied. A renewal is
signed by the key of a certificate that is still active; a confirmation by the new one, and only then is the old one
revoked. Whoever fails is told nothing but "denied", is slowed down, and is logged without what he sent.
"""

import base64
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from contract.errors import Rejected
from contract.source_limiter import SourceLimiter
from contract.timestamps import from_datetime
from provisioning import certificate_authority
from provisioning.errors import Denied, Throttled, Unknown
from provisioning.registry import Certificate
from provisioning.registry.sqlite import LocalRegistry, token_hash

log = logging.getLogger(__name__)

RENEW = b"milepost-renew\n"
CONFIRM = b"milepost-confirm\n"
_DENIED = "denied: the token or certificate is unknown, used, expired or revoked; ask for a new enrolment file"
_ALARM_SECONDS = 3600.0


class Confirmed(NamedTuple):
    """revoked: how many other certificates. renew: the truck is to change its key now."""

    revoked: int
    renew: bool


class Enrolment:
    """What `POST /v1/enroll` does. limiter: of refusals to one peer; everyone: to all of them together."""

    def __init__(
        self,
        registry: LocalRegistry,
        limiter: SourceLimiter,
        everyone: SourceLimiter,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._registry, self._limiter, self._everyone, self._now = registry, limiter, everyone, now
        self._alarmed: dict[str, float] = {}
        self._guard = threading.Lock()  # requests are judged on threads

    def enrol(self, token: str, csr_pem: str, *, peer: str) -> Certificate:
        """The certificate of the token's truck. Raises Denied, Throttled, or Rejected for a bad request."""
        key_hash = certificate_authority.key_hash(certificate_authority.read_csr(csr_pem))
        now = from_datetime(self._now())
        with self._registry.transaction() as database:
            row = database.execute("SELECT * FROM tokens WHERE hash = ?", (token_hash(token),)).fetchone()
            if row is None or row["expires_at"] < now or row["used_key_hash"] not in (None, key_hash):
                raise self._denied("enrol", peer, row and row["truck_id"])
            database.execute(
                "UPDATE tokens SET used_at = coalesce(used_at, ?), used_key_hash = ? WHERE hash = ?",
                (now, key_hash, row["hash"]),
            )
            try:
                certificate = self._registry.issue(row["truck_id"], csr_pem)
            except Rejected as error:
                raise self._denied("enrol", peer, row["truck_id"], str(error)) from None
            self._registry.note("enroll", certificate.truck_id, certificate.id, who=_truck_at(peer))
        log.info("enrolled truck_id=%s serial=%s peer=%s", certificate.truck_id, certificate.id, peer)
        return certificate

    def renew(self, certificate_pem: str, csr_pem: str, signature: str, *, peer: str) -> Certificate:
        """A certificate for a new key of the truck that signed the request with its present key."""
        present = self._proven(certificate_pem, signature, RENEW + csr_pem.encode("utf-8", "surrogatepass"), peer)
        try:
            certificate = self._registry.issue(present.truck_id, csr_pem)
        except Rejected as error:
            raise self._denied("renew", peer, present.truck_id, str(error)) from None
        self._registry.note("renew", present.truck_id, certificate.id, who=_truck_at(peer))
        log.info("renewed truck_id=%s serial=%s peer=%s", certificate.truck_id, certificate.id, peer)
        return certificate

    def confirm(self, certificate_pem: str, signature: str, *, peer: str) -> Confirmed:
        """The truck has used this certificate at the broker: its others are revoked. It may say so again at any time,
        and learns whom to trust and whether it is to renew."""
        present = self._proven(certificate_pem, signature, CONFIRM, peer)
        retired = self._registry.revoke_others(present.truck_id, present.id)
        if retired:
            self._registry.note("confirm", present.truck_id, present.id, who=_truck_at(peer))
        log.info("confirmed truck_id=%s serial=%s revoked=%d peer=%s", present.truck_id, present.id, retired, peer)
        return Confirmed(retired, self._registry.must_renew(present))

    def roots(self) -> str:
        """Whom a truck is to trust (PEM)."""
        return self._registry.authority()

    def command_key(self) -> str | None:
        """By which a truck knows its operator's commands (PEM); None where there is none yet."""
        return self._registry.command_key.public()

    def _proven(self, certificate_pem: str, signature: str, message: bytes, peer: str) -> Certificate:
        """The active certificate whose holder signed this message.

        A name that the registry knows and one that it does not are answered alike, and after the same work.
        """
        issued = certificate_authority.described(certificate_pem)
        try:
            name = certificate_authority.common_name(certificate_pem)
            genuine = certificate_authority.vouches_for(self._registry.authority(), certificate_pem)
            signed = certificate_authority.signed_by(
                certificate_pem, base64.b64decode(signature, validate=True), message
            )
        except (Rejected, ValueError):  # what a stranger sent may be no base64, and no name
            raise self._denied("proof", peer) from None
        found = self._certificate(name, issued.serial)
        if not (genuine and signed):
            raise self._denied("proof", peer, name)
        if found is None or found.state != "active" or issued.not_after < self._now():
            if found is not None and self._was_replaced(found):
                self._alarm(found, peer)
            raise self._denied("proof", peer, name)
        return found

    def _certificate(self, truck_id: str, serial: str) -> Certificate | None:
        try:
            return next((one for one in self._registry.get(truck_id).certificates if one.id == serial), None)
        except Unknown:
            return None

    def _was_replaced(self, certificate: Certificate) -> bool:
        """Whether a certificate that has not ended was revoked, and its truck goes on with another one: who still has
        its key has missed a change that an honest gateway makes itself."""
        truck = self._registry.get(certificate.truck_id)
        lasts = certificate.not_after > from_datetime(self._now())
        return lasts and certificate.state == "revoked" and truck.state == "active" and bool(truck.active)

    def _alarm(self, certificate: Certificate, peer: str) -> None:
        """In log and registry, once an hour for each certificate: who is shut out comes again every minute."""
        now = self._now().timestamp()
        if now - self._alarmed.get(certificate.id, 0.0) < _ALARM_SECONDS:
            return
        self._alarmed[certificate.id] = now
        self._registry.note("clone_suspected", certificate.truck_id, certificate.id, who=_truck_at(peer))
        log.error(
            "clone_suspected truck_id=%s serial=%s peer=%s: another gateway has replaced this certificate, and one of "
            "the two is a copy (docs/security.md)",
            certificate.truck_id,
            certificate.id,
            peer,
        )

    def _spend(self, limiter: SourceLimiter, whose: str, peer: str) -> None:
        with self._guard:
            seconds = limiter.wait(whose)
        if seconds:
            log.warning("enrolment_throttled peer=%s", peer)
            raise Throttled(seconds)

    def _denied(self, what: str, peer: str, truck_id: str | None = None, why: str = "") -> Denied:
        """The refusal, which is counted against its source and against all; Throttled where there were too many.

        What is proven is never counted: a whole depot of trucks may enroll from behind one address, also beside a
        guesser.
        """
        self._spend(self._limiter, peer, peer)
        self._spend(self._everyone, "everyone", peer)
        log.warning("enrolment_denied what=%s peer=%s truck_id=%s why=%r", what, peer, truck_id, why)
        return Denied(_DENIED)


def _truck_at(peer: str) -> str:
    return f"gateway at {peer}"


def open_enrolment(registry: LocalRegistry, clock: Callable[[], float] = time.monotonic) -> Enrolment:
    """Enrolment with its limits of refusals: 30 a minute of one address, 20 at once; 1,200 in all, 300 at once.

    Args:
        registry: where certificates are issued and tokens spent.
        clock: seconds, never going back; for tests.

    Returns:
        The service behind the enrolment door.
    """
    return Enrolment(registry, SourceLimiter(0.5, 20, clock=clock), everyone=SourceLimiter(20, 300, clock=clock))
