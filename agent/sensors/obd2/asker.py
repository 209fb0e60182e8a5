"""What to ask of a van's control units, and when; pure.

Bounded: one question at a time, at most ten a second, each parameter at its own period, and only what some control unit
says it has. A vehicle that does not answer (parked: questions keep control units awake and drain the battery) is asked
once in `REST` seconds whether it is back. Until a unit has answered, the questions go by 11 and by 29 bits in turn;
then as it answered. What answers to our trouble-code questions in several frames is told to go on.
"""

from collections import Counter

from agent.sensors.can_frame import Frame
from agent.sensors.obd2.decoder import Obd2Decoder
from agent.sensors.obd2.isotp import EXTENDED_ANSWER
from agent.sensors.obd2.pids import PIDS, SUPPORTED
from agent.sensors.obd2.trouble_codes import ANSWERED, MONITOR_STATUS, PERIODS

FUNCTIONAL, EXTENDED_FUNCTIONAL = 0x7DF, 0x18DB33F1
"""The identifiers that all control units listen to, by 11 and by 29 bits."""
SPACING = 0.1
"""Least seconds between two questions."""
SILENCE = 10.0
"""Seconds without an answer after which the vehicle is taken to be off."""
REST = 30.0
"""Seconds between two questions while it is."""
TRIES = 3
"""Times that a control unit is asked what else it has, when it said that it could tell."""

_PERIODS: dict[int, float] = {
    **{pid.pid: pid.period for pid in PIDS.values() if pid.leaf},
    MONITOR_STATUS: 10.0,
}
_FLOW_SECONDS = 1.0
_GO_ON = bytes((0x30, 0, 0, 0, 0, 0, 0, 0))


class Asker:
    """Looks at what the decoder knows; `next(now)` is a frame to send, or None."""

    def __init__(self, decoder: Obd2Decoder) -> None:
        self._decoder = decoder
        self._asked: dict[int, float] = {}
        self._modes: dict[int, float] = {}
        self._extended = True
        self._tries: Counter[int] = Counter()
        self._last: float | None = None
        self._started: float | None = None

    def next(self, now: float) -> Frame | None:
        """The question that is due, at most one in `SPACING` seconds, or the word to go on that a unit waits for.

        Args:
            now: seconds, on the time line of the decoder's `feed`.

        Returns:
            A frame to send now, or None.
        """
        if self._started is None:
            self._started = now
        if flow := self._flow(now):
            return flow
        heard = max(self._started, self._decoder.answered or self._started)
        resting = now - heard > SILENCE
        if self._last is not None and now - self._last < (REST if resting else SPACING):
            return None
        pid = SUPPORTED[0] if resting else self._due(now)
        if pid is not None:
            self._last = self._asked[pid] = now
            return self._question(bytes((2, 0x01, pid, 0, 0, 0, 0, 0)))
        mode = next((mode for mode, period in PERIODS.items() if now - self._modes.get(mode, -period) >= period), None)
        if mode is None or self._decoder.answered is None:
            return None
        self._last = self._modes[mode] = now
        return self._question(bytes((1, mode, 0, 0, 0, 0, 0, 0)))

    def _question(self, data: bytes) -> Frame:
        known = self._decoder.extended
        self._extended = not self._extended if known is None else known
        return Frame(EXTENDED_FUNCTIONAL if self._extended else FUNCTIONAL, data, extended=self._extended)

    def _flow(self, now: float) -> Frame | None:
        """The word to go on, only for what we have asked for: others control the flow of their own answers."""
        begun = self._decoder.isotp.begun
        while begun:
            unit, first = begun.popleft()
            asked = self._modes.get(first - ANSWERED)
            if asked is not None and now - asked <= _FLOW_SECONDS:
                extended = unit & ~0xFF == EXTENDED_ANSWER
                to = 0x18DA00F1 | (unit & 0xFF) << 8 if extended else unit - 8
                return Frame(to, _GO_ON, extended=extended)
        return None

    def _due(self, now: float) -> int | None:
        """What was not asked for its period, the longest overdue first; what units have comes before all."""
        unknown = self._unknown()
        if unknown is not None and now - self._asked.get(unknown, -REST) >= 1:
            self._tries[unknown] += 1
            return unknown
        has: set[int] = set().union(*self._decoder.known.values())
        late = [
            (self._asked.get(pid, -REST) + period, pid)
            for pid, period in _PERIODS.items()
            if pid in has and now - self._asked.get(pid, -REST) >= period
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
