"""Whether a file is still the one that was read."""

from pathlib import Path

Stamp = tuple[int, int, int]


def file_stamp(file: Path) -> Stamp:
    """What changes when a file is written anew or another takes its place.

    Args:
        file: of which only the directory entry is looked at.

    Returns:
        Inode, nanoseconds of the last change, bytes.

    Raises:
        OSError: it is not there, or cannot be looked at.
    """
    found = file.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size
