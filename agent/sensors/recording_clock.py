"""A recording's own time line: stamped items played piece by piece, whatever the stamps do.

Promises the replay sensor a time that starts at 0 and never goes back, so that silence can be measured on it.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_PAUSE = 60.0
"""Seconds: a longer pause means that the recorder was off; what follows is another part with its own time line."""
MAX_DISORDER = 1.0
"""Seconds by which stamps may go back and mean disorder; further back, the clock was set: time runs on from there."""


class Tape(Generic[T]):
    """One pass over (stamp, item) pairs, held one item ahead.

    now: the time of the item played last, 0 at the start of a part. ended: the part is played to its end; `turn` begins
    the next one. finished: no part follows.
    """

    def __init__(self, stamped: Iterator[tuple[float, T]]) -> None:
        self._stamped = stamped
        self._stamp: float | None = None
        self._time = 0.0
        self._next: T | None = None
        self.now = 0.0
        self.ended = False
        self._pull()

    @property
    def finished(self) -> bool:
        return self._next is None

    def until(self, target: float) -> Iterator[tuple[float, T]]:
        """The items of this part up to and including `target`, each with its time."""
        while self._next is not None and not self.ended and self._time <= target:
            item, self.now = self._next, self._time
            self._pull()
            yield self.now, item

    def turn(self) -> None:
        """Begins the next part at time 0; nothing happens when none follows."""
        if self._next is not None:
            self._time, self.now, self.ended = 0.0, 0.0, False

    def _pull(self) -> None:
        stamp, self._next = next(self._stamped, (0.0, None))
        if self._next is None:
            self.ended = True
            return
        step = 0.0 if self._stamp is None else stamp - self._stamp
        self.ended = step > MAX_PAUSE
        self._time += max(step, 0.0)
        if self._stamp is None or step > 0 or step < -MAX_DISORDER:
            self._stamp = stamp
