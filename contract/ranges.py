"""Sets of sequence numbers as sorted, disjoint, inclusive ranges: the arithmetic that gap repair is made of.

Both ends of the wire speak it: the agent's report and the collector's completeness ledger. A million received
samples are one pair. On the wire and in JSON a set is `[[a, b], …]`.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Pair = tuple[int, int]

MAX_RESEND_RANGES = 20
"""What is asked for in one message."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """An immutable set of integers; `pairs` are ascending, disjoint and not adjacent."""

    pairs: tuple[Pair, ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[Iterable[int]]) -> "Ranges":
        """Ranges from pairs.

        Args:
            pairs: [start, end], both included, in any order, overlapping or not; a pair whose start is over its end
                is empty.

        Returns:
            The same numbers in the fewest ranges.
        """
        merged: list[Pair] = []
        for start, end in sorted((a, b) for a, b in pairs if a <= b):
            if merged and start <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            else:
                merged.append((start, end))
        return cls(tuple(merged))

    @classmethod
    def of_numbers(cls, numbers: Iterable[int]) -> "Ranges":
        """Ranges from single numbers.

        Args:
            numbers: in any order, repeated or not.

        Returns:
            The same numbers in the fewest ranges.
        """
        found = sorted(numbers)
        if not found:
            return cls()
        span = found[-1] - found[0]
        if span == len(found) - 1 and (span == 0 or len(set(found)) == len(found)):  # the live stream's one case
            return cls(((found[0], found[-1]),))
        return cls.of((number, number) for number in found)

    def __or__(self, other: "Ranges") -> "Ranges":
        if not self.pairs or not other.pairs:
            return self if self.pairs else other
        last = self.pairs[-1]
        if len(other.pairs) == 1 and other.pairs[0][0] == last[1] + 1:  # the live stream's one case
            return Ranges((*self.pairs[:-1], (last[0], other.pairs[0][1])))
        return Ranges.of((*self.pairs, *other.pairs))

    def __sub__(self, other: "Ranges") -> "Ranges":
        if not self.pairs or not other.pairs:
            return self
        left: list[Pair] = []
        cuts = iter(other.pairs)
        cut = next(cuts, None)
        for start, end in self.pairs:
            while cut and cut[1] < start:
                cut = next(cuts, None)
            while cut and cut[0] <= end:
                if cut[0] > start:
                    left.append((start, cut[0] - 1))
                start = cut[1] + 1
                if cut[1] > end:
                    break
                cut = next(cuts, None)
            if start <= end:
                left.append((start, end))
        return Ranges(tuple(left))

    def __and__(self, other: "Ranges") -> "Ranges":
        return self - (self - other)

    def __bool__(self) -> bool:
        return bool(self.pairs)

    def __contains__(self, number: int) -> bool:
        pairs = self.pairs
        if not pairs or number > pairs[-1][1]:  # the live stream's one case
            return False
        at = bisect_right(pairs, number, key=lambda pair: pair[0])
        return at > 0 and number <= pairs[at - 1][1]

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)

    @property
    def count(self) -> int:
        """How many numbers the set holds."""
        return sum(end - start + 1 for start, end in self.pairs)

    @property
    def last(self) -> int:
        """The highest number, 0 for the empty set."""
        return self.pairs[-1][1] if self.pairs else 0

    def as_lists(self) -> list[list[int]]:
        """The JSON form.

        Returns:
            [[start, end], …], ascending, both ends included.
        """
        return [[start, end] for start, end in self.pairs]
