"""Files that hold secrets, and files that must be whole: written beside, flushed, renamed, never readable by others."""

from pathlib import Path

from contract import atomic_file
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
    """As contract.atomic_file.write. Raises Misconfigured where the disk refuses."""
    try:
        atomic_file.write(path, content, mode=mode, durable=durable)
    except OSError as error:
        raise Misconfigured(f"cannot write {path}: {error.strerror}: give another path, or make room") from None


def read_private(path: Path) -> bytes:
    """A secret's bytes; Misconfigured if others may read the file, since then it is no secret any more."""
    try:
        if path.stat().st_mode & 0o077:
            raise Misconfigured(f"{path} can be read by others: `chmod 600` it, and replace the key if it was copied")
        return path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"cannot read {path}: {error.strerror}") from None
