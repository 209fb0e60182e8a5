"""The mark: a small file beside the buffer that remembers which stream it holds and how far that has come.

When the buffer file is lost, the mark tells what was lost with it. It is written and synced *before* the sample that
raises it is committed, so at most it counts one sample that was taken and never stored, and never one too few. Two
slots of one disk sector each are written in turn: a torn write leaves the slot before it whole, no file is created or
renamed, and a sample costs one extra write of 512 bytes. They go past the page cache (O_DIRECT), of which 4 KB would be
written, where the disk has such sectors.
"""

import errno
import fcntl
import json
import mmap
import os
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_SECTOR = 512


@dataclass(frozen=True, slots=True)
class Mark:
    """The stream's name, the highest number that may have been given out in it, and the first that is still held."""

    stream_id: str
    highest_seq: int
    oldest: int = 1


class MarkFile:
    """The open file; one process writes it. whole: neither slot was found damaged; else the newest may be lost."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        content = os.pread(self._file, 2 * _SECTOR, 0)
        self._turn, self.mark = _newest(content)
        readable = sum(_newest(content[at : at + _SECTOR])[1] is not None for at in (0, _SECTOR))
        self.whole = readable == sum(any(content[at : at + _SECTOR]) for at in (0, _SECTOR))
        self._slot = mmap.mmap(-1, _SECTOR)  # O_DIRECT writes from aligned memory alone
        _go_direct(self._file, True)
        if not content:  # once it was written, its name is on the disk
            _sync_folder(path.parent)

    def write(self, mark: Mark) -> None:
        """Make `mark` durable; OSError if the disk refuses."""
        self._slot[:] = _encode(self._turn + 1, mark)
        if self._put((self._turn + 1) % 2 * _SECTOR) != _SECTOR:
            raise OSError("the mark was written in part only: is the disk full?")
        os.fdatasync(self._file)
        self._turn += 1
        self.mark = mark

    def _put(self, at: int) -> int:
        try:
            return os.pwrite(self._file, self._slot, at)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            _go_direct(self._file, False)  # its sectors are larger
            return os.pwrite(self._file, self._slot, at)

    def close(self) -> None:
        """Release the file."""
        os.close(self._file)
        self._slot.close()


def _go_direct(file: int, direct: bool) -> None:
    """Write past the page cache or through it; a file system in memory knows the latter only."""
    flags = fcntl.fcntl(file, fcntl.F_GETFL)
    with suppress(OSError):
        fcntl.fcntl(file, fcntl.F_SETFL, flags | os.O_DIRECT if direct else flags & ~os.O_DIRECT)


def _encode(turn: int, mark: Mark) -> bytes:
    text = json.dumps(
        {"turn": turn, "stream_id": mark.stream_id, "highest_seq": mark.highest_seq, "oldest": mark.oldest}
    )
    line = f"{zlib.crc32(text.encode()):08x} {text}"
    return line.ljust(_SECTOR - 1).encode() + b"\n"


def _newest(content: bytes) -> tuple[int, Mark | None]:
    found: list[tuple[int, Mark | None]] = [(0, None)]
    for slot in (content[:_SECTOR], content[_SECTOR:]):
        crc, _, text = slot.decode("ascii", "replace").strip().partition(" ")
        if f"{zlib.crc32(text.encode()):08x}" != crc:
            continue
        value = json.loads(text)
        found.append((value["turn"], Mark(value["stream_id"], value["highest_seq"], value.get("oldest", 1))))
    return max(found, key=lambda entry: entry[0])


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
