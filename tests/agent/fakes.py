"""Hand-written fakes: a sensor with a known value, a clock that runs faster than ours."""

import time
from datetime import UTC, datetime, timedelta

from agent.clock import Moment, TimeQuality
from agent.sensors import Reading


class CountingSensor:
    """Says how often it was read, as engine speed; `failing` makes it raise."""

    def __init__(self, moment: datetime | None = None) -> None:
        self.reads = 0
        self.failing = False
        self.moment = moment

    def read(self, now: datetime) -> Reading:
        """One reading."""
        if self.failing:
            raise RuntimeError("the device has been pulled out")
        self.reads += 1
        return Reading({"engine_diagnostics.engine_rpm": self.reads}, {}, self.moment)

    def close(self) -> None:
        """Nothing to release."""


class FastClock:
    """A clock that starts at `start` and runs `speed` times faster than the wall."""

    def __init__(self, speed: float = 1.0, start: datetime = datetime(2026, 1, 31, 12, tzinfo=UTC)) -> None:
        self.speed, self._start, self._origin = speed, start, time.monotonic()

    def now(self) -> datetime:
        """Simulated time."""
        return self._start + timedelta(seconds=(time.monotonic() - self._origin) * self.speed)

    def quality(self) -> TimeQuality:
        """A simulated clock is never wrong."""
        return "ntp"

    def moment(self) -> Moment:
        """Its boot began when it was made."""
        passed = (time.monotonic() - self._origin) * self.speed
        return Moment(self._start + timedelta(seconds=passed), "boot", passed)

    def seconds_until(self, moment: datetime) -> float:
        """Wall seconds."""
        return (moment - self.now()).total_seconds() / self.speed

    def monotonic(self) -> float:
        """Wall seconds."""
        return time.monotonic()
