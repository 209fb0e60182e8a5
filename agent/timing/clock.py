"""What time it is, and how far that can be trusted.

The agent asks only its `Clock`, so that the simulator can run many trucks in a time that passes faster than ours.
"""

import ctypes
import secrets
import time
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

TimeQuality = Literal["gps", "ntp", "cloud", "estimated"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Moment(NamedTuple):
    """One look at the clock: what it says, and where on this boot's own time line that was.

    wall: aware, UTC, trusted or not. boot: the boot's name. uptime: seconds of the truck's time from an origin of
    this boot's; it never leaps, and goes on while the machine sleeps.
    """

    wall: datetime
    boot: str
    uptime: float


class Clock(Protocol):
    """Time as one truck sees it.

    - `now` is aware and in UTC; it may leap either way, as a truck's clock does.
    - `quality` says who vouches for `now` at this moment.
    - `moment` reads the time and the boot's own time line together.
    - `seconds_until` is in wall seconds, for waiting: negative when `moment` has passed. A simulated clock that runs
      60 times faster answers 1 for a minute ahead.
    - `monotonic` is in wall seconds from any origin and never leaps: pauses, rates and time limits use it.
    """

    def now(self) -> datetime:
        """What the clock says.

        Returns:
            Aware, UTC, trusted or not.
        """

    def quality(self) -> TimeQuality:
        """Who vouches for `now`.

        Returns:
            `ntp`, or `estimated` for nobody.
        """

    def moment(self) -> Moment:
        """The time and the boot's own time line, read together.

        Returns:
            One look at both.
        """

    def seconds_until(self, moment: datetime) -> float:
        """For waiting.

        Args:
            moment: aware, by this clock.

        Returns:
            Wall seconds, negative when it has passed.
        """

    def monotonic(self) -> float:
        """For pauses, rates and time limits.

        Returns:
            Wall seconds from any origin, never less than before.
        """


class SystemClock:
    """The machine's clock, trusted only while the kernel says that something disciplines it."""

    def now(self) -> datetime:
        """The machine's time."""
        return datetime.now(UTC)

    def quality(self) -> TimeQuality:
        """`ntp` while the kernel's clock is synchronised, else `estimated`, however plausible the year looks."""
        return "ntp" if kernel_synchronised() else "estimated"

    def moment(self) -> Moment:
        """The machine's time, the kernel's boot id and the seconds since that boot."""
        return Moment(datetime.now(UTC), boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME))

    def seconds_until(self, moment: datetime) -> float:
        """Wall seconds until a moment, negative when it has passed."""
        return (moment - self.now()).total_seconds()

    def monotonic(self) -> float:
        """Seconds that never leap."""
        return time.monotonic()


@lru_cache(maxsize=1)
def boot_id() -> str:
    """The kernel's name for this boot; where it has none, one that lasts as long as the process."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return f"process-{secrets.token_hex(8)}"


class _Timex(ctypes.Structure):
    """The head of Linux's `struct timex` (adjtimex(2)), and room for whatever this libc has behind it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 512),
    )


_STA_UNSYNC = 0x0040
_TIME_ERROR = 5


def kernel_synchronised() -> bool:
    """Whether the kernel says that its clock is disciplined (adjtimex(2): neither STA_UNSYNC nor TIME_ERROR)."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return False
    state = _Timex(modes=0)
    answer = adjtimex(ctypes.byref(state))
    return 0 <= answer < _TIME_ERROR and not state.status & _STA_UNSYNC
