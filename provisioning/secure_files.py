"""Files that hold secrets, and files that must be whole: written beside, flushed, renamed, never readable by others."""

import glob
import os
from contextlib import suppress
from pathlib import Path

from contract.errors import Misconfigured

PRIVATE = 0o600
PUBLIC = 0o644


def private_folder(folder: Path) -> Path:
    """Make a folder that only its owner may enter (0700); one that exists is closed to others."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    except OSError as error:
        raise Misconfigured(f"cannot use {folder}: {error.strerror}: give another folder") from None
    return folder


def write(path: Path, content: bytes | str, *, mode: int, durable: bool = True) -> None:
    """Put a file in place whole or not at all; it never exists with a wider mode than `mode`.

    durable: also across a power cut; without it a kill leaves it whole, and a power cut may leave it empty.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _clear(path)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        draft.replace(path)
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)  # it may hold a secret
        raise Misconfigured(f"cannot write {path}: {error.strerror}: give another path, or make room") from None


def _clear(path: Path) -> None:
    """Remove the drafts of this file that killed processes left; they may hold a key."""
    for draft in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        pid = draft.name.split(".")[-2]
        if pid == str(os.getpid()) or not Path(f"/proc/{pid}").exists():
            draft.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_private(path: Path) -> bytes:
    """A secret's bytes; Misconfigured if others may read the file, since then it is no secret any more."""
    try:
        if path.stat().st_mode & 0o077:
            raise Misconfigured(f"{path} can be read by others: `chmod 600` it, and replace the key if it was copied")
        return path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"cannot read {path}: {error.strerror}") from None
