"""Enrolment at the box: a one-time token and a signing request become a certificate; later ones follow from the first.

Promises: the token alone decides which truck it is. It is kept as a hash, expires, and is used up by one key: the same
request again (the answer may have been lost on the way) gets the same certificate, any other is denied. A renewal is
signed by the key of a certificate that is still active; a confirmation by the new one, and only then is the old one
revoked. Whoever fails is told nothing but "denied", is slowed down, and is logged without what he sent.
"""

import base64
import hashlib
import logging
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from contract.errors import Rejected
from contract.timestamps import from_datetime
from provisioning import certificate_authority
from provisioning.errors import Denied, Throttled
from provisioning.registry import Certificate
from provisioning.registry.sqlite import LocalRegistry

log = logging.getLogger(__name__)

RENEW = b"milepost-renew\n"
CONFIRM = b"milepost-confirm\n"
_DENIED = "denied: the token or certificate is unknown, used, expired or revoked; ask for a new enrolment file"
_PREFIX = "mpe_"  # so that a scanner for leaked secrets can find one


class Limiter:
    """Token buckets, one a peer and one for all: `burst` at once, then `per_minute`. Monotonic seconds by `clock`."""

    def __init__(self, clock: Callable[[], float], *, per_minute: float = 10, burst: int = 10) -> None:
        self._clock, self._rate, self._burst = clock, per_minute / 60, burst
        self._levels: dict[str, tuple[float, float]] = {}

    def spend(self, peer: str) -> None:
        """Count one request of a peer; Throttled if it has none left."""
        now = self._clock()
        if len(self._levels) > 10_000:
            self._levels = {k: v for k, v in self._levels.items() if now - v[1] < self._burst / self._rate}
        level, at = self._levels.get(peer, (float(self._burst), now))
        level = min(self._burst, level + (now - at) * self._rate)
        if level < 1:
            raise Throttled((1 - level) / self._rate)
        self._levels[peer] = (level - 1, now)


class Enrolment:
    """What `POST /v1/enroll` does. limiter: for peers; everyone: for all of them together."""

    def __init__(
        self,
        registry: LocalRegistry,
        limiter: Limiter,
        everyone: Limiter,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._registry, self._limiter, self._everyone, self._now = registry, limiter, everyone, now

    def make_token(self, truck_id: str, *, hours: float) -> str:
        """A new token for a truck, which replaces an unused one; the only time that it is seen."""
        token = _PREFIX + secrets.token_urlsafe(32)
        with self._registry.transaction() as database:
            if self._registry.get(truck_id).state == "retired":
                raise Rejected(
                    "truck_id", f"{truck_id} is retired: `milepost provision truck reinstate {truck_id}` first"
                )
            database.execute("DELETE FROM tokens WHERE truck_id = ? AND used_at IS NULL", (truck_id,))
            expires_at = from_datetime(self._now() + timedelta(hours=hours))
            row = (_hash(token), truck_id, expires_at)
            database.execute("INSERT INTO tokens (hash, truck_id, expires_at) VALUES (?, ?, ?)", row)
        return token

    def enrol(self, token: str, csr_pem: str, *, peer: str) -> Certificate:
        """The certificate of the token's truck. Raises Denied, Throttled, or Rejected for a bad request."""
        self._admit(peer)
        key_hash = certificate_authority.key_hash(certificate_authority.read_csr(csr_pem))
        now = from_datetime(self._now())
        with self._registry.transaction() as database:
            row = database.execute("SELECT * FROM tokens WHERE hash = ?", (_hash(token),)).fetchone()
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
        log.info("enrolled truck_id=%s serial=%s peer=%s", certificate.truck_id, certificate.id, peer)
        return certificate

    def renew(self, certificate_pem: str, csr_pem: str, signature: str, *, peer: str) -> Certificate:
        """A certificate for a new key of the truck that signed the request with its present key."""
        present = self._proven(certificate_pem, signature, RENEW + csr_pem.encode("utf-8", "surrogatepass"), peer)
        try:
            certificate = self._registry.issue(present.truck_id, csr_pem)
        except Rejected as error:
            raise self._denied("renew", peer, present.truck_id, str(error)) from None
        log.info("renewed truck_id=%s serial=%s peer=%s", certificate.truck_id, certificate.id, peer)
        return certificate

    def confirm(self, certificate_pem: str, signature: str, *, peer: str) -> int:
        """The truck has used this certificate at the broker: revoke its others; how many there were."""
        present = self._proven(certificate_pem, signature, CONFIRM, peer)
        retired = self._registry.settle(present.truck_id, present.id)
        log.info("confirmed truck_id=%s serial=%s revoked=%d peer=%s", present.truck_id, present.id, retired, peer)
        return retired

    def _proven(self, certificate_pem: str, signature: str, message: bytes, peer: str) -> Certificate:
        """The active certificate whose holder signed this message."""
        self._admit(peer)
        issued = certificate_authority.described(certificate_pem)
        try:
            name = certificate_authority.common_name(certificate_pem)
            genuine = certificate_authority.vouches_for(self._registry.authority(), certificate_pem)
            signed = certificate_authority.signed_by(
                certificate_pem, base64.b64decode(signature, validate=True), message
            )
            found = next((one for one in self._registry.get(name).active if one.id == issued.serial), None)
        except (Rejected, ValueError):  # what a stranger sent may be no base64, and no name
            raise self._denied("proof", peer) from None
        if not (genuine and signed and found) or issued.not_after < self._now():
            raise self._denied("proof", peer, name)
        return found

    def _admit(self, peer: str) -> None:
        """Bound the work for all together. A single address is limited by its refusals only (`_denied`): a whole depot
        of trucks may enroll from behind one."""
        self._spend(self._everyone, "everyone", peer)

    def _spend(self, limiter: Limiter, whose: str, peer: str) -> None:
        try:
            limiter.spend(whose)
        except Throttled:
            log.warning("enrolment_throttled peer=%s", peer)
            raise

    def _denied(self, what: str, peer: str, truck_id: str | None = None, why: str = "") -> Denied:
        """The refusal, which is counted against its source; Throttled where it has had too many."""
        self._spend(self._limiter, peer, peer)
        log.warning("enrolment_denied what=%s peer=%s truck_id=%s why=%r", what, peer, truck_id, why)
        return Denied(_DENIED)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def open_enrolment(registry: LocalRegistry, clock: Callable[[], float] = time.monotonic) -> Enrolment:
    """Enrolment with its limits: 30 refusals a minute of one address, 20 at once; 6,000 requests in all, 2,000 at once.

    A refusal's limit cannot shut out a truck at the same address: what is proven is never counted against it.
    """
    return Enrolment(
        registry, Limiter(clock, per_minute=30, burst=20), everyone=Limiter(clock, per_minute=6000, burst=2000)
    )
