"""The certificate authorities of one data directory with the server's certificate and the revocation list, as files.

    ca.key (0600), ca.pem          the first CA; `ca-2.*` the next one, and so on. A key in a token: its URI
    roots.pem                      all that are trusted: the broker's, and what a truck is given
    server.key (0600), server.pem  by which trucks know this machine
    crl.pem                        a list by each CA that is trusted

The files alone say what holds, so a kill leaves one state or the next: every CA whose certificate is there is trusted,
the newest signs trucks' certificates, and the oldest the server's, which trucks trust that have not changed yet. A
rotation begins with the new certificate's file, and is finished by a server certificate of the new CA and then the
removal of the old one.
"""

import logging
import re
import socket
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contract.errors import Misconfigured
from contract.topics import ID
from provisioning import certificate_authority, secure_files, token_key
from provisioning.certificate_authority import Authority, Revoked

log = logging.getLogger(__name__)

SERVER_DAYS = 825
RENEWED_BEFORE = timedelta(days=90)
"""So long before its end the server's certificate is replaced."""

_EARLIEST, _LATEST = datetime(2026, 1, 1, tzinfo=UTC), datetime(2046, 1, 1, tzinfo=UTC)
_NUMBERED = re.compile(r"ca-([2-9]|[1-9]\d+)\.(?:pem|key)")


def check_clock(now: datetime) -> None:
    """Misconfigured where a clock cannot be right: a CA made then would be over, or not begun, for every truck."""
    if not _EARLIEST <= now < _LATEST:
        raise Misconfigured(
            f"this machine's clock says {now:%Y-%m-%d}, and a CA made now would be good from then on: set the clock, "
            "or say --clock-is-right"
        )


