"""Reads the rows of a damaged SQLite file page by page, without the trees that lead to them.

For salvage only: SQLite itself gives up at the first bad pointer, and with it everything behind. Here every page that
still looks like a leaf of a table is read for itself, in the file and in its write-ahead log, whether anything points
to it or not. What comes out is a guess: the caller holds each row against its checksum.
Source: https://www.sqlite.org/fileformat2.html (b-tree pages, record format, WAL format).
"""

import struct
from collections.abc import Iterator
from pathlib import Path

Value = int | float | str | bytes | None

_LEAF = 13
_SIZES = (512, 1024, 2048, 4096, 8192, 16384, 32768)
_USUAL = (512, 1024, 4096)
_WAL_HEADER, FRAME_HEADER = 32, 24
_CHUNK = 4096


def read_what_can_be(path: Path) -> bytes:
    """A file's bytes; zeros for what the disk does not give, b"" where there is no file."""
    found = bytearray()
    try:
        with path.open("rb", buffering=0) as file:
            size = path.stat().st_size
            for at in range(0, size, _CHUNK):
                try:
                    file.seek(at)
                    piece = file.read(min(_CHUNK, size - at))
                except OSError:
                    piece = b""
                found += piece.ljust(min(_CHUNK, size - at), b"\0")
    except OSError:
        return bytes(found)
    return bytes(found)


def rows(main: bytes, log: bytes) -> Iterator[tuple[int, list[Value]]]:
    """(rowid, values) of every row in a leaf of a table, wherever one is found; a row may come more than once."""
    said = int.from_bytes(main[16:18], "big"), int.from_bytes(log[8:12], "big")
    for size in dict.fromkeys([each for each in said if each in _SIZES] + list(_USUAL)):
        yield from _rows_of(main, log, size)


def lost_commits(log: bytes, recovered: int) -> bool:
    """Whether a write-ahead log holds a commit that SQLite did not recover, with more of the same run behind it.

    recovered: how many frames it did. The very last commit does not count: that is what a power cut leaves.
    """
    step = int.from_bytes(log[8:12], "big") + FRAME_HEADER
    if len(log) < _WAL_HEADER or step - FRAME_HEADER not in _SIZES:
        return False
    frames = [log[at : at + FRAME_HEADER] for at in range(_WAL_HEADER, len(log) - step + 1, step)]
    ours = [number for number, frame in enumerate(frames) if frame[8:16] == log[16:24]]
    return any(number >= recovered and any(frames[number][4:8]) for number in ours[:-1])


def _rows_of(main: bytes, log: bytes, size: int) -> Iterator[tuple[int, list[Value]]]:
    images = [(at // size + 1, main[at : at + size]) for at in range(0, len(main), size)]
    step = size + FRAME_HEADER
    for at in range(_WAL_HEADER, len(log), step):
        number = int.from_bytes(log[at : at + 4], "big")
        images.append((number, log[at + FRAME_HEADER : at + step]))
    newest = dict(images)
    for number, page in images:
        yield from _cells(page, 100 if number == 1 else 0, size, newest)


def _cells(page: bytes, start: int, size: int, pages: dict[int, bytes]) -> Iterator[tuple[int, list[Value]]]:
    if len(page) < start + 8 or page[start] != _LEAF:
        return
    count = int.from_bytes(page[start + 3 : start + 5], "big")
    for at in range(start + 8, min(start + 8 + 2 * count, len(page) - 1), 2):
        try:
            yield _cell(page, int.from_bytes(page[at : at + 2], "big"), size, pages)
        except (IndexError, ValueError, struct.error, KeyError):
            continue


def _cell(page: bytes, at: int, size: int, pages: dict[int, bytes]) -> tuple[int, list[Value]]:
    length, at = _varint(page, at)
    rowid, at = _varint(page, at)
    most = size - 35
    local = length
    if length > most:
        least = (size - 12) * 32 // 255 - 23
        local = least + (length - least) % (size - 4)
        local = local if local <= most else least
    payload = page[at : at + local]
    if length > local:
        payload += _overflow(int.from_bytes(page[at + local : at + local + 4], "big"), length - local, size, pages)
    if len(payload) != length:
        raise ValueError("the page ends before the row")
    return rowid, _record(payload)


def _overflow(number: int, length: int, size: int, pages: dict[int, bytes]) -> bytes:
    found, seen = b"", set[int]()
    while len(found) < length:
        page = pages[number]
        if len(page) < size or number in seen:
            raise ValueError("an overflow page is cut off, or leads back to itself")
        seen.add(number)
        found += page[4:size]
        number = int.from_bytes(page[:4], "big")
    return found[:length]


def _record(payload: bytes) -> list[Value]:
    end, at = _varint(payload, 0)
    if end > len(payload):
        raise ValueError("a header that is longer than its row")
    values: list[Value] = []
    body = end
    while at < end:
        kind, at = _varint(payload, at)
        value, body = _value(kind, payload, body)
        values.append(value)
    return values


_WHOLE = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


def _value(kind: int, payload: bytes, at: int) -> tuple[Value, int]:
    if kind == 0:
        return None, at
    if kind in (8, 9):
        return kind - 8, at
    length = _WHOLE.get(kind) or (8 if kind == 7 else (kind - 12) // 2)
    if length < 0 or at + length > len(payload):
        raise ValueError("a value that is longer than its row")
    piece, at = payload[at : at + length], at + length
    if kind in _WHOLE:
        return int.from_bytes(piece, "big", signed=True), at
    if kind == 7:
        return float(struct.unpack(">d", piece)[0]), at
    return (piece.decode("utf-8") if kind % 2 else piece), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for number in range(9):
        byte = data[at + number]
        if number == 8:
            value = value << 8 | byte
            return value - (1 << 64) if value >= 1 << 63 else value, at + 9
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            return value, at + number + 1
    raise ValueError("unreachable")
