"""A device that is kept open in a thread of its own, so that a read never waits for it.

Promises live sensors: whatever the device does, the thread goes on trying, with full-jitter back-off, and says of an
outage one line when it begins and one when it ends.
"""

import logging
import threading
from collections.abc import Callable

from agent.transport.backoff import Backoff

logger = logging.getLogger(__name__)

FIRST_WAIT = 0.5
LONGEST_WAIT = 10.0
_JOIN = 3.0


class Link:
    """Calls `serve(link)` again and again until closed. `serve` opens the device, says `works` when it answers (be it
    that nothing came) and `alive` when something came, returns soon after `closing` is true, and raises whatever goes
    wrong.

    failing: the device could not be opened, or was lost, or says that it does not work. failures: how often so far.
    """

    def __init__(self, name: str, serve: Callable[["Link"], None], *, backoff: Backoff | None = None) -> None:
        self.name = name
        self.failing = False
        self.failures = 0
        self._serve = serve
        self._backoff = backoff or Backoff(FIRST_WAIT, LONGEST_WAIT)
        self._complained = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"sensor {name}", daemon=True)

    def start(self) -> None:
        """Begins; the sensor must be whole by now."""
        self._thread.start()

    @property
    def closing(self) -> bool:
        return self._stop.is_set()

    def wait(self, seconds: float) -> bool:
        """Let time pass.

        Args:
            seconds: at most so many.

        Returns:
            Whether it ends; at once then.
        """
        return self._stop.wait(max(0.0, seconds))

    def works(self) -> None:
        """The device is open and does not complain."""
        self.failing = False

    def alive(self) -> None:
        """Something came: the outage, if there was one, is over."""
        self.failing = False
        self._backoff.reset()
        if self._complained:
            self._complained = False
            logger.warning("sensor.link.up device=%s failures=%d", self.name, self.failures)

    def impaired(self) -> None:
        """The device says itself that it does not work now; it stays open."""
        self.failing = True

    def close(self) -> None:
        """Ends the thread; may be called twice."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(_JOIN)

    def _run(self) -> None:
        while not self.closing:
            try:
                self._serve(self)
            except Exception as error:  # noqa: BLE001 - the loop's door: drivers raise whatever they like
                self._fail(error)
            self._stop.wait(self._backoff.next())

    def _fail(self, error: Exception) -> None:
        self.failing = True
        self.failures += 1
        if not self._complained and not self.closing:
            self._complained = True
            logger.warning("sensor.link.down device=%s error=%s: %s", self.name, type(error).__name__, error)
