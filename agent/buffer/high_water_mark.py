"""The mark: a small file beside the buffer that remembers which stream it holds and how far that has come, and keeps
the newest samples until the buffer file has them.

A sample is durable as soon as it is in here: one write and one sync of as many sectors of 512 bytes as it takes, past
the page cache (O_DIRECT), of which 4 KB would be written, where the disk has such sectors. So the buffer file gets many
samples in one transaction. What of them was acknowledged stands in here, too. And when the buffer file is lost, the
mark tells what was lost with it.

The file has its full size from the start on and is written in place, entry behind entry, from the beginning again when
it is full, before which the buffer file must have all of it. A torn write leaves the entry before it whole. Each sector
proves itself (a checksum over turn, place in its entry, and content); an entry is believed when all of it is there. Up
to version 0.1 the file was two sectors of text, which are read as well.
"""

import errno
import fcntl
import json
import mmap
import os
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from agent.buffer.sample_rows import SampleRow
from contract.ranges import Ranges

SECTOR = 512
_SECTORS = 128
_LARGEST = 32
"""Sectors of one entry; larger samples go into the buffer file at once."""
_HEAD = struct.Struct(">IQBBH")
_ROOM = SECTOR - _HEAD.size
_NONE = Ranges()


class Mark(NamedTuple):
    """The stream's name, the highest number that may have been given out in it, and the first that is still held.

    stored: up to here the buffer file has what it should have. sent: what was acknowledged since, at `sent_at`.
    """

    stream_id: str
    highest_seq: int
    oldest: int = 1
    stored: int = 0
    sent: Ranges = _NONE
    sent_at: str = ""


@dataclass(slots=True)
class _Entry:
    mark: Mark
    sample: SampleRow | None
    sectors: tuple[int, ...]


@dataclass(slots=True)
class Found:
    """What a mark file says. mark: the newest, None without one. turn: the last that was begun. at: the sector behind
    the newest. whole: nothing newer was damaged, as far as can be seen. entries: every whole one, by its turn."""

    mark: Mark | None = None
    turn: int = 0
    at: int = 0
    whole: bool = True
    entries: dict[int, _Entry] = field(default_factory=dict)

    @property
    def newest(self) -> list[SampleRow]:
        """The samples that the buffer file may not have yet, ascending."""
        if self.mark is None:
            return []
        rows = {
            entry.sample.seq: entry.sample
            for _, entry in sorted(self.entries.items())
            if entry.sample and entry.mark.stream_id == self.mark.stream_id and entry.sample.seq > self.mark.stored
        }
        return [rows[seq] for seq in sorted(rows)]


def read_mark(path: Path) -> Found:
    """Look at a mark file, also beside the process that writes it.

    Args:
        path: the file; it may be missing.

    Returns:
        What it says.
    """
    try:
        return _find(path.read_bytes())
    except FileNotFoundError:
        return Found()


