"""Time for virtual trucks: it passes faster than ours until it has caught up with it, and never runs ahead.

A sample from the future would be rejected, so simulated time starts in the past and ends, at the latest, at now.
"""

from datetime import datetime, timedelta
from typing import Literal

from agent.timing.clock import Clock, Moment, SystemClock

LONGEST_WAY_BACK = timedelta(days=1)
"""How far in the past simulated time starts where no end is planned."""

_NEVER_S = 3600.0


class SimulatedClock:
    """Implements agent.timing.clock.Clock.

    start: where simulated time starts (at the wall clock's time, if that is earlier). speedup: simulated seconds in a
    second. Having caught up with the wall clock, it is the wall clock. end: simulated time stands still there, and a
    moment after it is an hour away, so that nothing spins. wall: the real clock.
    """

    def __init__(
        self, start: datetime, speedup: float = 1.0, end: datetime | None = None, *, wall: Clock | None = None
    ) -> None:
        self._wall = wall or SystemClock()
        self._start = start
        self._speedup = speedup
        self._end = end
        self._origin = self._wall.monotonic()
        self._caught_up = self._at_wall(start)

    def now(self) -> datetime:
        """Simulated time, never later than the wall clock's nor than `end`."""
        now = self._running()
        return min(now, self._end) if self._end else now

    @property
    def has_ended(self) -> bool:
        """Whether simulated time stands still at `end`."""
        return self._end is not None and self._running() >= self._end

    @property
    def start(self) -> datetime:
        """Where simulated time started."""
        return self._start

    def will_reach(self, moment: datetime) -> bool:
        """Whether simulated time comes to a moment, or has passed it."""
        return self._end is None or moment <= self._end

    def quality(self) -> Literal["gps", "ntp", "estimated"]:
        """`ntp`: simulated time is right by definition, and the sensor gives a GPS time of its own."""
        return "ntp"

    def moment(self) -> Moment:
        """Simulated time, which is its boot's own time line too."""
        now = self.now()
        return Moment(now, f"simulated-{self._start.isoformat()}", (now - self._start).total_seconds())

    def seconds_until(self, moment: datetime) -> float:
        """Wall seconds until simulated time reaches a moment, negative when it has passed."""
        if not self.will_reach(moment):
            return _NEVER_S
        here, wall = self._running(), self._wall.now()
        if self._caught_up or moment <= here:
            return (moment - here).total_seconds()
        return max((moment - here).total_seconds() / self._speedup, (moment - wall).total_seconds())

    def monotonic(self) -> float:
        """Wall seconds that never leap."""
        return self._wall.monotonic()

    def _running(self) -> datetime:
        wall = self._wall.now()
        if self._caught_up:
            return wall
        simulated = self._start + timedelta(seconds=(self._wall.monotonic() - self._origin) * self._speedup)
        self._caught_up = self._at_wall(simulated)
        return min(simulated, wall)

    def _at_wall(self, simulated: datetime) -> bool:
        return self._speedup >= 1 and simulated >= self._wall.now()


def planned_start(now: datetime, *, speedup: float, minutes: float | None) -> datetime:
    """Where simulated time starts: so far back that it reaches the wall clock's after so many wall minutes.

    Without minutes a day back; at now where it does not run faster than the wall clock.
    """
    if speedup <= 1:
        return now
    return now - (LONGEST_WAY_BACK if minutes is None else timedelta(minutes=minutes * (speedup - 1)))
