"""The mark: a small file beside the buffer that remembers which stream it holds and how far that has come, and keeps
the newest samples until the buffer file has them.

A sample is durable as soon as it is in here: one write and one sync of as many sectors of 512 bytes as it takes, past
the page cache (O_DIRECT), of which 4 KB would be written, where the disk has such sectors. So the buffer file gets many
samples in one transaction. What of them was acknowledged stands in here, too. And when the buffer file is lost, the
mark tells what was lost with it.

The file has its full size from the start on and is written in place, entry behind entry, from the beginning again when
it is full, before which the buffer file must have all of it. A torn write leaves the entry before it whole. Each sector
proves itself and its truck (a checksum over turn, place in its entry, and content), also one that was never used; an
entry is believed when all of it is there. Where the newest entry stands beside what proves nothing, newer ones may have
been destroyed. Up to version 0.1 the file was two sectors of text, which are read as well.
"""

import errno
import fcntl
import json
import mmap
import os
import secrets
import struct
import zlib
from collections.abc import Iterable
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
_NO_TURN = 0
_FIRST_TURN_BITS = 40
_NONE = Ranges()

MOST_KEPT = 20
"""Samples that the buffer file may not have, and acknowledgements of them."""


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
    the newest. doubtful: newer ones may have been destroyed. entries: every whole one, by its turn. damaged: the
    sectors that prove nothing."""

    mark: Mark | None = None
    turn: int = 0
    at: int = 0
    doubtful: bool = False
    entries: dict[int, _Entry] = field(default_factory=dict)
    damaged: list[int] = field(default_factory=list)

    @property
    def newest(self) -> list[SampleRow]:
        """The samples that the buffer file may not have yet, ascending."""
        mark = self.mark
        return [] if mark is None else [row for row in self.samples(mark.stream_id) if row.seq > mark.stored]

    def samples(self, stream_id: str) -> list[SampleRow]:
        """All that are there of a stream, ascending."""
        rows = {
            entry.sample.seq: entry.sample
            for _, entry in sorted(self.entries.items())
            if entry.sample and entry.mark.stream_id == stream_id
        }
        return [rows[seq] for seq in sorted(rows)]


def read_bytes(path: Path) -> bytes:
    """A mark file as it is, also beside the process that writes it.

    Args:
        path: the file.

    Returns:
        Its bytes, for `find`; none where it is missing.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


class MarkFile:
    """The open file; one process writes it. found: what it said when it was opened. mark: the newest now.

    truck_id: whose it is; what another truck's says is damage.
    """

    def __init__(self, path: Path, truck_id: str) -> None:
        self._path, self._file = path, os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self._seed = _seed(truck_id)
        content = os.pread(self._file, _SECTORS * SECTOR, 0)
        self.found = find(content, truck_id)
        self.mark, self._turn, self._at = self.found.mark, self.found.turn, self.found.at
        if not self._turn:
            self._turn = secrets.randbits(_FIRST_TURN_BITS)  # no sector of another file goes with one of this
        if len(content) < _SECTORS * SECTOR:
            unused = _SECTORS - len(content) // SECTOR
            with suppress(OSError):  # a full disk: then it stays as small as it is
                os.pwrite(self._file, _unused(self._seed) * unused, (_SECTORS - unused) * SECTOR)
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
        block = _encode(self._turn, mark, sample, self._seed)
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
        found = self.look()
        kept = {
            number
            for turn, entry in found.entries.items()
            if turn == found.turn or not entry.sample or str(json.loads(entry.sample.body).get("sampled_at")) >= before
            for number in entry.sectors
        }
        self._clear(number for number in range(self._sectors) if number not in kept)

    def look(self) -> Found:
        """What it says now."""
        return _find(self._path.read_bytes(), self._seed)  # this descriptor reads into aligned memory alone

    def clear_damage(self) -> None:
        """Make sectors that prove nothing look unused, once it was told what they may have kept."""
        self._clear(self.look().damaged)
        self.found.damaged = []

    def _clear(self, sectors: Iterable[int]) -> None:
        unused = _unused(self._seed)
        for number in sectors:
            self._put(unused, number)
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


def _seed(truck_id: str) -> int:
    return zlib.crc32(truck_id.encode())


def _encode(turn: int, mark: Mark, sample: SampleRow | None, seed: int) -> bytes:
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
    return b"".join(_sector(turn, number, len(parts), part, seed) for number, part in enumerate(parts))


def _sector(turn: int, number: int, count: int, part: bytes, seed: int) -> bytes:
    block = _HEAD.pack(0, turn, number, count, len(part)) + part.ljust(_ROOM, b"\0")
    return zlib.crc32(block[4:], seed).to_bytes(4, "big") + block[4:]


def _unused(seed: int) -> bytes:
    """A sector of no entry: one of zeros would be one that lost what it had."""
    return _sector(_NO_TURN, 0, 0, b"", seed)


def find(content: bytes, truck_id: str) -> Found:
    """What a mark file's bytes say.

    Args:
        content: all of it.
        truck_id: whose it should be.

    Returns:
        Every entry of which all sectors prove themselves.
    """
    return _find(content, _seed(truck_id))


def _find(content: bytes, seed: int) -> Found:
    found, parts, counts = Found(), dict[int, dict[int, tuple[int, bytes]]](), dict[int, int]()
    turns: dict[int, int] = {}
    for place in range(len(content) // SECTOR):
        sector = content[place * SECTOR : (place + 1) * SECTOR]
        crc, turn, number, count, length = _HEAD.unpack_from(sector)
        if crc == zlib.crc32(sector[4:], seed):
            turns[place] = turn
            if turn != _NO_TURN:
                parts.setdefault(turn, {})[number] = place, sector[_HEAD.size : _HEAD.size + length]
                counts[turn] = count
        elif old := _of_old_format(sector):
            turns[place] = old[0]
            found.entries[old[0]] = _Entry(old[1], None, (place,))
        else:
            found.damaged.append(place)
    for turn, pieces in parts.items():
        places = tuple(pieces[number][0] for number in sorted(pieces))
        if len(pieces) == counts[turn] and places[-1] - places[0] == len(places) - 1:
            found.entries[turn] = _decode(b"".join(pieces[number][1] for number in sorted(pieces)), places)
    found.turn = max((*parts, *found.entries), default=0)
    if found.entries:
        last = max(found.entries)
        found.mark, found.at = found.entries[last].mark, found.entries[last].sectors[-1] + 1
        torn = sum(turn > last for turn in parts)
        found.doubtful = last in parts and (torn > 1 or _lacks_newer(found.at, last, turns))
    return found


def _lacks_newer(at: int, last: int, turns: dict[int, int]) -> bool:
    """Whether entries behind the newest that is whole were destroyed. One that is torn was being written: each is
    synced before the next, but for acknowledgements of one sector.

    at: the sector behind the newest. last: its turn. turns: of each sector that proves itself.
    """
    for start in (at, 0) if at > _SECTORS - _LARGEST else (at,):
        for place in range(start, _SECTORS):
            if place not in turns:  # damaged, or cut off
                return True
            if turns[place] <= last:
                break
    return False


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
