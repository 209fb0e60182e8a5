"""When the next report is due. Pure.

What a report tells to wait on the truck is not asked for, so one follows as soon as nothing waits any more. A broker
may acknowledge that one and drop it all the same, with the samples before it: its queue for the collector is full when
a fleet comes back at once. So it is said again after a minute and after four more, and from then on as ever.
"""

from collections.abc import Callable

AGAIN_SECONDS = (60.0, 240.0)


class ReportTimes:
    """One truck's. told_pending: whether the last report told of samples that wait."""

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        """
        Args:
            seconds: between two reports.
            monotonic: seconds.
        """
        self._seconds, self._monotonic = seconds, monotonic
        self._at = 0.0
        self._again: tuple[float, ...] = ()
        self.told_pending = False

    def set_seconds(self, seconds: float) -> None:
        """Another time between two reports, from now on.

        Args:
            seconds: that time.
        """
        self._at += seconds - self._seconds
        self._seconds = seconds

    def told(self, *, pending: bool) -> None:
        """A report goes now.

        Args:
            pending: whether it tells of samples that wait.
        """
        if pending:
            self._again = ()
        elif self.told_pending:
            self._again = AGAIN_SECONDS
        self.told_pending = pending
        wait, self._again = (self._again[0], self._again[1:]) if self._again else (self._seconds, ())
        self._at = self._monotonic() + min(wait, self._seconds)

    def due(self) -> bool:
        """Whether it is time for one.

        Returns:
            True from the moment on until the next `told`.
        """
        return self._monotonic() >= self._at
