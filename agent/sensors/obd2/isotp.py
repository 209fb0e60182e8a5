"""Puts ISO 15765-2 messages together by listening only: single frames, and first frames with their consecutive ones.

Promises a payload only when every frame of it was heard in order and in time. Memory is bounded: one unfinished message
of at most 4,095 bytes for each of at most MOST_OPEN identifiers that answer. It sends nothing: a message that begins is
named in `begun`, for whoever asked for it to control the flow (asker.py).
"""

from collections import Counter, deque
from dataclasses import dataclass

from agent.sensors.can_frame import Frame

FIRST_ANSWER, LAST_ANSWER = 0x7E8, 0x7EF
"""Of the control units, by 11 bits."""
EXTENDED_ANSWER = 0x18DAF100
"""The same by 29 bits (ISO 15765-4); the last byte is the unit's address."""
MOST_OPEN = 16
TIMEOUT = 1.0
"""Seconds between two frames of one message (N_Cr)."""

_SINGLE, _FIRST, _CONSECUTIVE = 0, 1, 2


def is_answer(frame: Frame) -> bool:
    """Whether a frame is a control unit's to a tester.

    Args:
        frame: any frame of the bus.

    Returns:
        True for 7E8 to 7EF, and for 18DAF1xx by 29 bits.
    """
    if frame.extended:
        return frame.can_id & ~0xFF == EXTENDED_ANSWER
    return FIRST_ANSWER <= frame.can_id <= LAST_ANSWER


def first_of_several(frame: Frame) -> int | None:
    """The first byte of an answer of several frames, in the frame that begins it.

    Args:
        frame: any frame of the bus.

    Returns:
        None for every other frame.
    """
    if not is_answer(frame) or len(frame.data) < 8 or frame.data[0] >> 4 != _FIRST:
        return None
    return frame.data[2]


@dataclass(slots=True)
class _Message:
    size: int
    heard: float
    data: bytearray
    following: int = 1


class IsoTp:
    """Feed it every frame in the order heard. counts: `malformed`, `sequence`, `timeout`, `superseded`, `orphans`,
    `evicted`. begun: (identifier, first byte) of the messages of several frames that began lately, oldest first."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.begun: deque[tuple[int, int]] = deque(maxlen=MOST_OPEN)
        self._open: dict[int, _Message] = {}

    def feed(self, now: float, frame: Frame) -> bytes | None:
        """The payload that this frame completes, or None."""
        if not is_answer(frame) or not frame.data:
            return None
        kind, low = frame.data[0] >> 4, frame.data[0] & 0xF
        if kind == _SINGLE:
            return self._single(frame, low)
        if kind == _FIRST:
            self._first(now, frame, low)
        elif kind == _CONSECUTIVE:
            return self._consecutive(now, frame, low)
        return None

    def _single(self, frame: Frame, size: int) -> bytes | None:
        if not 1 <= size < len(frame.data):
            self.counts["malformed"] += 1
            return None
        return frame.data[1 : 1 + size]

    def _first(self, now: float, frame: Frame, low: int) -> None:
        size = low << 8 | frame.data[1] if len(frame.data) == 8 else 0
        if size < 8:
            self.counts["malformed"] += 1
            return
        if frame.can_id in self._open:
            self.counts["superseded"] += 1
        elif len(self._open) >= MOST_OPEN:
            self.counts["evicted"] += 1
            del self._open[min(self._open, key=lambda one: self._open[one].heard)]
        self._open[frame.can_id] = _Message(size, now, bytearray(frame.data[2:]))
        self.begun.append((frame.can_id, frame.data[2]))

    def _consecutive(self, now: float, frame: Frame, number: int) -> bytes | None:
        message = self._open.pop(frame.can_id, None)
        if message is None:
            self.counts["orphans"] += 1
            return None
        if abs(now - message.heard) > TIMEOUT:
            self.counts["timeout"] += 1
            return None
        needed = min(7, message.size - len(message.data))
        if number != message.following or len(frame.data) <= needed:
            self.counts["sequence"] += 1
            return None
        message.data += frame.data[1 : 1 + needed]
        if len(message.data) >= message.size:
            return bytes(message.data)
        message.following, message.heard = (number + 1) & 0xF, now
        self._open[frame.can_id] = message
        return None
