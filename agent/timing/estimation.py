"""Where samples lie in time whose boot nobody ever dated: between what was known before and what was known after.

Pure. Within a boot the distances are right (its own time line never leaps); only where the boot lies is a guess. Its
clock's own word is taken where that is possible: a clock that restarts where it was switched off is a few minutes or a
night behind, one that starts in 1970 is moved to where it can have been.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple


class BootStretch(NamedTuple):
    """Consecutive samples of one boot. first, last: their uptimes, seconds. wall: what the clock said at the first."""

    first: float
    last: float
    wall: datetime

    @property
    def length(self) -> timedelta:
        """From its first sample to its last."""
        return timedelta(seconds=max(0.0, self.last - self.first))


class Placed(NamedTuple):
    """A stretch's place: it starts at `start`, and a second of uptime is `pace` seconds (1 unless squeezed)."""

    first: float
    start: datetime
    pace: float = 1.0

    def at(self, uptime: float) -> datetime:
        """The instant of one of its moments."""
        return self.start + timedelta(seconds=(uptime - self.first) * self.pace)


def place(stretches: Sequence[BootStretch], lower: datetime, upper: datetime | None) -> list[Placed]:
    """Each stretch in order, none before `lower`, none before the one ahead of it, none behind `upper` (if known).

    Stretches that do not fit between the two are squeezed evenly, which keeps their order.
    """
    left = sum((stretch.length for stretch in stretches), timedelta())
    pace = 1.0
    if upper is not None and lower + left > upper:
        upper = max(upper, lower)
        pace = (upper - lower) / left if left else 1.0
        left = left * pace
    found: list[Placed] = []
    for stretch in stretches:
        start = max(stretch.wall, lower)
        if upper is not None:
            start = min(start, upper - left)
        start = max(start, lower)
        found.append(Placed(stretch.first, start, pace))
        lower = start + stretch.length * pace
        left -= stretch.length * pace
    return found
