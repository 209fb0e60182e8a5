"""Live samples that wait for one another, so that several go in one message (`[agent] send_interval`)."""

from collections.abc import Callable
from random import random


class BatchWindow:
    """Closed for `seconds` after live samples went, then open until all that wait have gone; with 0 s always open.

    So no live sample waits longer than `seconds`, and none while nothing went for that long. The first wait of a
    connection is a random part of it, lest trucks that came back together send together from then on.
    """

    def __init__(self, seconds: float, monotonic: Callable[[], float], share: Callable[[], float] = random) -> None:
        self._seconds, self._monotonic, self._share = seconds, monotonic, share
        self._first, self._opens_at = True, 0.0

    @property
    def alone(self) -> bool:
        """Whether samples go one by one, each at once."""
        return self._seconds == 0

    def set_seconds(self, seconds: float) -> None:
        """Another setting from now on, also for what waits already."""
        self._seconds = seconds
        self._opens_at = min(self._opens_at, self._monotonic() + seconds)

    def begin(self) -> None:
        """A connection has come: what there is goes at once."""
        self._first, self._opens_at = True, 0.0

    def open_now(self) -> None:
        """What waits goes at once."""
        self._opens_at = 0.0

    def emptied(self) -> None:
        """All that waited has gone."""
        self._opens_at = self._monotonic() + self._seconds * (self._share() if self._first else 1)
        self._first = False

    def wait(self) -> float:
        """Seconds until it opens, 0 when it is open."""
        return max(0.0, self._opens_at - self._monotonic())
