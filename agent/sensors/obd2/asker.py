"""What to ask of a van's control units, and when; pure.

Bounded: one question at a time, at most ten a second, each parameter at its own period, and only what some control unit
says it has. A vehicle that does not answer (parked: questions keep control units awake and drain the battery) is asked
once in `REST` seconds whether it is back.
"""

from collections import Counter

from agent.sensors.can_frame import Frame
from agent.sensors.obd2.decoder import Obd2Decoder
from agent.sensors.obd2.pids import PIDS, SUPPORTED

FUNCTIONAL = 0x7DF
"""The identifier that all control units listen to."""
SPACING = 0.1
"""Least seconds between two questions."""
SILENCE = 10.0
"""Seconds without an answer after which the vehicle is taken to be off."""
REST = 30.0
"""Seconds between two questions while it is."""
TRIES = 3
"""Times that a control unit is asked what else it has, when it said that it could tell."""

_OURS = tuple(pid for pid in PIDS.values() if pid.leaf)


class Asker:
    """Looks at what the decoder knows; `next(now)` is a frame to send, or None."""

    def __init__(self, decoder: Obd2Decoder) -> None:
        self._decoder = decoder
        self._asked: dict[int, float] = {}
        self._tries: Counter[int] = Counter()
        self._last: float | None = None
        self._started: float | None = None

    def next(self, now: float) -> Frame | None:
        """The question that is due, at most one in `SPACING` seconds."""
        if self._started is None:
            self._started = now
        heard = max(self._started, self._decoder.answered or self._started)
        resting = now - heard > SILENCE
        if self._last is not None and now - self._last < (REST if resting else SPACING):
            return None
        pid = SUPPORTED[0] if resting else self._due(now)
        if pid is None:
            return None
        self._last = self._asked[pid] = now
        return Frame(FUNCTIONAL, bytes((2, 0x01, pid, 0, 0, 0, 0, 0)), extended=False)

    def _due(self, now: float) -> int | None:
        """What was not asked for its period, the longest overdue first; what units have comes before all."""
        unknown = self._unknown()
        if unknown is not None and now - self._asked.get(unknown, -REST) >= 1:
            self._tries[unknown] += 1
            return unknown
        has: set[int] = set().union(*self._decoder.known.values())
        late = [
            (self._asked.get(pid.pid, -REST) + pid.period, pid.pid)
            for pid in _OURS
            if pid.pid in has and now - self._asked.get(pid.pid, -REST) >= pid.period
        ]
        return min(late)[1] if late else None

    def _unknown(self) -> int | None:
        """The next bitmap to ask for: the first, or one whose bit the bitmap before has set."""
        known = self._decoder.known
        for pid in SUPPORTED:
            if pid not in known:
                return pid if self._tries[pid] < TRIES or pid == SUPPORTED[0] else None
            if pid + 0x20 not in known[pid]:
                return None
        return None
