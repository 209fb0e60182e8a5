"""What this machine's clock says, for the places where something arrives or is asked for: nowhere else is it read.

What must be the same for the same input (history, counters, ledgers) is given its instants as arguments.
"""

import threading
import time

from contract import timestamps


def now_ms() -> int:
    """Read the machine's clock.

    Returns:
        Unix milliseconds; the clock may jump either way.
    """
    return time.time_ns() // 1_000_000


def now() -> str:
    """Read the machine's clock, as the wire writes instants.

    Returns:
        `2026-11-21T01:51:07.123Z`.
    """
    return timestamps.from_ms(now_ms())


class RisingClock:
    """This machine's clock, but each reading is later than the one before it: for what is ordered by its arrival."""

    def __init__(self) -> None:
        self._last, self._guard = 0, threading.Lock()

    def __call__(self) -> int:
        """Read it; any thread may.

        Returns:
            Unix milliseconds.
        """
        with self._guard:
            self._last = max(self._last + 1, now_ms())
            return self._last
