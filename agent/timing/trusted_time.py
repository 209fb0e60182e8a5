"""Which time can be believed: a GPS fix or the kernel's synchronised flag, and even those only within reason.

Pure but for its log. A boot's own time line (`Moment.uptime`) never leaps, so one believed instant on it, an `Anchor`,
dates everything of that boot, before and after. A year that looks plausible is no reason to believe a clock: a board
without a battery starts where it was last switched off (fake-hwclock), and that looks plausible too.
"""

from datetime import UTC, datetime, timedelta
from logging import getLogger
from typing import NamedTuple

from agent.timing.clock import TimeQuality

log = getLogger(__name__)

EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""No truck ran this program before it was written. A receiver whose 10-bit week number has rolled over says a date
1,024 weeks (19.6 years) before the right one, and one that corrects twice a date as far behind it."""

LATEST = EARLIEST + timedelta(weeks=1024)
HOLDOVER = 6 * 3600.0
"""Seconds for which an anchor dates what comes after it: a bad crystal (100 ppm) is two seconds off by then."""

CONFIRMATIONS = 5
"""So many witnesses in a row, agreeing among themselves, are believed against the anchor that they contradict."""

_TOLERANCE = 2.0
_CLOUD_TOLERANCE = 5.0
"""What an answer from the cloud may be off: half of its longest round trip."""
_DRIFT = 2e-4
_WORST_DRIFT = 0.1
"""Of a truck's own time line against witnesses that agree among themselves: one so wrong follows them all the same."""


def sane(wall: datetime) -> datetime:
    """What a clock said, where it can be; else the earliest time that can."""
    return wall if EARLIEST <= wall < LATEST else EARLIEST


class Anchor(NamedTuple):
    """At `uptime` seconds of a boot it was `utc`, and `quality` vouches for that."""

    uptime: float
    utc: datetime
    quality: TimeQuality

    @property
    def trusted(self) -> bool:
        """Whether it was witnessed, not estimated."""
        return self.quality != "estimated"

    def at(self, uptime: float) -> datetime:
        """The instant at another moment of the same boot."""
        return self.utc + timedelta(seconds=uptime - self.uptime)

    def covers(self, uptime: float) -> bool:
        """Whether it is near enough to date that moment: any time before, and HOLDOVER after."""
        return self.trusted and uptime <= self.uptime + HOLDOVER


class Timekeeper:
    """One boot's believed time. anchor: what is known of this boot from an earlier process. last: the latest instant
    that was believed in earlier boots; time does not run backwards, unless it was that one that was wrong."""

    def __init__(self, anchor: Anchor | None = None, last: datetime | None = None) -> None:
        self.anchor = anchor if anchor and anchor.trusted else None
        self._last = last
        self._doubted: tuple[datetime, float] | None = None
        self._agreeing = 0
        self._told = ""

    def witness(self, utc: datetime, uptime: float, quality: TimeQuality) -> bool:
        """Somebody trustworthy says that it is `utc` now; whether that is believed, and then it is the anchor."""
        if quality == "cloud" and self.anchor and self.anchor.quality != "cloud" and self.anchor.covers(uptime):
            return False  # a better witness is there
        if not EARLIEST <= utc < LATEST:
            self._doubt("out_of_range", utc, quality)
            return False
        if not self._fits(utc, uptime, quality) and not self._confirmed(utc, uptime, quality):
            return False
        if self._told:
            log.warning("time_believed utc=%s source=%s", utc.isoformat(), quality)
        self.anchor, self._doubted, self._agreeing, self._told = Anchor(uptime, utc, quality), None, 0, ""
        return True

    def _fits(self, utc: datetime, uptime: float, quality: TimeQuality) -> bool:
        if self.anchor is None:
            return self._last is None or utc >= self._last - timedelta(seconds=_TOLERANCE)
        allowed = _TOLERANCE + _DRIFT * abs(uptime - self.anchor.uptime)
        if "cloud" in (quality, self.anchor.quality):
            allowed += _CLOUD_TOLERANCE
        return abs((utc - self.anchor.at(uptime)).total_seconds()) <= allowed

    def _confirmed(self, utc: datetime, uptime: float, quality: TimeQuality) -> bool:
        """A leap, either way: a slip of one receiver or the truth after a slip; only repetition tells."""
        self._doubt("contradiction", utc, quality)
        if quality == "ntp" and self.anchor and self.anchor.quality == "gps" and self.anchor.covers(uptime):
            return False
        said = Anchor(self._doubted[1], self._doubted[0], quality) if self._doubted else None
        allowed = _TOLERANCE + (_WORST_DRIFT * abs(uptime - said.uptime) if said else 0.0)
        agrees = said and abs((utc - said.at(uptime)).total_seconds()) <= allowed
        self._agreeing = self._agreeing + 1 if agrees else 1
        self._doubted = (utc, uptime)
        return self._agreeing >= CONFIRMATIONS

    def _doubt(self, reason: str, utc: datetime, quality: TimeQuality) -> None:
        if self._told != f"{reason} {quality}":
            self._told = f"{reason} {quality}"
            known = self.anchor.utc if self.anchor else self._last
            log.error("time_not_believed reason=%s source=%s utc=%s known=%s", reason, quality, utc, known)
