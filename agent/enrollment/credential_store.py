"""The truck's keys and certificates on disk: whole or not there at all, closed to others, whatever crashes when.

    identity/            0700
      3/key.pem          0600  made here, never leaves
      3/certificate.pem
      3/confirmed        the office has been told that this one is in use
      3/ca.pem           whom the truck trusts
      3/office.json      0600  where the next certificate comes from
      current -> 3       all of it changes together, by one rename
      ca.pem, office.json -> those of current
      command.pub        by which the operator's commands are known

`current/key.pem`, `current/certificate.pem` and `ca.pem` are what the agent's settings name, once and for all. A folder
with a higher number than `current` is a change under way: whatever becomes of it, the current one stays as it is. The
release before kept `ca.pem` and `office.json` as files; they become links at the next change.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from contract import atomic_file
from contract.errors import Misconfigured

_PRIVATE, _PUBLIC = 0o600, 0o644


@dataclass(frozen=True, slots=True)
class Identity:
    """One key and, once granted, its certificate."""

    folder: Path

    @property
    def number(self) -> int:
        return int(self.folder.name)

    @property
    def key_file(self) -> Path:
        return self.folder / "key.pem"

    @property
    def certificate_file(self) -> Path:
        return self.folder / "certificate.pem"

    @property
    def key(self) -> bytes:
        return read_private(self.key_file)

    @property
    def certificate(self) -> str | None:
        return self.certificate_file.read_text(encoding="ascii") if self.certificate_file.exists() else None

    @property
    def ca_file(self) -> Path:
        return self._own_or_shared("ca.pem")

    @property
    def office_file(self) -> Path:
        return self._own_or_shared("office.json")

    def _own_or_shared(self, name: str) -> Path:
        own = self.folder / name
        return own if own.exists() else self.folder.parent / name

    @property
    def confirmed(self) -> bool:
        return (self.folder / "confirmed").exists()


class Wallet:
    """The identities of one truck in one folder, made if missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.chmod(0o700)
        except OSError as error:
            raise Misconfigured(f"cannot use {folder}: {error.strerror}: give another folder by --identity") from None

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def current(self) -> Identity | None:
        """The identity in use."""
        link = self.folder / "current"
        return Identity(self.folder / link.readlink().name) if link.is_symlink() else None

    @property
    def pending(self) -> Identity | None:
        """The identity that a change under way has come to, with or without its certificate."""
        newest = max(self._all(), key=lambda one: one.number, default=None)
        current = self.current
        return newest if newest and (current is None or newest.number > current.number) else None

    def begin(self, key: bytes, *, ca: str, office: str) -> Identity:
        """Take a new key into the wallet, as pending.

        Args:
            key: PEM.
            ca: whom the truck trusts with it, PEM.
            office: the text of its office.json.
        """
        number = max((one.number for one in self._all()), default=0) + 1
        draft = self.folder / f".{number}.tmp"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        write(draft / "key.pem", key, mode=_PRIVATE)
        write(draft / "ca.pem", ca, mode=_PUBLIC)
        write(draft / "office.json", office, mode=_PRIVATE)
        draft.rename(self.folder / str(number))
        atomic_file.sync_folder(self.folder)
        return Identity(self.folder / str(number))

    def grant(self, identity: Identity, certificate: str, ca: str | None = None) -> None:
        """Keep the certificate of a pending identity, and whom to trust with it (None: as it was)."""
        if ca:
            write(identity.folder / "ca.pem", ca, mode=_PUBLIC)
        write(identity.certificate_file, certificate, mode=_PUBLIC)

    def trust(self, ca: str) -> None:
        """Replace whom the current identity trusts."""
        write((self.folder / "ca.pem").resolve(), ca, mode=_PUBLIC)

    def obey(self, command_key: str | None) -> None:
        """Keep the key by which the operator's commands are known from now on; None: as it was."""
        file = self.folder / "command.pub"
        if command_key and (not file.exists() or file.read_text(encoding="ascii", errors="replace") != command_key):
            write(file, command_key, mode=_PUBLIC)

    def switch(self, identity: Identity) -> None:
        """Make an identity the current one."""
        for name in ("ca.pem", "office.json"):
            self._share(name)
        self._link("current", identity.folder.name)
        atomic_file.sync_folder(self.folder)

    def _share(self, name: str) -> None:
        """Turn a file of the release before into a link to the current identity's, which has the same content."""
        file, current = self.folder / name, self.current
        if file.is_symlink():
            return
        if current and file.exists() and not (current.folder / name).exists():
            mode = _PRIVATE if name == "office.json" else _PUBLIC
            write(current.folder / name, file.read_bytes(), mode=mode)
        self._link(name, f"current/{name}")

    def _link(self, name: str, target: str) -> None:
        draft = self.folder / f".{name}.tmp"
        draft.unlink(missing_ok=True)
        draft.symlink_to(target)
        draft.rename(self.folder / name)

    def confirm(self, identity: Identity) -> None:
        """Note that the office knows."""
        write(identity.folder / "confirmed", b"", mode=_PRIVATE)

    def discard(self, identity: Identity) -> None:
        """Forget an identity that is not the current one."""
        current = self.current
        if current and identity.number == current.number:
            raise ValueError("the identity in use cannot be discarded")
        shutil.rmtree(identity.folder, ignore_errors=True)

    def prune(self) -> None:
        """Remove what came before the current identity, and what a crash left."""
        current = self.current
        for one in self._all():
            if current and one.number < current.number:
                shutil.rmtree(one.folder, ignore_errors=True)
        for draft in self.folder.glob(".*.tmp"):
            if draft.is_dir() and not draft.is_symlink():
                shutil.rmtree(draft, ignore_errors=True)
            else:
                draft.unlink(missing_ok=True)

    def _all(self) -> list[Identity]:
        return [Identity(one) for one in self.folder.iterdir() if one.name.isdecimal() and (one / "key.pem").exists()]


def write(path: Path, data: bytes | str, *, mode: int) -> None:
    """Put a file in place whole or not at all, durably; it never exists with a wider mode than `mode`."""
    try:
        atomic_file.write(path, data, mode=mode)
    except OSError as error:
        raise Misconfigured(f"cannot write {path}: {error.strerror}") from None


def read_private(path: Path) -> bytes:
    """A secret's bytes; Misconfigured where others may read the file."""
    try:
        if path.stat().st_mode & 0o077:
            raise Misconfigured(
                f"{path} can be read by others: `chmod 600` it; if it may have been copied, enrol again"
            )
        return path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"cannot read {path}: {error.strerror}") from None
