"""Seconds since boot, sleep included: the line on which silence is measured.

CLOCK_MONOTONIC stands still while a gateway is suspended, and what was heard before the nap would look fresh after it.
"""

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def uptime() -> float:
    """Runs evenly, never leaps, has no meaning outside this boot."""
    return time.clock_gettime(_CLOCK)
