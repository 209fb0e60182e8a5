"""The local registry's revocation list: what the broker loads, merged with what the list on disk already revokes."""

import logging
from datetime import datetime
from pathlib import Path

from contract.errors import Rejected
from provisioning import certificate_authority
from provisioning.certificate_authority import Revoked
from provisioning.registry.audit_log import Author
from provisioning.registry.authority_files import AuthorityFiles
from provisioning.registry.sqlite_file import RegistryFile, now_text, revoke

log = logging.getLogger(__name__)


class LocalRevocationList(RegistryFile):
    """files: the authorities that sign it."""

    def __init__(self, data_dir: Path, author: Author | None = None) -> None:
        super().__init__(data_dir, author)
        self.files = AuthorityFiles(self.folder)

    def authority(self) -> str:
        """The certificates of all CAs that are trusted, PEM."""
        self.files.check(begun=self.exists)
        return self.files.roots()

    def write_revocations(self) -> Path:
        """Write the revocation list of now; the file that the broker loads."""
        path = self.folder / "crl.pem"
        with self._guard:
            kept = self._take_back(path)
            rows = self._db.execute(
                "SELECT id, revoked_at FROM certificates WHERE state = 'revoked' AND not_after > ?", [now_text()]
            )
            known = {row["id"]: Revoked(row["id"], datetime.fromisoformat(row["revoked_at"])) for row in rows}
            revoked = list({**{one.serial: one for one in kept}, **known}.values())
            return self.files.write_list(revoked)

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
                revoke(database, [row["id"] for row in revived])
            for row in revived:
                log.warning("revoked_again truck_id=%s serial=%s", row["truck_id"], row["id"])
        return kept
