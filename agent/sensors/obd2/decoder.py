"""Keeps what each control unit answered last, and says what of it is true at a moment. Identifiers of 11 or 29 bits.

Promises: never raises, whatever the bytes; a value is younger than its limit, else the leaf has a reason. Of several
control units that answer, the one with the lowest identifier (7E8, the engine) is preferred; one that contradicts it is
counted in `disagreements`. Which unit's odometer is believed, and when, stands in odometer.py.
"""

from collections import Counter

from agent.sensors.can_frame import Frame
from agent.sensors.fields import Reason
from agent.sensors.obd2.isotp import IsoTp, first_of_several
from agent.sensors.obd2.pids import PIDS, SUPPORTED, Pid, answers, supported
from agent.sensors.obd2.trouble_codes import MONITOR_STATUS, TroubleCodes
from agent.sensors.observed_period import ObservedPeriods
from agent.sensors.odometer import OdometerBelief, Rank
from agent.sensors.plausibility import Disagreement, Heard, disagreements
from agent.sensors.since_last import Interval, Since, counts

ODOMETER = "odometer_reading"
ALLOWED_GAPS = 3.0
"""Of the observed period, as a multiple, after which a value is stale."""
LONGEST_LIMIT = 60.0
"""Seconds that even a value that comes rarely may be old."""

_OURS = tuple(pid for pid in PIDS.values() if pid.leaf)


class Obd2Decoder:
    """One bus. `feed` it in the order heard; `snapshot` at any time.

    answered: when anything answered last, or None. extended: whether that was by 29 bits; None before.
    known: for each bitmap PID answered so far, the PIDs some unit has.
    """

    def __init__(self) -> None:
        self.disagreements: Counter[Disagreement] = Counter()
        self.answered: float | None = None
        self.extended: bool | None = None
        self.trouble = TroubleCodes()
        self.known: dict[int, set[int]] = {}
        self.isotp = IsoTp()
        self._periods = ObservedPeriods()  # of (PID, unit)
        self._heard: dict[int, dict[int, tuple[float, bytes]]] = {pid: {} for pid in PIDS}
        self.since = Since()
        self.odometer = OdometerBelief()

    @property
    def beliefs(self) -> dict[str, OdometerBelief]:
        """What outlives a process."""
        return {"odometer": self.odometer}

    def feed(self, now: float, frame: Frame) -> None:
        """Files one frame. `now`: seconds on any time line that runs evenly, the same as `snapshot` is asked on."""
        payload = self.isotp.feed(now, frame)
        if payload is None:
            if (first := first_of_several(frame)) is not None:
                self.trouble.begun(now, frame.can_id, first)
            return
        if self.trouble.feed(now, frame.can_id, payload):
            self.answered, self.extended = now, frame.extended
        for pid, data in answers(payload):
            self.answered, self.extended = now, frame.extended
            if pid == MONITOR_STATUS:
                self.trouble.lamp(now, frame.can_id, data)
            if pid in PIDS:
                if frame.can_id in self._heard[pid]:
                    self._periods.add_gap((pid, frame.can_id), now - self._heard[pid][frame.can_id][0])
                self._heard[pid][frame.can_id] = (now, data)
                self._account(now, PIDS[pid], frame.can_id, data)
            elif pid in SUPPORTED:
                self.known.setdefault(pid, set()).update(supported(pid, data))

    def snapshot(self, now: float) -> tuple[dict[str, object], dict[str, Reason]]:
        """What is true at a moment.

        Args:
            now: seconds, on the time line of `feed`.

        Returns:
            (leaf → value, leaf → why not) for every leaf that OBD-II can give; the two never share a leaf. Trouble
            codes and the lamp are among the values where they are known, and else nowhere.
        """
        values: dict[str, object] = {}
        quality: dict[str, Reason] = {}
        for pid in _OURS:
            outcome = self._outcome(now, pid)
            if isinstance(outcome, str):
                quality[pid.leaf] = outcome
            else:
                values[pid.leaf] = outcome
        return values | self.trouble.snapshot(now), quality

    def end_interval(self, now: float) -> Interval | None:
        """See agent.sensors.can_sensor.BusDecoder."""
        return self.since.end_interval(now)

    def _account(self, now: float, pid: Pid, unit: int, data: bytes) -> None:
        if not pid.leaf or not counts(pid.leaf) or isinstance(value := pid.decode(data), str):
            return
        self.since.value(now, pid.leaf, value, rank=(0, unit), limit=self._limit(pid, unit))

    def _limit(self, pid: Pid, unit: int) -> float:
        """Seconds of silence after which it is stale: a tester that asks rarely makes it rare, within a bound."""
        return max(pid.limit, min(LONGEST_LIMIT, ALLOWED_GAPS * self._periods.period((pid.pid, unit))))

    def _outcome(self, now: float, pid: Pid) -> float | Reason:
        answers_of = self._heard[pid.pid]
        fresh = [
            (unit, at, pid.decode(data))
            for unit, (at, data) in sorted(answers_of.items())
            if now - at <= self._limit(pid, unit)
        ]
        heard = [Heard(unit, at, pid.period, value) for unit, at, value in fresh if not isinstance(value, str)]
        if not heard:
            return "implausible" if fresh else "stale" if answers_of else "not_available"
        self.disagreements.update(disagreements(pid.leaf, heard))
        if pid.leaf != ODOMETER:
            return heard[0].value
        believed = self.odometer.choose(now, [(Rank(0, 0, each.source), each.value) for each in heard])
        return "implausible" if believed is None else believed
