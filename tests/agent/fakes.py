"""Hand-written fakes: a sensor with a known value, a clock that runs faster than ours."""

import time
from datetime import UTC, datetime, timedelta

from agent.sensors import Reading
from agent.timing.clock import Moment, TimeQuality
from contract.codec import Json


class CountingSensor:
    """Says how often it was read, as engine speed, and how its `brakes` are; `failing` makes it raise."""

    def __init__(self, moment: datetime | None = None) -> None:
        self.reads = 0
        self.failing = False
        self.brakes: str | None = None
        self.moment = moment

    def read(self, now: datetime) -> Reading:
        """One reading."""
        if self.failing:
            raise RuntimeError("the device has been pulled out")
        self.reads += 1
        values: dict[str, Json] = {"engine_diagnostics.engine_rpm": self.reads}
        if self.brakes:
            values["vehicle_health_and_maintenance.brake_status"] = self.brakes
        return Reading(values, {}, self.moment)

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


class TruckClock:
    """A truck's clock in simulated seconds, all of it in the test's hands.

    `truth` is the real time. The clock says something else: `error` seconds away; `synchronised` is the kernel's flag.
    """

    def __init__(self, truth: datetime = datetime(2026, 6, 1, 8, tzinfo=UTC)) -> None:
        self.truth = truth
        self.boot_number = 1
        self.booted = truth
        self.error = timedelta()
        self.synchronised = False

    def passes(self, seconds: float) -> None:
        """Time goes by."""
        self.truth += timedelta(seconds=seconds)

    def reboot(self, *, off: float = 0, wall: datetime | None = None) -> None:
        """Switched off for `off` seconds; then the clock says `wall`, or what it said when it was switched off."""
        said = self.now()
        self.passes(off)
        self.boot_number += 1
        self.booted = self.truth
        self.error = (wall or said) - self.truth
        self.synchronised = False

    def now(self) -> datetime:
        """What the clock says."""
        return self.truth + self.error

    def quality(self) -> TimeQuality:
        """The kernel's flag."""
        return "ntp" if self.synchronised else "estimated"

    def moment(self) -> Moment:
        """The boot's own time line is right whatever the clock says."""
        return Moment(self.now(), f"boot-{self.boot_number}", (self.truth - self.booted).total_seconds())

    def seconds_until(self, moment: datetime) -> float:
        """Simulated seconds."""
        return (moment - self.now()).total_seconds()

    def monotonic(self) -> float:
        """Simulated seconds."""
        return self.truth.timestamp()
