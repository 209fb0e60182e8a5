"""How much of the backlog may travel unacknowledged, and in how large batches, learnt from what the line does. Pure.

A slow line needs longer for a large batch than anybody waits for its acknowledgement, and some networks end a
connection on large packets: sending the same batch again would then go on for ever. So a connection starts with little;
what is acknowledged fast doubles it, what is acknowledged slowly or lost without an answer halves it. A size that was
lost is a ceiling, which is tried again only after many deliveries, each time after twice as many.
"""

from collections.abc import Callable

FIRST = 16 * 1024
LEAST = 1024
MOST = 2 * 1024 * 1024
FAST, SLOW = 2.0, 8.0
"""Seconds to an acknowledgement: below the first the line takes more, above the second a live sample would wait."""
PROBE_AFTER = 16


class BacklogWindow:
    """One truck's line. size: bytes of backlog that may be unacknowledged together, and at most in one batch."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self.size = FIRST
        self._ceiling, self._good, self._probe_after = MOST, 0, PROBE_AFTER
        self._sent: dict[int, tuple[int, float]] = {}

    def connected(self) -> None:
        """A new connection may lead over another line: it starts with little."""
        self._sent.clear()
        self.size = min(self.size, FIRST)

    def sent(self, token: int, size: int) -> None:
        """A backlog message of so many bytes goes now."""
        self._sent[token] = size, self._monotonic()

    def answered(self, token: int, *, delivered: bool) -> None:
        """An answer came for a message; a refusal says nothing of the line."""
        size, at = self._sent.pop(token, (0, 0.0))
        if not size or not delivered:
            return
        seconds = self._monotonic() - at
        self._good += 1
        if self._ceiling < MOST and self._good >= self._probe_after:
            self._good, self._probe_after = 0, self._probe_after * 2
            self._ceiling = min(MOST, self._ceiling * 2)
        if seconds > SLOW:
            self.size = max(LEAST, self.size // 2)
        elif seconds < FAST:
            self.size = min(self._ceiling, self.size * 2)

    def lost(self) -> None:
        """The connection has ended; messages without an answer teach that they were too much."""
        if self._sent:
            largest = max(size for size, _ in self._sent.values())
            self._ceiling = self.size = max(LEAST, min(self.size, largest) // 2)
            self._good = 0
        self._sent.clear()
