"""How fast the agent may publish: a token bucket for messages and one for bytes, over any second."""

from collections.abc import Callable

from agent.settings import LaneSettings
from agent.transport import UNBOUNDED, BrokerLimits

_BURST = 0.1


class RateLimiter:
    """Never more than `publishes` messages and `size` bytes in any second; `largest` is the biggest single message.

    A bucket of b tokens that refills at r lets b + r through in its worst second, and what its last message costs
    beyond its tokens: all that together makes the limit. So bytes are not saved up, and refill slower than the limit by
    one largest message. A bucket holds one token at least: with less it would never open.
    """

    def __init__(self, publishes: float, size: float, largest: int, monotonic: Callable[[], float]) -> None:
        self._monotonic, now = monotonic, monotonic()
        self._unbounded = publishes >= UNBOUNDED and size >= UNBOUNDED
        self._messages = _Bucket(max(1, publishes * _BURST), publishes * (1 - _BURST), now)
        self._bytes = _Bucket(1, size - min(largest, size / 2), now)

    def wait(self) -> float:
        """Seconds until the next message may go, 0 if now."""
        if self._unbounded:
            return 0.0
        now = self._monotonic()
        return max(self._messages.wait(now), self._bytes.wait(now))

    def spend(self, size: int) -> None:
        """A message of `size` bytes goes now."""
        self._messages.level -= 1
        self._bytes.level -= size


class _Bucket:
    """Opens when it holds a token, and may go below zero: what goes on average is right, whatever one piece costs."""

    def __init__(self, capacity: float, rate: float, now: float) -> None:
        self._capacity, self._rate = capacity, rate
        self.level, self._seen = capacity, now

    def wait(self, now: float) -> float:
        level = self.level + (now - self._seen) * self._rate
        self.level = level = min(self._capacity, level)
        self._seen = now
        return 0.0 if level >= 1 else (1 - level) / self._rate


def with_lanes(limits: BrokerLimits, lanes: LaneSettings) -> BrokerLimits:
    """A transport's limits with what the settings say of rates and batches; a rate that is not set stays."""
    bytes_per_second = limits.bytes_per_second if lanes.kib_per_second is None else lanes.kib_per_second * 1024
    return limits._replace(
        publishes_per_second=lanes.publishes_per_second or limits.publishes_per_second,
        bytes_per_second=bytes_per_second,
        records=lanes.batch_records,
        batch_bytes=lanes.batch_bytes,
    )
