"""How fast the agent may publish: a token bucket for messages and one for bytes, over any second."""

from collections.abc import Callable

_BURST = 0.1


class Pace:
    """Never more than `publishes` messages and `size` bytes in any second; `largest` is the biggest single message.

    A bucket of b tokens that refills at r lets b + r through in its worst second, so both together make the limit.
    """

    def __init__(self, publishes: float, size: float, largest: int, monotonic: Callable[[], float]) -> None:
        self._messages = _Bucket(publishes * _BURST, publishes * (1 - _BURST), monotonic)
        self._bytes = _Bucket(min(largest, size / 2), size - min(largest, size / 2), monotonic)

    def wait(self) -> float:
        """Seconds until the next message may go, 0 if now."""
        return max(self._messages.wait(), self._bytes.wait())

    def spend(self, size: int) -> None:
        """A message of `size` bytes goes now."""
        self._messages.spend(1)
        self._bytes.spend(size)


class _Bucket:
    """Opens when it is above zero, and may go below: then what goes on average is right, whatever one piece costs."""

    def __init__(self, capacity: float, rate: float, monotonic: Callable[[], float]) -> None:
        self._capacity, self._rate, self._monotonic = capacity, rate, monotonic
        self._level, self._seen = capacity, monotonic()

    def wait(self) -> float:
        if self._rate == float("inf"):
            return 0.0
        now = self._monotonic()
        self._level = min(self._capacity, self._level + (now - self._seen) * self._rate)
        self._seen = now
        return 0.0 if self._level >= 1 else (1 - self._level) / self._rate

    def spend(self, amount: float) -> None:
        if self._rate != float("inf"):
            self._level -= amount
