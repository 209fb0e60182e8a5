"""What this machine's clock says, for the places where something arrives or is asked for: nowhere else is it read.

What must be the same for the same input (history, counters, ledgers) is given its instants as arguments.
"""

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
