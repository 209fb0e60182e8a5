"""The local registry: an own CA and a SQLite file in the data directory; `provisioning/` of it, closed to others.

Each change is one transaction, and bumps `revision`, by which a running box sees within a quarter of a second that it
must bring the broker in step (provisioning.broker.access_reconciler). The CA's key is read only to sign something.
"""

import hashlib
import json
import logging
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contract.errors import Misconfigured, Rejected
from contract.timestamps import from_datetime
from contract.topics import ID
from provisioning import certificate_authority
from provisioning.errors import Unknown
from provisioning.registry import Certificate, Truck, audit_log
from provisioning.registry.audit_log import Author
from provisioning.registry.site import Wish
from provisioning.registry.sqlite_certificate_authority import LocalAuthority
from provisioning.registry.sqlite_file import now_text, revoke
from provisioning.reserved_names import reserved
from provisioning.settings import ProvisioningSettings

log = logging.getLogger(__name__)

_MAX_ATTRIBUTES = 4096
_CA_WARNED_DAYS = 365
_TOKEN_PREFIX = "mpe_"  # so that a scanner for leaked secrets can find one


class LocalRegistry(LocalAuthority):
    """The registry of one data directory.

    wish: what `init` is to make of it. author: whom the log names for what is done by this object.
    """

    workers = 4
    uses_claims = False
    after_init = "restart `milepost up`, then "

    def __init__(
        self, data_dir: Path, settings: ProvisioningSettings, *, wish: Wish | None = None, author: Author | None = None
    ) -> None:
        super().__init__(data_dir, wish, author)
        self._settings = settings

    def check(self, truck_id: str, attributes: Mapping[str, str]) -> None:
        """What `add` would refuse."""
        if not ID.fullmatch(truck_id) or reserved(truck_id):
            raise Rejected(
                "truck_id", f"{truck_id!r:.70} must be 1 to 64 of A-Z, a-z, 0-9, _ and -, and not the box's own"
            )
        if len(_written(attributes)) > _MAX_ATTRIBUTES:
            raise Rejected("attributes", f"more than {_MAX_ATTRIBUTES} bytes in all")

    def add(self, truck_id: str, attributes: Mapping[str, str]) -> bool:
        """Make a truck, or give it these attributes; True if it is new."""
        self.check(truck_id, attributes)
        text = _written(attributes)
        with self._change() as database:
            new = database.execute(
                "INSERT OR IGNORE INTO trucks (truck_id, added_at, attributes) VALUES (?, ?, ?)",
                (truck_id, now_text(), text),
            ).rowcount
            changed = 0
            if attributes and not new:
                changed = database.execute(
                    "UPDATE trucks SET attributes = ? WHERE truck_id = ? AND attributes != ?", (text, truck_id, text)
                ).rowcount
            if new or changed:
                audit_log.write(database, self.author, "add" if new else "change", truck_id, text)
        return bool(new)

    def get(self, truck_id: str) -> Truck:
        """One truck with all its certificates."""
        with self._guard:
            row = self._db.execute("SELECT * FROM trucks WHERE truck_id = ?", (truck_id,)).fetchone()
            if row is None:
                raise Unknown(truck_id)
            return _truck(row, self._db.execute(f"{_CERTIFICATES} WHERE truck_id = ? {_NEWEST}", (truck_id,)))

    def trucks(self) -> Iterator[Truck]:
        """All trucks by name."""
        with self._guard:
            certificates: dict[str, list[sqlite3.Row]] = {}
            for row in self._db.execute(f"{_CERTIFICATES} {_NEWEST}"):
                certificates.setdefault(row["truck_id"], []).append(row)
            rows = self._db.execute("SELECT * FROM trucks ORDER BY truck_id").fetchall()
        return (_truck(row, certificates.get(row["truck_id"], [])) for row in rows)

    def issue(self, truck_id: str, csr_pem: str) -> Certificate:
        """The active certificate for this request's key."""
        key_hash = certificate_authority.key_hash(certificate_authority.read_csr(csr_pem))
        with self._change() as database:
            active = self._active(database, truck_id)
            if found := next((one for one in active if one.key_hash == key_hash), None):
                return found
            if database.execute("SELECT 1 FROM certificates WHERE key_hash = ?", (key_hash,)).fetchone():
                raise Rejected("csr", "its key has been used before: make a new key")
            if len(active) > 1:
                revoke(database, [active[0].id])
            issued = self.files.signing().issue(csr_pem, truck_id, days=self._settings.certificate_days)
            not_after, now = from_datetime(issued.not_after), now_text()
            database.execute(
                "INSERT INTO certificates (id, truck_id, key_hash, pem, issued_at, not_after)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (issued.serial, truck_id, key_hash, issued.pem, now, not_after),
            )
            audit_log.write(database, self.author, "issue", truck_id, issued.serial)
        log.info("certificate_issued truck_id=%s serial=%s not_after=%s", truck_id, issued.serial, not_after)
        return Certificate(issued.serial, truck_id, key_hash, now, not_after, "active", issued.pem)

    def _active(self, database: sqlite3.Connection, truck_id: str) -> tuple[Certificate, ...]:
        """Newest first; Rejected for a retired truck."""
        truck = self.get(truck_id)
        if truck.state == "retired":
            raise _retired(truck_id)
        expired = [one.id for one in truck.active if one.not_after < now_text()]
        revoke(database, expired)
        return tuple(one for one in truck.active if one.id not in expired)

    def revoke_others(self, truck_id: str, certificate_id: str) -> int:
        """Revoke every active certificate of the truck but this one."""
        with self._change() as database:
            active = self._active(database, truck_id)
            if certificate_id not in {one.id for one in active}:
                raise Rejected("certificate", f"{certificate_id} is no active certificate of {truck_id}")
            others = [one.id for one in active if one.id != certificate_id]
            revoke(database, others)
            for one in others:
                audit_log.write(database, self.author, "revoke", truck_id, one)
        self.write_revocations()
        return len(others)

    def retire(self, truck_id: str) -> int:
        """Revoke all; the running box cuts the truck off within two seconds (provisioning.broker.access_reconciler)."""
        with self._change() as database:
            active = self.get(truck_id).active
            revoke(database, [one.id for one in active])
            database.execute("UPDATE trucks SET state = 'retired' WHERE truck_id = ?", (truck_id,))
            database.execute("DELETE FROM tokens WHERE truck_id = ?", (truck_id,))
            audit_log.write(database, self.author, "retire", truck_id, f"{len(active)} revoked")
        self.write_revocations()
        log.info("truck_retired truck_id=%s certificates=%d", truck_id, len(active))
        return len(active)

    def reinstate(self, truck_id: str) -> None:
        """Let the truck enrol again."""
        with self._change() as database:
            if self.get(truck_id).state == "retired":
                database.execute("UPDATE trucks SET state = 'active' WHERE truck_id = ?", (truck_id,))
                audit_log.write(database, self.author, "reinstate", truck_id)

    def behind(self) -> list[str]:
        """Trucks in use without a certificate of the newest CA: those that a finished rotation would shut out."""
        newest, now = self.files.newest(), now_text()
        return [
            truck.truck_id
            for truck in self.trucks()
            if (good := [one for one in truck.active if one.not_after > now])
            and not any(certificate_authority.vouches_for(newest, one.pem or "") for one in good)
        ]

    def make_token(self, truck_id: str, *, hours: float, now: datetime | None = None) -> str:
        """A new one-time token, which replaces an unused one.

        Args:
            truck_id: for whom.
            hours: how long it may be used.
            now: for tests.

        Returns:
            The token; this is the only time that it is seen, since only its hash is kept.

        Raises:
            Rejected: a retired truck.
        """
        token = _TOKEN_PREFIX + secrets.token_urlsafe(32)
        with self._change() as database:
            if self.get(truck_id).state == "retired":
                raise _retired(truck_id)
            database.execute("DELETE FROM tokens WHERE truck_id = ? AND used_at IS NULL", (truck_id,))
            expires_at = from_datetime((now or datetime.now(UTC)) + timedelta(hours=hours))
            row = (token_hash(token), truck_id, expires_at)
            database.execute("INSERT INTO tokens (hash, truck_id, expires_at) VALUES (?, ?, ?)", row)
            audit_log.write(database, self.author, "token", truck_id, f"until {expires_at}")
        return token

    def introduction(self, truck_id: str) -> dict[str, str]:
        """For the enrolment file: CA and a new token."""
        token = self.make_token(truck_id, hours=self._settings.token_hours)
        return {"ca": self.authority(), "token": token}

    def office(self) -> dict[str, str]:
        """Where certificates come from."""
        site = self.site
        return {"kind": "https", "broker": site.broker, "url": site.url}

    def ask_renewal(self, truck_id: str) -> None:
        """Have the truck renew at its next visit: within a day."""
        with self._change() as database:
            self.get(truck_id)
            database.execute("UPDATE trucks SET renewal_asked_at = ? WHERE truck_id = ?", (now_text(), truck_id))
            audit_log.write(database, self.author, "ask_renewal", truck_id)

    def must_renew(self, certificate: Certificate) -> bool:
        """Whether a truck is to renew before it would by itself.

        Args:
            certificate: what it connects with.

        Returns:
            True where it was asked to since, or there is a newer CA.
        """
        with self._guard:
            row = self._db.execute(
                "SELECT renewal_asked_at FROM trucks WHERE truck_id = ?", (certificate.truck_id,)
            ).fetchone()
        if row and row["renewal_asked_at"] and row["renewal_asked_at"] > certificate.issued_at:
            return True
        return not certificate_authority.vouches_for(self.files.newest(), certificate.pem or "")

    def warnings(self, days: float) -> list[str]:
        """What ends soon, or must be finished; `days`: how soon. A CA is named a year before its end."""
        now, found = datetime.now(UTC), []
        ca_ends, server_ends = self.files.ends()
        if ca_ends < now + timedelta(days=max(days, _CA_WARNED_DAYS)):
            found.append(f"the CA ends on {ca_ends:%Y-%m-%d}: `milepost provision ca rotate` makes the next one")
        if server_ends < now + timedelta(days=days):
            found.append(
                f"server.pem ends on {server_ends:%Y-%m-%d}: `milepost up` renews it; without it say `provision init`"
            )
        if len(self.files.numbers) > 1:
            behind = len(self.behind())
            found.append(
                f"the CA is being changed; trucks that have not moved: {behind}"
                if behind
                else "the CA is being changed and all trucks have moved: `milepost provision ca finish`"
            )
        for truck_id in self.cloned():
            found.append(f"{truck_id} may be cloned: `milepost provision log --truck {truck_id}` (docs/security.md)")
        return found

    def cloned(self) -> list[str]:
        """Trucks that seem to be two.

        Returns:
            Names of those of which a certificate was used after another gateway had replaced it; until the truck is
            retired or gets a new enrolment file.
        """
        with self._guard:
            rows = self._db.execute(
                "SELECT truck_id, max(id) FILTER (WHERE action = 'clone_suspected') AS seen,"
                " max(id) FILTER (WHERE action IN ('retire', 'token')) AS mended"
                " FROM log WHERE truck_id IS NOT NULL GROUP BY truck_id HAVING seen > ifnull(mended, 0)"
            )
            return [row["truck_id"] for row in rows]

    def figures(self) -> dict[str, float]:
        """What /metrics tells of identities.

        Returns:
            Days until CA and server certificate end, trucks in use, those whose certificates have ended or end within
            20 days, those that seem cloned.

        Raises:
            Misconfigured: there is no CA yet.
        """
        now = datetime.now(UTC)
        ca_ends, server_ends = self.files.ends()
        ends = "SELECT t.truck_id, max(c.not_after) AS ends FROM trucks t JOIN certificates c USING (truck_id)"
        ends += " WHERE t.state = 'active' AND c.state = 'active' GROUP BY 1"
        with self._guard:
            row = self._db.execute(
                f"SELECT count(*) AS trucks, sum(ends < ?) AS ended, sum(ends < ?) AS ending FROM ({ends})",
                (from_datetime(now), from_datetime(now + timedelta(days=20))),
            ).fetchone()
        return {
            "ca_days_left": (ca_ends - now) / timedelta(days=1),
            "server_days_left": (server_ends - now) / timedelta(days=1),
            "trucks": row["trucks"],
            "trucks_ended": row["ended"] or 0,
            "trucks_ending": (row["ending"] or 0) - (row["ended"] or 0),
            "trucks_cloned": len(self.cloned()),
        }

    def replace_claim(self) -> str:
        """A box has none."""
        raise Misconfigured("a box has no claim")

    def seen(self, truck_id: str, at: str) -> None:
        """Note that the broker heard a truck. No change of revision: nothing follows from it.

        Args:
            truck_id: whom.
            at: when, RFC 3339.
        """
        with self._guard:
            self._db.execute("UPDATE trucks SET last_seen = ? WHERE truck_id = ?", (at, truck_id))


_CERTIFICATES = "SELECT id, truck_id, key_hash, issued_at, not_after, state, pem, revoked_at FROM certificates"
_NEWEST = "ORDER BY rowid DESC"


def _written(attributes: Mapping[str, str]) -> str:
    return json.dumps(dict(attributes), sort_keys=True)


def _truck(row: sqlite3.Row, certificates: object) -> Truck:
    return Truck(
        truck_id=row["truck_id"],
        state=row["state"],
        added_at=row["added_at"],
        attributes=json.loads(row["attributes"]),
        last_seen=row["last_seen"],
        certificates=tuple(Certificate(**dict(one)) for one in certificates),  # type: ignore[attr-defined]
    )


def _retired(truck_id: str) -> Rejected:
    return Rejected("truck_id", f"{truck_id} is retired: `milepost provision truck reinstate {truck_id}` first")


def token_hash(token: str) -> str:
    """As which a token is kept."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
