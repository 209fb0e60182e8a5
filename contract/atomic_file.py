"""Files that are whole or not there at all: written beside, flushed, then renamed."""

import glob
import os
import threading
from contextlib import suppress
from pathlib import Path


def write(path: Path, content: bytes | str, *, mode: int = 0o644, durable: bool = True) -> None:
    """Put a file in place; whoever reads it meanwhile gets the old content or the new, never a part.

    Args:
        path: the file. Its folder must exist.
        content: the bytes; text is written as UTF-8.
        mode: the file's permissions. It never exists with wider ones, so a secret is never open for a moment.
        durable: on disk when this returns, also across a power cut. Without it a kill leaves the file whole, and a
            power cut may leave it empty.

    Raises:
        OSError: the disk refuses; then what was there before still is.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        _remove_drafts(path)
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
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)  # it may hold a secret
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable.

    Args:
        folder: an existing folder; its files' contents are not synced.

    Raises:
        OSError: it cannot be opened or synced.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_drafts(path: Path) -> None:
    """Those of this file that killed processes left; they may hold a key."""
    for draft in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        pid, _, thread = draft.name.split(".")[-2].partition("-")
        own = pid == str(os.getpid()) and thread in ("", str(threading.get_ident()))
        if own or not Path(f"/proc/{pid}").exists():
            draft.unlink(missing_ok=True)
