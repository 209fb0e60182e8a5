"""The local registry's side of its certificate authorities: `init` and rotation."""

import json
import logging
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from contract.errors import Misconfigured
from provisioning import certificate_authority, secure_files
from provisioning.command_key import COMMAND_KEY
from provisioning.registry import audit_log, authority_files
from provisioning.registry.audit_log import Author
from provisioning.registry.site import Site, Wish
from provisioning.registry.sqlite_file import revoke
from provisioning.registry.sqlite_revocation_list import LocalRevocationList

log = logging.getLogger(__name__)

_LOCAL_HOSTS = ("localhost", "127.0.0.1")


class LocalAuthority(LocalRevocationList):
    """wish: what `init` is to make of it."""

    def __init__(self, data_dir: Path, wish: Wish | None = None, author: Author | None = None) -> None:
        super().__init__(data_dir, author)
        self._wish = wish or Wish()

    def init(self, *, dry_run: bool = False) -> list[str]:
        """CA, server certificate, registry. Other hosts, or under 90 days left, make a new server certificate."""
        files, wish = self.files, self._wish
        there = {"certificate authority (ca.key, ca.pem)": bool(files.numbers), "registry (registry.db)": self.exists}
        made = [label for label, is_there in there.items() if not is_there]
        replaced = wish.replace_ca and self.exists
        if replaced:
            made.append("certificate authority in place of the one before: every truck must enroll anew")
        else:
            files.check(begun=self.exists)
            files.check_keys()
        site = wish.over(self.site)
        for host in wish.hosts:
            certificate_authority.check_host(host)
        if (replaced or not files.numbers) and not wish.clock_is_right:
            authority_files.check_clock(datetime.now(UTC))
        if not dry_run:
            secure_files.private_folder(self.folder)
            if replaced:
                self._replace_authority()
            files.make_first(clock_is_right=wish.clock_is_right, key_uri=wish.ca_key_uri)
            self._made()
        made += self._make_command_key(dry_run=dry_run)
        known = json.loads((self.meta("hosts") if self.exists else None) or "[]")
        hosts = list(dict.fromkeys([*(wish.hosts or known), *_LOCAL_HOSTS]))
        if replaced or known != hosts or not files.server_is_good():
            made.append(f"server certificate (server.pem) for {', '.join(hosts)}")
            if not dry_run:
                self._make_server(hosts)
        if not self.exists or self.meta("site") != json.dumps(asdict(site)):
            made.append(f"address {site.broker}, enrolment {site.url}")
            if not dry_run:
                self.remember({"site": json.dumps(asdict(site))})
        if made and not dry_run:
            self.note("init", detail="; ".join(made))
        return made

    def _make_command_key(self, *, dry_run: bool) -> list[str]:
        if self.command_key.exists:
            return []
        if not dry_run:
            self.command_key.make()
        return [COMMAND_KEY]

    def _replace_authority(self) -> None:
        """What the CA before has signed is revoked first, so that a kill lets nobody in whom the new one shuts out."""
        with self._guard:
            with self._change() as database:
                rows = database.execute("SELECT id FROM certificates WHERE state = 'active'").fetchall()
                revoke(database, [row["id"] for row in rows])
                database.execute("DELETE FROM tokens")
                audit_log.write(database, self.author, "replace_ca", None, f"{len(rows)} certificates revoked")
            self.files.replace(self._wish.ca_key_uri)

    @property
    def site(self) -> Site:
        """Where trucks reach it, as `init` remembered."""
        text = self.meta("site") if self.exists else None
        return Site(**json.loads(text)) if text else Site()

    def _make_server(self, hosts: list[str], *, by_newest: bool = False) -> None:
        self.files.make_server(hosts, by_newest=by_newest)
        self.write_revocations()
        self.remember({"hosts": json.dumps(hosts)})

    def renew_server(self) -> bool:
        """Replace the server's certificate if it ends within 90 days; whether it did. Whoever serves by it must load
        it again."""
        if not self.files.server_ends_soon():
            return False
        self._make_server(json.loads(self.meta("hosts") or "[]"))
        self.note("renew_server")
        return True

    def rotate_authority(self) -> bool:
        """Begin to change the CA: a new one signs from now on, both are trusted. False where that is under way."""
        self.files.check(begun=True)
        with self._guard:
            begun = self.files.begin_rotation(self._wish.ca_key_uri)
            self.write_revocations()
            if begun:
                self.note("rotate_ca")
        return begun

    def finish_rotation(self) -> None:
        """Trust the newest CA alone. What `behind` names must enrol anew."""
        with self._guard:
            self.files.check(begun=True)
            if len(self.files.numbers) < 2:
                raise Misconfigured("the CA is not being changed: `milepost provision ca rotate` begins it")
            self._make_server(json.loads(self.meta("hosts") or "[]"), by_newest=True)
            self.files.remove_old()
            self.write_revocations()
            self.note("finish_ca")
