"""The records of a file of unknown make: a line each, in one JSON array, one document over several lines, or in a row.

A file of lines is handed on as it is. Any other is read a value at a time, so that an array of any size takes no more
memory than its largest record: where a record ends is told by its brackets alone, and what is wrong inside one costs
that one.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from io import BufferedIOBase

import orjson

from contract.codec import parse
from contract.errors import Rejected

MOST_BYTES = 16 * 1024 * 1024
"""Of one record that is not a line."""
_CHUNK = 1 << 16
_LIKELY_BYTES = 8192
_BETWEEN = re.compile(rb"[\s,]*")
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["{}\[\]]', re.DOTALL)
_SCALAR = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[^",\]\s]+|"', re.DOTALL)
_LIKELY_END = re.compile(rb"\}(?=[\s,]*\{)")
"""Of most records: with it a record takes a tenth of the CPU."""
_OPENING, _CLOSING = b"{[", b"}]"


def documents(file: BufferedIOBase) -> Iterator[bytes]:
    """The records of a file.

    Args:
        file: at its beginning; a pipe will do.

    Yields:
        Each record as it came; what is no JSON at all as the lines that it has.

    Raises:
        Rejected: an array that ends before its bracket, or a record of over 16 MB that is not a line; what came before
            has been given.
    """
    first = b""
    while not first.strip().removeprefix(BOM_UTF8):
        first = file.readline(_CHUNK)
        if not first:
            return
    mark = first.lstrip().removeprefix(BOM_UTF8).lstrip()[:1]
    if mark == b"{" and not first.endswith(b"\n"):
        first += file.readline(MOST_BYTES)
    if mark and mark in _OPENING and not _is_record(first):
        second = file.readline(MOST_BYTES) if first.endswith(b"\n") else b""
        if mark == b"[" or not _is_object(second):
            yield from _values(_Window(first.lstrip().removeprefix(BOM_UTF8) + second, file))
            return
        yield first
        first = second
    yield first if first.endswith(b"\n") else first + file.readline()
    yield from file


def _is_record(line: bytes) -> bool:
    """Whether it is JSON by itself, and no array of records."""
    try:
        return not isinstance(parse(line.strip().removeprefix(BOM_UTF8)), list)
    except Rejected:
        return False


def _is_object(line: bytes) -> bool:
    return line.lstrip()[:1] == b"{" and _is_record(line)


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


class _Window:
    """What has been read of a file and not been taken yet."""

    def __init__(self, head: bytes, file: BufferedIOBase) -> None:
        self._file = file
        self.data, self.at = head, 0

    def more(self) -> bool:
        """Read on; False at the end of the file."""
        left = self.data[self.at :]
        read = self._file.read1(max(_CHUNK, len(left)))
        self.data, self.at = left + read, 0
        return bool(read)

    def begins(self) -> bytes:
        """The byte that the next value begins with, b"" at the end of the file."""
        while True:
            match = _BETWEEN.match(self.data, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.data):
                return self.data[self.at : self.at + 1]
            if not self.more():
                return b""

    def take(self, size: int) -> bytes:
        """The next bytes."""
        begin, self.at = self.at, self.at + size
        return self.data[begin : self.at]

    def line(self) -> bytes:
        """The rest of the line."""
        end = self.data.find(b"\n", self.at)
        return self.take(end + 1 - self.at) if end >= 0 else self.take(len(self.data)) + self._file.readline()

    def lines(self) -> Iterator[bytes]:
        """All that is left, as lines."""
        while self.at < len(self.data):
            yield self.line()
        yield from self._file

    def bracketed(self) -> bytes | None:
        """The next value, from its bracket to the one that closes it; None where that does not come."""
        likely = _LIKELY_END.search(self.data, self.at, self.at + _LIKELY_BYTES)
        if likely and _is_json(self.data[self.at : likely.end()]):
            return self.take(likely.end() - self.at)
        depth = seen = 0
        while True:
            for token in _TOKEN.finditer(self.data, self.at + seen):
                mark = token[0]
                if mark == b'"':  # the beginning of a text whose end has not been read yet
                    break
                depth += (mark in _OPENING) - (mark in _CLOSING)
                seen = token.end() - self.at
                if not depth:
                    return self.take(seen)
            else:
                seen = len(self.data) - self.at
            if len(self.data) - self.at > MOST_BYTES or not self.more():
                return None

    def scalar(self) -> bytes:
        """The next text, number or word; to the end of the line where a text has none."""
        while True:
            match = _SCALAR.match(self.data, self.at)
            found = match[0] if match else b""
            whole = match is not None and match.end() < len(self.data) and found != b'"'
            if whole or len(self.data) - self.at > MOST_BYTES or not self.more():
                return self.line() if found in (b"", b'"') else self.take(len(found))


def _values(window: _Window) -> Iterator[bytes]:
    """Values in a row, those of arrays one by one."""
    in_array = False
    while mark := window.begins():
        if mark == (b"]" if in_array else b"["):
            window.take(1)
            in_array = not in_array
        elif mark in _OPENING:
            value = window.bracketed()
            if value is None or _has_swallowed_others(value):
                window.at -= len(value or b"")  # nothing was taken where there is none
                yield from _rest(window, in_array=in_array)
                return
            yield value
        else:
            yield window.scalar() if in_array else window.line()
    if in_array:
        raise Rejected("", "the JSON array has no end: the file was cut off, and what is in it was taken; get it whole")


def _has_swallowed_others(value: bytes) -> bool:
    """Whether it is no record, but lines of which some are: a bracket of its own is lacking, and theirs closed it."""
    return b"\n" in value and _some_are_records(value.splitlines()[1:]) and not _is_record(value)


def _some_are_records(lines: Sequence[bytes]) -> bool:
    return any(_is_object(line.strip().rstrip(b",")) for line in lines)


def _rest(window: _Window, *, in_array: bool) -> Iterator[bytes]:
    """What is left where a bracket is not closed: lines, if records stand on them, else one broken record."""
    left = window.data[window.at :]
    following = left.splitlines()[1:]
    if _some_are_records(following):
        for line in window.lines():
            text = line.strip().rstrip(b",") if in_array else line
            if text != b"]":
                yield text
    elif len(left) <= MOST_BYTES or not (in_array or following):
        yield from window.lines() if not following else [left]
    else:
        begun = left[:60].decode("utf-8", "replace")
        raise Rejected(
            "", f"the record that begins with {begun!r} is over 16 MB, or not closed: what came before was taken"
        )