class AuthorityFiles:
    """The files of one folder (0700). Not safe for two writers at a time: the registry's lock is the caller's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def numbers(self) -> list[int]:
        """Of the CAs that are trusted, oldest first."""
        found = [1] if self.certificate_file(1).exists() else []
        return sorted([*found, *(number for number in self._numbered() if self.certificate_file(number).exists())])

    def certificate_file(self, number: int) -> Path:
        """Where a CA's certificate lies.

        Args:
            number: 1 for the first, counted up at each change.

        Returns:
            The path, whether the file is there or not.
        """
        return self.folder / (f"ca-{number}.pem" if number > 1 else "ca.pem")

    def key_file(self, number: int) -> Path:
        """Where a CA's key lies; it holds the token's URI where the key is in a token.

        Args:
            number: 1 for the first, counted up at each change.

        Returns:
            The path, whether the file is there or not.
        """
        return self.certificate_file(number).with_suffix(".key")

    def check(self, *, begun: bool) -> None:
        """A registry without its CA is damage, not a beginning: a new CA would shut out every truck.

        Args:
            begun: whether there is a registry.

        Raises:
            Misconfigured: a key or a certificate is missing.
        """
        numbers = self.numbers
        lost = [self.key_file(number).name for number in numbers if not self.key_file(number).exists()]
        if begun and not numbers:
            lost = [file.name for file in (self.key_file(1), self.certificate_file(1)) if not file.exists()]
        if lost:
            raise Misconfigured(
                f"{' and '.join(lost)} of {self.folder} is missing: restore ca.key and ca.pem from a backup; "
                "only if there is none, `milepost provision init --replace-ca` makes a new one, and every truck must "
                "enroll anew"
            )

    def check_keys(self) -> None:
        """Judge each CA as a set: its key must be that of its certificate.

        Raises:
            Misconfigured: it is not, or one of them cannot be read.
        """
        for number in self.numbers:
            self._authority(number)

    def make_first(self, *, clock_is_right: bool = False, key_uri: str | None = None) -> None:
        """The first CA, where there is none. A key that a kill has left alone is used: it is never replaced.

        Args:
            clock_is_right: make it even where the clock shows a year that cannot be.
            key_uri: of the key in a token, which is made there if it is missing; None for a key in a file.

        Raises:
            Misconfigured: the clock cannot be right.
        """
        if not self.numbers:
            if not clock_is_right:
                check_clock(datetime.now(UTC))
            self._make(1, key_uri)
        self.write_roots()

    def replace(self, key_uri: str | None = None) -> None:
        """Make a new CA and trust it alone; what was there, whole or not, is removed after that.

        Args:
            key_uri: as for `make_first`.
        """
        self._make(max([1, *self._numbered()]) + 1, key_uri)
        self.remove_old()

    def begin_rotation(self, key_uri: str | None = None) -> bool:
        """Make and trust a second CA, which signs from now on.

        Args:
            key_uri: as for `make_first`.

        Returns:
            False where there are two already.

        Raises:
            Misconfigured: the clock cannot be right, or a CA is damaged.
        """
        if len(self.numbers) > 1:
            return False
        check_clock(datetime.now(UTC))
        self._make(max(self.numbers) + 1, key_uri)
        self.write_roots()
        return True

    def remove_old(self) -> None:
        """Trust the newest CA alone; what a kill left of others before it goes, too."""
        newest = max(self.numbers)
        for number in [1, *self._numbered()]:
            if number < newest:
                self.certificate_file(number).unlink(missing_ok=True)
                self.key_file(number).unlink(missing_ok=True)
        self.write_roots()

    def roots(self) -> str:
        """All CAs that are trusted.

        Returns:
            PEM, oldest first.

        Raises:
            Misconfigured: there is none.
        """
        texts = [self.certificate_file(number).read_text(encoding="ascii") for number in self.numbers]
        if not texts:
            raise Misconfigured(f"no CA in {self.folder}: `milepost provision init` makes it")
        return "".join(text if text.endswith("\n") else f"{text}\n" for text in texts)

    def write_roots(self) -> None:
        """Bring roots.pem in step with the CAs that are there."""
        file, roots = self.folder / "roots.pem", self.roots()
        if not file.exists() or file.read_text(encoding="ascii", errors="replace") != roots:
            secure_files.write(file, roots, mode=secure_files.PUBLIC)

    def newest(self) -> str:
        """The CA that signs, as others see it.

        Returns:
            Its certificate, PEM.

        Raises:
            Misconfigured: there is none.
        """
        if not self.numbers:
            raise Misconfigured(f"no CA in {self.folder}: `milepost provision init` makes it")
        return self.certificate_file(max(self.numbers)).read_text(encoding="ascii")

    def signing(self) -> Authority:
        """The CA that signs trucks' certificates.

        Returns:
            With its key; for one use.

        Raises:
            Misconfigured: it is missing or damaged.
        """
        return self._authority(max(self.numbers, default=1))

    def ends(self) -> tuple[datetime, datetime]:
        """When certificates end that no truck can do without.

        Returns:
            The first of the CAs' ends, and that of the server's certificate; aware, UTC.

        Raises:
            Misconfigured: there is none.
        """
        if not self.numbers:
            raise Misconfigured(f"no CA in {self.folder}: `milepost provision init` makes it")
        certificates = [self.certificate_file(number) for number in self.numbers]
        ends = [certificate_authority.ends_at(one.read_text(encoding="ascii")) for one in certificates]
        return min(ends), certificate_authority.ends_at(self.server_certificate())

    def server_certificate(self) -> str:
        """What the broker and the enrolment door show.

        Returns:
            PEM.

        Raises:
            Misconfigured: there is none.
        """
        try:
            return (self.folder / "server.pem").read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            raise Misconfigured(f"no server.pem in {self.folder}: `milepost provision init` makes it") from None

    def server_is_good(self) -> bool:
        """Whether the broker can be started with what is there.

        Returns:
            True where server.key and server.pem are there, belong together and to a CA that is trusted, and last, and
            there is a revocation list.
        """
        names = ("server.pem", "server.key", "crl.pem")
        if not all((self.folder / name).exists() for name in names):
            return False
        certificate = (self.folder / "server.pem").read_text(encoding="ascii", errors="replace")
        if not certificate_authority.matches((self.folder / "server.key").read_bytes(), certificate):
            return False
        return certificate_authority.vouches_for(self.roots(), certificate) and not self.server_ends_soon()

    def server_ends_soon(self) -> bool:
        """Whether the server's certificate is to be renewed.

        Returns:
            Whether a new certificate would last longer, and it is time for it.
        """
        end = certificate_authority.ends_at(self.server_certificate())
        issuer = certificate_authority.ends_at(self.certificate_file(min(self.numbers)).read_text(encoding="ascii"))
        return end < min(datetime.now(UTC) + RENEWED_BEFORE, issuer - timedelta(days=1))

    def make_server(self, hosts: Sequence[str], *, by_newest: bool = False) -> None:
        """A new server certificate. The key stays where there is a good one, so that one rename replaces all.

        Args:
            hosts: names and addresses by which trucks reach this machine.
            by_newest: by the CA that signs trucks' certificates, also while there are two.
        """
        key_file = self.folder / "server.key"
        try:
            csr = certificate_authority.request_for(key_file.read_bytes())
        except (OSError, ValueError, TypeError, Misconfigured):
            key, csr = certificate_authority.new_key()
            secure_files.write(key_file, key, mode=secure_files.PRIVATE)
        name = next((host for host in hosts if ID.fullmatch(host)), "milepost-server")
        authority = self._authority(max(self.numbers) if by_newest else min(self.numbers))
        issued = authority.issue(csr, name, days=SERVER_DAYS, role="server", hosts=hosts)
        secure_files.write(self.folder / "server.pem", issued.pem, mode=secure_files.PUBLIC)
        log.info("server_certificate_made not_after=%s", issued.not_after)

    def write_list(self, revoked: Iterable[Revoked]) -> Path:
        """Write the revocation list: all of these by each CA, since mosquitto wants one of whichever signed.

        Args:
            revoked: every certificate that must not be believed any more.

        Returns:
            The file, written whole, atomically.
        """
        entries, path = list(revoked), self.folder / "crl.pem"
        lists = [self._authority(number).revocation_list(entries) for number in self.numbers or [1]]
        secure_files.write(path, "".join(lists), mode=secure_files.PUBLIC)
        return path

    def _make(self, number: int, key_uri: str | None) -> None:
        suffix = f" {number}" if number > 1 else ""
        name = f"Milepost CA {socket.gethostname()}"[: 64 - len(suffix)] + suffix
        key_file = self.key_file(number)
        if key_uri and not key_file.exists():
            token_key.make_key(key_uri)
            secure_files.write(key_file, f"{key_uri}\n", mode=secure_files.PRIVATE)
        if key_file.exists():
            certificate = certificate_authority.authority_for(secure_files.read_private(key_file), name)
        else:
            key, certificate = certificate_authority.new_authority(name)
            secure_files.write(key_file, key, mode=secure_files.PRIVATE)
        secure_files.write(self.certificate_file(number), certificate, mode=secure_files.PUBLIC)

    def _authority(self, number: int) -> Authority:
        if not self.certificate_file(number).exists():
            raise Misconfigured(f"no CA in {self.folder}: `milepost provision init` makes it")
        key = secure_files.read_private(self.key_file(number))
        return Authority(key, self.certificate_file(number).read_text(encoding="ascii"))

    def _numbered(self) -> list[int]:
        names = (_NUMBERED.fullmatch(path.name) for path in self.folder.glob("ca-*"))
        return sorted({int(match[1]) for match in names if match})