class MarkFile:
    """The open file; one process writes it. found: what it said when it was opened. mark: the newest now."""

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        content = os.pread(self._file, _SECTORS * SECTOR, 0)
        self.found = _find(content)
        self.mark, self._turn, self._at = self.found.mark, self.found.turn, self.found.at
        if len(content) < _SECTORS * SECTOR:
            with suppress(OSError):  # a full disk: then it stays as small as it is
                os.pwrite(self._file, bytes(_SECTORS * SECTOR - len(content)), len(content))
                os.fsync(self._file)
        self._sectors = max(2, min(_SECTORS, os.fstat(self._file).st_size // SECTOR))
        self._slot = mmap.mmap(-1, _LARGEST * SECTOR)  # O_DIRECT writes from aligned memory alone
        _go_direct(self._file, True)
        if not content:  # once it was written, its name is on the disk
            _sync_folder(path.parent)

    def takes(self, sample: SampleRow) -> bool:
        """Whether a sample is small enough to be kept in here.

        Args:
            sample: it.
        """
        return _most_sectors(sample) <= min(_LARGEST, self._sectors // 2)

    def has_room(self, sample: SampleRow | None = None) -> bool:
        """Whether an entry fits behind the others; else the next is written over the first ones.

        Args:
            sample: what is in it.
        """
        return self._at + _most_sectors(sample) <= self._sectors

    def write(self, mark: Mark, sample: SampleRow | None = None, *, sync: bool = True) -> None:
        """Make `mark` and a sample durable; OSError if the disk refuses.

        Args:
            mark: the newest from now on.
            sample: what is kept with it, if `takes` it.
            sync: False where a power cut may forget it.
        """
        self._turn += 1  # also after a failure: its sectors must not be taken for those of the next
        block = _encode(self._turn, mark, sample)
        count = len(block) // SECTOR
        if self._at + count > self._sectors:
            self._at = 0
        self._put(block, self._at)
        if sync:
            os.fdatasync(self._file)
        self._at += count
        self.mark = mark

    def wipe(self, before: str) -> None:
        """Take samples out that were taken before an instant. All of them must be in the buffer file.

        Args:
            before: UTC, RFC 3339.
        """
        content = self._path.read_bytes()  # this descriptor reads into aligned memory alone
        found = _find(content)
        kept = {
            number
            for turn, entry in found.entries.items()
            if turn == found.turn or not entry.sample or str(json.loads(entry.sample.body).get("sampled_at")) >= before
            for number in entry.sectors
        }
        for number in range(len(content) // SECTOR):
            if number not in kept and any(content[number * SECTOR : (number + 1) * SECTOR]):
                self._put(bytes(SECTOR), number)
        os.fdatasync(self._file)

    def _put(self, block: bytes, sector: int) -> None:
        self._slot[: len(block)] = block
        with memoryview(self._slot)[: len(block)] as part:
            try:
                written = os.pwrite(self._file, part, sector * SECTOR)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                _go_direct(self._file, False)  # its sectors are larger
                written = os.pwrite(self._file, part, sector * SECTOR)
        if written != len(block):
            raise OSError("the mark was written in part only: is the disk full?")

    def close(self) -> None:
        """Release the file."""
        os.close(self._file)
        self._slot.close()


def _go_direct(file: int, direct: bool) -> None:
    """Write past the page cache or through it; a file system in memory knows the latter only."""
    flags = fcntl.fcntl(file, fcntl.F_GETFL)
    with suppress(OSError):
        fcntl.fcntl(file, fcntl.F_SETFL, flags | os.O_DIRECT if direct else flags & ~os.O_DIRECT)


def _most_sectors(sample: SampleRow | None) -> int:
    """Of an entry: the mark's own text is shorter than a sector's room."""
    return 1 if sample is None else 1 + -(-len(sample.body) // _ROOM)


def _encode(turn: int, mark: Mark, sample: SampleRow | None) -> bytes:
    head = {
        "stream_id": mark.stream_id,
        "highest_seq": mark.highest_seq,
        "oldest": mark.oldest,
        "stored": mark.stored,
        "sent": mark.sent.as_lists(),
        "sent_at": mark.sent_at,
    }
    if sample:
        head["sample"] = [sample.seq, sample.boot, sample.uptime, sample.flags, sample.wall]
    text = json.dumps(head, separators=(",", ":")).encode() + b"\n" + (sample.body if sample else b"")
    parts = [text[at : at + _ROOM] for at in range(0, len(text), _ROOM)]
    return b"".join(_sector(turn, number, len(parts), part) for number, part in enumerate(parts))


def _sector(turn: int, number: int, count: int, part: bytes) -> bytes:
    block = _HEAD.pack(0, turn, number, count, len(part)) + part.ljust(_ROOM, b"\0")
    return zlib.crc32(block[4:]).to_bytes(4, "big") + block[4:]


def _find(content: bytes) -> Found:
    """Every entry of which all sectors prove themselves."""
    found, parts, damaged = Found(), dict[int, dict[int, tuple[int, bytes]]](), False
    counts: dict[int, int] = {}
    for place in range(len(content) // SECTOR):
        sector = content[place * SECTOR : (place + 1) * SECTOR]
        if not any(sector):
            continue
        crc, turn, number, count, length = _HEAD.unpack_from(sector)
        if crc == zlib.crc32(sector[4:]):
            parts.setdefault(turn, {})[number] = place, sector[_HEAD.size : _HEAD.size + length]
            counts[turn] = count
        elif old := _of_old_format(sector):
            found.entries[old[0]] = _Entry(old[1], None, (place,))
        else:
            damaged = True
    for turn, pieces in parts.items():
        places = tuple(pieces[number][0] for number in sorted(pieces))
        if len(pieces) == counts[turn] and places[-1] - places[0] == len(places) - 1:
            found.entries[turn] = _decode(b"".join(pieces[number][1] for number in sorted(pieces)), places)
    if found.entries:
        last = max(found.entries)
        found.mark, found.at = found.entries[last].mark, found.entries[last].sectors[-1] + 1
    found.turn = max((*parts, *found.entries), default=0)
    found.whole = not damaged and found.turn == max(found.entries, default=0)
    return found


def _decode(text: bytes, places: tuple[int, ...]) -> _Entry:
    line, _, body = text.partition(b"\n")
    head = json.loads(line)
    sample = head.get("sample")
    mark = Mark(
        head["stream_id"],
        head["highest_seq"],
        head["oldest"],
        stored=head["stored"],
        sent=Ranges.of(head["sent"]),
        sent_at=head["sent_at"],
    )
    return _Entry(mark, SampleRow(sample[0], body, *sample[1:]) if sample else None, places)


def _of_old_format(sector: bytes) -> tuple[int, Mark] | None:
    crc, _, text = sector.decode("ascii", "replace").strip().partition(" ")
    if f"{zlib.crc32(text.encode()):08x}" != crc:
        return None
    value = json.loads(text)
    highest = value["highest_seq"]
    return value["turn"], Mark(value["stream_id"], highest, value.get("oldest", 1), stored=highest)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
