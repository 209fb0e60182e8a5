"""Full-jitter back-off: after the n-th failure in a row, a random wait between 0 and min(longest, first · 2ⁿ)."""

import random


class Backoff:
    """Waits in seconds; `source` is the randomness."""

    def __init__(self, first: float, longest: float, source: random.Random | None = None) -> None:
        self.first, self.longest = first, longest
        self._random = source or random.Random()
        self._failures = 0

    def next(self) -> float:
        """The wait after one more failure."""
        ceiling = min(self.longest, self.first * 2.0 ** min(self._failures, 60))
        self._failures += 1
        return self._random.uniform(0, ceiling)

    def reset(self) -> None:
        """Something worked."""
        self._failures = 0
