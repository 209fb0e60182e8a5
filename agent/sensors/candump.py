"""Reads the log format of candump -L: `(1635188455.029900) can0 0CF00400#607D84481400F084`.

Tolerant on purpose: logs are edited by hand, cut off, concatenated. Whatever is not a classic data frame (prose, error
and remote frames, CAN FD) is skipped and counted, never raised. Time stamps are passed on as they stand, also when they
go back: what to make of that is the reader's business.
"""

import re
from collections.abc import Iterable, Iterator

from agent.sensors.can_frame import Frame

_LINE = re.compile(
    r"\s*\(([0-9]{1,12}(?:\.[0-9]{0,12})?)\)\s+(\S{1,32})\s+"  # time, interface
    r"([0-9A-Fa-f]{8}|[0-9A-Fa-f]{3})#((?:[0-9A-Fa-f]{2}){0,8})"  # identifier, data
    r"(?:\s+[RT])?\s*",  # direction, which newer versions append
    re.ASCII,
)
_LARGEST_ID = 0x1FFFFFFF  # above it stand candump's flags of error and remote frames


def parse_line(line: str) -> tuple[float, Frame] | None:
    """(seconds, frame), or None where the line holds no classic data frame."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    stamp, interface, identifier, data = match.groups()
    can_id = int(identifier, 16)
    if can_id > (_LARGEST_ID if len(identifier) == 8 else 0x7FF):
        return None
    return float(stamp), Frame(can_id, bytes.fromhex(data), len(identifier) == 8, interface)


class Candump:
    """Iterates over (seconds, frame) of a log's lines, one at a time; `frames` and `skipped` count as it goes."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines
        self.frames = 0
        self.skipped = 0

    def __iter__(self) -> Iterator[tuple[float, Frame]]:
        for line in self._lines:
            parsed = parse_line(line)
            if parsed is not None:
                self.frames += 1
                yield parsed
            elif not line.isspace():
                self.skipped += 1
