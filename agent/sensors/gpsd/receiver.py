"""What one receiver said last, and what of it is true at a moment. Pure.

No fix, no position: a report without one forgets what the last fix said at once. A report may lack speed or time (the
first of each fix do): the value before stands until it is older than `LIMIT`. A fix whose own time is not the
machine's is believed to be of now only once that time was seen to move: the first that one hears may be repeated for an
hour already.
"""

import math
from datetime import datetime

from agent.sensors.fields import Reason, settle
from agent.sensors.gpsd.report import GpsReport
from agent.sensors.gpsd.time_trust import TimeTrust
from agent.sensors.plausibility import PlaceBelief, PositionRule
from agent.timing.trusted_time import EARLIEST

LIMIT = 5.0
"""Seconds (a fix is due every second) after which what was said is stale."""

LATITUDE, LONGITUDE = "gps_location.latitude", "gps_location.longitude"
ALTITUDE, SPEED = "gps_location.altitude", "gps_location.speed"
POSITION = (LATITUDE, LONGITUDE)
LEAVES = (*POSITION, ALTITUDE, SPEED)

MOST_ERROR = 1000.0
"""Metres of estimated error beyond which a position, be it from dead reckoning, is no place."""

_MOVING = 5.0


class GpsReceiver:
    """One device of gpsd. `heard` and `now` are seconds since boot."""

    def __init__(self, *, earliest: datetime = EARLIEST) -> None:
        self.trust = TimeTrust(earliest=earliest)
        self.heard = -1.0
        self.mode = 0
        self._last: dict[str, tuple[float, float]] = {}
        self._rule = PositionRule()
        self._fix: tuple[datetime, float] | None = None  # a fix's own time, and when it was first heard
        self._moves = False
        self._stands: tuple[object, float] | None = None  # a place, and since when it has been said

    def add_report(self, heard: float, report: GpsReport, *, timely: bool = True) -> bool:
        """Files one report.

        Args:
            heard: when it came.
            report: it.
            timely: whether its own time, where it has one, is about the machine's.

        Returns:
            Whether it is a fix of now: not one that is only repeated, nor one whose error makes it no place.
        """
        said_at = heard
        self.heard, self.mode = heard, report.mode
        if report.mode < 2:
            self._last.clear()
            return False
        if report.mode < 3:
            self._last.pop(ALTITUDE, None)
        if report.time is not None:
            self.trust.add_fix_time(heard, report.time)
            if self._fix is None or self._fix[0] != report.time:
                self._moves = timely or self._fix is not None
                self._fix = report.time, heard
            heard = self._fix[1]  # gpsd may repeat a fix: its age is the fix's, not the report's
        elif report.speed is not None and report.speed >= _MOVING:
            place = report.latitude, report.longitude
            if self._stands is None or self._stands[0] != place:
                self._stands = place, heard
            heard = self._stands[1]  # without a time, a place that stands while the truck moves is an old one
        if report.error is not None and report.error > MOST_ERROR:
            self._last[LATITUDE] = self._last[LONGITUDE] = (heard, math.inf)  # settles as implausible
            self._last.pop(ALTITUDE, None)
            return False
        said = {SPEED: report.speed, ALTITUDE: report.altitude if report.mode == 3 else None}
        if report.latitude is not None and report.longitude is not None:
            said |= {LATITUDE: report.latitude, LONGITUDE: report.longitude}
        self._last |= {leaf: (heard, value) for leaf, value in said.items() if value is not None}
        return said_at - heard <= LIMIT and self._alive

    @property
    def _alive(self) -> bool:
        """Whether its fixes, where they have a time, follow one another."""
        return self._moves or self._fix is None

    @property
    def place(self) -> PlaceBelief:
        """Where it is believed to be."""
        return self._rule.place

    def fixed(self, now: float) -> bool:
        """Whether it has a fix now."""
        return self.mode >= 2 and now - self.heard <= LIMIT

    def snapshot(self, now: float) -> tuple[dict[str, object], dict[str, Reason]]:
        """(leaf → value, leaf → why not) for the four leaves of a position."""
        if now - self.heard > LIMIT:
            return {}, dict.fromkeys(LEAVES, "stale" if self.mode >= 2 else "not_available")
        values: dict[str, object] = {}
        quality: dict[str, Reason] = {}
        for leaf in LEAVES:
            outcome = self._outcome(now, leaf)
            if isinstance(outcome, str):
                quality[leaf] = outcome
            else:
                values[leaf] = outcome
        self._rule.apply(now, values, quality)
        return values, quality

    def _outcome(self, now: float, leaf: str) -> float | Reason:
        if leaf not in self._last or not self._alive:
            return "not_available"
        heard, value = self._last[leaf]
        return settle(leaf, value) if now - heard <= LIMIT else "stale"
