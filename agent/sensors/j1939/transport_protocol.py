"""Puts multi-packet J1939 messages together by listening only (SAE J1939-21 §5.10): BAM and RTS/CTS.

Promises its caller a payload only when every packet of it was heard once, in order, in time; anything else drops that
session, counted, and harms no other. Memory is bounded: at most `MAX_SESSIONS` of at most 1,785 bytes.
One bus each: on a second bus the same addresses are other nodes.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from agent.sensors.can_frame import GLOBAL, Frame

TP_CM = 60416
TP_DT = 60160
MAX_SESSIONS = 32
MAX_BYTES = 1785
BAM_TIMEOUT = 0.75
"""Seconds of silence after which a broadcast is dead (T1)."""
RTS_TIMEOUT = 1.25
"""The same for a connection (T2, T3)."""

_RTS, _CTS, _END, _BAM, _ABORT = 16, 17, 19, 32, 255
_PER_PACKET = 7


class J1939Message(NamedTuple):
    """A message put together: what a single frame would have said, but longer than 8 bytes."""

    pgn: int
    source: int
    destination: int
    data: bytes


@dataclass(slots=True)
class _Session:
    pgn: int
    size: int
    timeout: float
    heard: float
    expected: int = 1
    data: bytearray = field(default_factory=bytearray)

    @property
    def complete(self) -> bool:
        return len(self.data) >= self.size

    def dead(self, now: float) -> bool:
        return abs(now - self.heard) > self.timeout


class Reassembler:
    """Feed it every frame of a bus in the order heard; it answers with the message that the frame completed.

    `counts` says what happened to sessions: `announced`, `completed`, and dropped as `sequence` (a packet lost,
    repeated or out of order), `timeout`, `superseded` (announced anew before complete), `aborted`, `ended`
    (acknowledged, but not all of it was heard), `evicted` (too many at once); beside them `malformed` control frames
    and `orphans`, packets of no known session.
    """

    def __init__(self, *, max_sessions: int = MAX_SESSIONS) -> None:
        self.counts: Counter[str] = Counter()
        self._max = max_sessions
        self._sessions: dict[tuple[int, int], _Session] = {}

    @property
    def buffered(self) -> int:
        """Bytes held for messages that are not complete."""
        return sum(len(session.data) for session in self._sessions.values())

    def __len__(self) -> int:
        return len(self._sessions)

    def feed(self, now: float, frame: Frame) -> J1939Message | None:
        """The message that this frame completes, or None. `now`: seconds on any time line that runs evenly."""
        pgn = frame.pgn
        if pgn == TP_DT:
            return self._data(now, frame)
        if pgn == TP_CM:
            self._control(now, frame)
        return None

    def _control(self, now: float, frame: Frame) -> None:
        if len(frame.data) < 8:
            self.counts["malformed"] += 1
            return
        pgn = int.from_bytes(frame.data[5:8], "little") & 0x3FFFF
        here, back = (frame.source, frame.destination), (frame.destination, frame.source)
        kind = frame.data[0]
        if kind in (_RTS, _BAM):
            self._announce(now, frame, pgn)
        elif kind == _CTS:
            self._clear_to_send(now, frame, pgn)
        elif kind == _END:
            self._close(back, pgn, "ended")
        elif kind == _ABORT:  # either side may give up
            self._close(back, pgn, "aborted")
            self._close(here, pgn, "aborted")
        else:
            self.counts["malformed"] += 1

    def _announce(self, now: float, frame: Frame, pgn: int) -> None:
        size = int.from_bytes(frame.data[1:3], "little")
        broadcast = frame.data[0] == _BAM
        sound = 8 < size <= MAX_BYTES and frame.data[3] == -(-size // _PER_PACKET)
        if not sound or broadcast != (frame.destination == GLOBAL):
            self.counts["malformed"] += 1
            return
        key = (frame.source, frame.destination)
        if key in self._sessions:
            self._drop(key, "timeout" if self._sessions[key].dead(now) else "superseded")
        self._make_room(now)
        self.counts["announced"] += 1
        self._sessions[key] = _Session(pgn, size, BAM_TIMEOUT if broadcast else RTS_TIMEOUT, now)

    def _make_room(self, now: float) -> None:
        for key in [key for key, session in self._sessions.items() if session.dead(now)]:
            self._drop(key, "timeout")
        while len(self._sessions) >= self._max:
            self._drop(min(self._sessions, key=lambda key: self._sessions[key].heard), "evicted")

    def _clear_to_send(self, now: float, frame: Frame, pgn: int) -> None:
        key = (frame.destination, frame.source)
        session = self._sessions.get(key)
        if session is None or session.pgn != pgn:
            return
        session.heard = now
        packets, following = frame.data[1], frame.data[2]
        if packets == 0:  # "wait": keeps the connection open
            return
        if not 1 <= following <= session.expected:
            self._drop(key, "sequence")
            return
        del session.data[(following - 1) * _PER_PACKET :]  # asked again from there
        session.expected = following

    def _data(self, now: float, frame: Frame) -> J1939Message | None:
        key = (frame.source, frame.destination)
        session = self._sessions.get(key)
        if session is None:
            self.counts["orphans"] += 1
            return None
        if session.dead(now):
            self._drop(key, "timeout")
            return None
        needed = min(_PER_PACKET, session.size - len(session.data))  # some units do not pad the last packet
        if len(frame.data) <= needed or frame.data[0] != session.expected:
            self._drop(key, "sequence")
            return None
        session.data += frame.data[1:8]
        session.expected += 1
        session.heard = now
        if not session.complete:
            return None
        del self._sessions[key]
        self.counts["completed"] += 1
        return J1939Message(session.pgn, *key, bytes(session.data[: session.size]))

    def _close(self, key: tuple[int, int], pgn: int, why: str) -> None:
        if key in self._sessions and self._sessions[key].pgn == pgn:
            self._drop(key, why)

    def _drop(self, key: tuple[int, int], why: str) -> None:
        del self._sessions[key]
        self.counts[why] += 1
