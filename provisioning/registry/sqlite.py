"""The local registry: an own CA and a SQLite file in the data directory; `provisioning/` of it, closed to others.

Each change is one transaction, and bumps `revision`, by which a running box sees within a quarter of a second that it
must bring the broker in step (provisioning.broker.access_reconciler). The CA's key is read only to sign something.
"""

import json
import logging
import socket
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contract.errors import Misconfigured, Rejected
from contract.timestamps import from_datetime
from contract.topics import ID
from provisioning import certificate_authority, secure_files
from provisioning.certificate_authority import Authority, Revoked
from provisioning.errors import Unknown
from provisioning.registry import Certificate, Truck
from provisioning.registry.sqlite_schema import connect
from provisioning.reserved_names import reserved
from provisioning.settings import ProvisioningSettings

log = logging.getLogger(__name__)

FOLDER = "provisioning"
_SERVER_DAYS = 825
_RENEWED_BEFORE = timedelta(days=90)
_LOCAL_HOSTS = ("localhost", "127.0.0.1")
_MAX_ATTRIBUTES = 4096


class LocalRegistry:
    """The registry of one data directory. hosts: by which names trucks reach this machine (only `init` needs them)."""

    def __init__(self, data_dir: Path, settings: ProvisioningSettings, *, hosts: tuple[str, ...] = ()) -> None:
        self.folder = data_dir / FOLDER
        self._settings = settings
        self._hosts = hosts
        self._database: sqlite3.Connection | None = None
        self._guard = threading.RLock()

    def init(self, *, dry_run: bool = False) -> list[str]:
        """CA, server certificate, registry. Other `hosts`, or under 90 days left, make a new server certificate."""
        parts = {"ca.pem": "certificate authority (ca.key, ca.pem)", "registry.db": "registry (registry.db)"}
        made = [label for name, label in parts.items() if not (self.folder / name).exists()]
        self._check_authority()
        for host in self._hosts:
            certificate_authority.check_host(host)
        if not dry_run:
            secure_files.private_folder(self.folder)
            self._init_authority()
            with self._guard:
                self._database = self._database or connect(self.folder / "registry.db", create=True)
        known = json.loads((self.meta("hosts") if self.exists else None) or "[]")
        hosts = list(dict.fromkeys([*(self._hosts or known), *_LOCAL_HOSTS]))
        if known == hosts and self._server_is_good():
            return made
        if not dry_run:
            self._init_server(hosts)
        return [*made, f"server certificate (server.pem) for {', '.join(hosts)}"]

    @property
    def exists(self) -> bool:
        """Whether `init` has made it."""
        return (self.folder / "registry.db").exists()

    def _check_authority(self) -> None:
        """A registry without its CA is damage, not a beginning: a new CA would shut out every truck."""
        there = {name: (self.folder / name).exists() for name in ("ca.key", "ca.pem")}
        begun = self.exists or there["ca.pem"]
        lost = [name for name, is_there in there.items() if begun and not is_there]
        if lost:
            raise Misconfigured(
                f"{' and '.join(lost)} of {self.folder} is missing: restore ca.key and ca.pem from a backup; "
                "only to enrol all trucks anew, remove ca.* and registry.db and say `init` again"
            )

    def _init_authority(self) -> None:
        """Where a kill has left the key alone it is used: a CA's key is never replaced."""
        key_file, certificate_file = self.folder / "ca.key", self.folder / "ca.pem"
        if certificate_file.exists():
            return
        name = f"Milepost CA {socket.gethostname()}"[:64]
        if key_file.exists():
            certificate = certificate_authority.authority_for(secure_files.read_private(key_file), name)
        else:
            key, certificate = certificate_authority.new_authority(name)
            secure_files.write(key_file, key, mode=secure_files.PRIVATE)
        secure_files.write(certificate_file, certificate, mode=secure_files.PUBLIC)

    def _server_is_good(self) -> bool:
        """Whether server.key and server.pem are there, belong together and to this CA, and last; and the list is."""
        names = ("server.pem", "server.key", "crl.pem")
        if not all((self.folder / name).exists() for name in names):
            return False
        certificate = (self.folder / "server.pem").read_text(encoding="ascii", errors="replace")
        if not certificate_authority.matches((self.folder / "server.key").read_bytes(), certificate):
            return False
        return certificate_authority.vouches_for(self.authority(), certificate) and not _ends_soon(certificate)

    def _init_server(self, hosts: list[str]) -> None:
        key, csr = certificate_authority.new_key()
        name = next((host for host in hosts if ID.fullmatch(host)), "milepost-server")
        issued = self._authority().issue(csr, name, days=_SERVER_DAYS, role="server", hosts=hosts)
        secure_files.write(self.folder / "server.key", key, mode=secure_files.PRIVATE)
        secure_files.write(self.folder / "server.pem", issued.pem, mode=secure_files.PUBLIC)
        self.write_revocations()
        with self._change() as database:
            _put(database, "hosts", json.dumps(hosts))

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
                (truck_id, _now(), text),
            ).rowcount
            if attributes and not new:
                database.execute("UPDATE trucks SET attributes = ? WHERE truck_id = ?", (text, truck_id))
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
                _revoke(database, [active[0].id])
            issued = self._authority().issue(csr_pem, truck_id, days=self._settings.certificate_days)
            not_after, now = from_datetime(issued.not_after), _now()
            database.execute(
                "INSERT INTO certificates (id, truck_id, key_hash, pem, issued_at, not_after)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (issued.serial, truck_id, key_hash, issued.pem, now, not_after),
            )
        log.info("certificate_issued truck_id=%s serial=%s not_after=%s", truck_id, issued.serial, not_after)
        return Certificate(issued.serial, truck_id, key_hash, now, not_after, "active", issued.pem)

    def _active(self, database: sqlite3.Connection, truck_id: str) -> tuple[Certificate, ...]:
        """Newest first; Rejected for a retired truck."""
        truck = self.get(truck_id)
        if truck.state == "retired":
            raise Rejected("truck_id", f"{truck_id} is retired: `milepost provision truck reinstate {truck_id}` first")
        expired = [one.id for one in truck.active if one.not_after < _now()]
        _revoke(database, expired)
        return tuple(one for one in truck.active if one.id not in expired)

    def settle(self, truck_id: str, certificate_id: str) -> int:
        """Revoke every active certificate of the truck but this one."""
        with self._change() as database:
            active = self._active(database, truck_id)
            if certificate_id not in {one.id for one in active}:
                raise Rejected("certificate", f"{certificate_id} is no active certificate of {truck_id}")
            others = [one.id for one in active if one.id != certificate_id]
            _revoke(database, others)
        self.write_revocations()
        return len(others)

    def retire(self, truck_id: str) -> int:
        """Revoke all; the running box cuts the truck off within two seconds (provisioning.broker.access_reconciler)."""
        with self._change() as database:
            active = self.get(truck_id).active
            _revoke(database, [one.id for one in active])
            database.execute("UPDATE trucks SET state = 'retired' WHERE truck_id = ?", (truck_id,))
            database.execute("DELETE FROM tokens WHERE truck_id = ?", (truck_id,))
        self.write_revocations()
        log.info("truck_retired truck_id=%s certificates=%d", truck_id, len(active))
        return len(active)

    def reinstate(self, truck_id: str) -> None:
        """Let the truck enrol again."""
        with self._change() as database:
            self.get(truck_id)
            database.execute("UPDATE trucks SET state = 'active' WHERE truck_id = ?", (truck_id,))

    def authority(self) -> str:
        """The CA's certificate."""
        self._check_authority()
        return (self.folder / "ca.pem").read_text(encoding="ascii")

    def seen(self, truck_id: str, at: str) -> None:
        """Note that the broker heard a truck. No change of revision: nothing follows from it."""
        with self._guard:
            self._db.execute("UPDATE trucks SET last_seen = ? WHERE truck_id = ?", (at, truck_id))

    def write_revocations(self) -> Path:
        """Write the revocation list of now; the file that the broker loads."""
        path = self.folder / "crl.pem"
        with self._guard:
            kept = self._take_back(path)
            rows = self._db.execute(
                "SELECT id, revoked_at FROM certificates WHERE state = 'revoked' AND not_after > ?", [_now()]
            )
            known = {row["id"]: Revoked(row["id"], datetime.fromisoformat(row["revoked_at"])) for row in rows}
            revoked = list({**{one.serial: one for one in kept}, **known}.values())
            secure_files.write(path, self._authority().revocation_list(revoked), mode=secure_files.PUBLIC)
        return path

    @property
    def revision(self) -> int:
        """Grows with every change."""
        return int(self.meta("revision") or 0)

    def meta(self, key: str) -> str | None:
        """One remembered setting of this registry."""
        with self._guard:
            row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row["value"] if row else None

    def _take_back(self, path: Path) -> list[Revoked]:
        """What the list on disk revokes: it may know more than a registry that was lost, or restored from a backup.

        Certificates that this registry takes for active are revoked again, so that none renews itself. A line about a
        certificate that has ended, or that this registry does not know, is kept.
        """
        if not path.exists():
            return []
        try:
            kept = certificate_authority.revoked_by(
                self.authority(), path.read_text(encoding="ascii", errors="replace")
            )
        except Rejected as error:
            log.error("revocation_list_replaced file=%s reason=%r", path, error.reason)
            return []
        serials = {one.serial: one for one in kept}
        active = self._db.execute("SELECT id, truck_id FROM certificates WHERE state = 'active'").fetchall()
        if revived := [row for row in active if row["id"] in serials]:
            with self._change() as database:
                _revoke(database, [row["id"] for row in revived])
            for row in revived:
                log.warning("revoked_again truck_id=%s serial=%s", row["truck_id"], row["id"])
        return kept

    def remember(self, values: Mapping[str, str]) -> None:
        """Keep settings with the registry."""
        with self._change() as database:
            for key, value in values.items():
                _put(database, key, value)

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction; what it did becomes visible and durable together with the new revision."""
        with self._guard:
            database = self._db
            if database.in_transaction:
                yield database
                return
            database.execute("BEGIN IMMEDIATE")
            before = database.total_changes
            try:
                yield database
                if database.total_changes == before:
                    database.execute("ROLLBACK")
                    return
                database.execute("UPDATE meta SET value = value + 1 WHERE key = 'revision'")
                database.execute("COMMIT")
            except BaseException:
                database.execute("ROLLBACK")
                raise

    transaction = _change

    @property
    def _db(self) -> sqlite3.Connection:
        with self._guard:
            if self._database is None:
                self._database = connect(self.folder / "registry.db")
            return self._database

    def _authority(self) -> Authority:
        if not (self.folder / "ca.pem").exists():
            raise Misconfigured(f"no CA in {self.folder}: `milepost provision init` makes it")
        return Authority(secure_files.read_private(self.folder / "ca.key"), self.authority())

    def close(self) -> None:
        """Close the file."""
        with self._guard:
            if self._database is not None:
                self._database.close()
                self._database = None


_CERTIFICATES = "SELECT id, truck_id, key_hash, issued_at, not_after, state, pem FROM certificates"
_REVOKED = "SELECT id, revoked_at FROM certificates WHERE state = 'revoked'"
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


def _revoke(database: sqlite3.Connection, ids: list[str]) -> None:
    database.executemany(
        "UPDATE certificates SET state = 'revoked', revoked_at = ? WHERE id = ? AND state = 'active'",
        [(_now(), one) for one in ids],
    )


def _ends_soon(certificate_pem: str) -> bool:
    return certificate_authority.described(certificate_pem).not_after < datetime.now(UTC) + _RENEWED_BEFORE


def _put(database: sqlite3.Connection, key: str, value: str) -> None:
    database.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
    )


def _now() -> str:
    return from_datetime(datetime.now(UTC))
