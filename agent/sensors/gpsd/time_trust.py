"""Whether the date of a satellite receiver may be believed. Pure.

A fix proves where one is, not when: receivers restart their 1,024 weeks, start with the date of their firmware, and
gpsd itself adds 1,024 weeks to whatever it takes for too old. So a date is believed only when

- it lies between `EARLIEST` and 1,024 weeks later (a window in which the roll-over leaves one date);
- it came with a fix lately, and has gone on steadily, as the time since boot did: over three reports and `STEADY`
  seconds; a leap, either way, begins anew;
- it agrees with the machine's clock. While the kernel's clock is synchronised: within `AGREE` seconds. Else that clock
  may be behind (it stood still while the power was cut), but not by more than `LONGEST_REST`, and not ahead by more
  than `MOST_AHEAD`: then one of the two is wrong, and neither can say which. A clock before `EARLIEST` was never set
  and says nothing.
- where the machine's clock does not back it within `AGREE`, or after a leap from a date that was believed, it must have
  been steady for `STEADY_ALONE` seconds.
"""

from datetime import datetime, timedelta

from agent.timing.trusted_time import EARLIEST

ROLLOVER = timedelta(weeks=1024)
FRESH = 5.0
"""Seconds without a dated fix after which the time is not known any more."""
JITTER = 1.5
"""Seconds by which reports may come unevenly."""
STEADY = 2.0
STEADY_ALONE = 120.0
AGREE = 60.0
LONGEST_REST = timedelta(days=400)
MOST_AHEAD = timedelta(days=1)

_REPORTS = 3
_DRIFT = 1e-3


class TimeTrust:
    """One receiver. Tell it every dated fix; ask it at any time. leaps: how often its time did not go on evenly.

    `heard` and `uptime` are seconds since boot.
    """

    def __init__(self, *, earliest: datetime = EARLIEST) -> None:
        self.leaps = 0
        self._earliest = earliest
        self._latest: tuple[float, datetime] | None = None
        self._run = (0.0, 0.0)
        self._reports = 0
        self._believed: tuple[float, float] | None = None

    def add_fix_time(self, heard: float, time: datetime) -> None:
        """A fix of that time was heard. Of several reports of one fix the first tells the time best."""
        if self._latest is not None and time == self._latest[1]:
            return
        offset = time.timestamp() - heard
        if self._latest is None:
            self._begin(heard, offset)
        elif not (self._goes_on(heard, offset) and time > self._latest[1]):
            self.leaps += 1
            self._begin(heard, offset)
        self._latest = (heard, time)
        self._reports += 1

    def _begin(self, heard: float, offset: float) -> None:
        self._run, self._reports = (heard, offset), 0

    def _goes_on(self, heard: float, offset: float) -> bool:
        return _agrees(self._run, heard, offset)

    def time(self, uptime: float, clock: datetime, *, synchronised: bool) -> datetime | None:
        """The time now, or None. clock: what the machine's says; synchronised: whether the kernel vouches for it."""
        if self._latest is None or not 0 <= uptime - self._latest[0] <= FRESH:
            return None
        heard, time = self._latest
        try:
            moment = time + timedelta(seconds=uptime - heard)
            if not self._earliest <= moment < self._earliest + ROLLOVER:
                return None
        except OverflowError:
            return None
        needed = self._needed(moment - clock, clock, synchronised)
        if needed is None or self._reports < _REPORTS or heard - self._run[0] < needed:
            return None
        self._believed = (heard, time.timestamp() - heard)
        return moment

    def _needed(self, ahead: timedelta, clock: datetime, synchronised: bool) -> float | None:
        """Seconds that it must have gone on steadily, None where no time is enough."""
        backed = abs(ahead) <= timedelta(seconds=AGREE)
        if synchronised:
            return STEADY if backed else None
        if clock >= self._earliest and not -MOST_AHEAD <= ahead <= LONGEST_REST:
            return None
        heard, offset = self._run
        leapt = self._believed is not None and not _agrees(self._believed, heard, offset)
        return STEADY if backed and not leapt else STEADY_ALONE


def _agrees(run: tuple[float, float], heard: float, offset: float) -> bool:
    """Whether an offset between receiver and uptime is still that of a run: (since, offset then)."""
    since, before = run
    return abs(offset - before) <= JITTER + _DRIFT * max(0.0, heard - since)
