"""A limit on requests per source address: a token bucket each, in bounded memory."""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from contract.http_access import source_of


class SourceLimiter:
    """Says how long a source has to wait. Not safe for threads: use it on the event loop, or under a lock.

    A source that was not seen for long is forgotten, and so is the one seen least recently when there are too many; a
    forgotten source starts anew with a full bucket. So an attacker with very many addresses is not slowed down by
    this, and costs bounded memory.
    """

    def __init__(
        self, per_second: float, burst: float, *, most: int = 10_000, clock: Callable[[], float] = monotonic
    ) -> None:
        """
        Args:
            per_second: requests that a source may make in the long run.
            burst: requests that it may make at once, 1 or more.
            most: sources that are remembered.
            clock: seconds, never backwards.
        """
        self._per_second, self._burst, self._most, self._clock = per_second, burst, most, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, source: str, cost: float = 1.0) -> float:
        """Take `cost` from the source's bucket.

        Args:
            source: whom it is counted for; of an IPv6 address its /64 (contract.http_access.source_of).
            cost: in the units of the rate; over the burst it is taken as the whole burst.

        Returns:
            0.0 where it was taken; else the seconds after which it could be, and nothing is taken.
        """
        now, source = self._clock(), source_of(source)
        left, since = self._buckets.pop(source, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._per_second)
        allowed = left >= min(cost, self._burst)
        self._buckets[source] = (left - cost if allowed else left, now)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (min(cost, self._burst) - left) / self._per_second
