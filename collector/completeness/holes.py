"""The holes of a stream: stretches of missing numbers with one story each, and the sweeps that keep them.

Each sweep walks two ascending lists once: a stream may have thousands of holes, and every chunk of samples asks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from contract.ranges import Ranges

_UNDER_WAY_MS = 2_000  # what comes so soon after an ask was said before it
_FIRST_WAIT_MS = 60_000
_LONGEST_WAIT_MS = 6 * 3_600_000


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch of missing numbers with one story: noticed when, asked for how often and when last.

    asked_ms: 0 before the first ask, and where the last one is to be made again. repeated: the last one was, or is to
    be, made twice.
    """

    first: int
    last: int
    since_ms: int
    asks: int = 0
    asked_ms: int = 0
    repeated: bool = False

    def due(self, now_ms: int, grace_ms: int, heard_ms: int) -> bool:
        """Is it time to ask for it: after the grace time, then backing off from one minute to six hours."""
        if not self.asked_ms:
            return now_ms - self.since_ms >= grace_ms
        wait = min(_FIRST_WAIT_MS << min(max(self.asks - 1, 0), 20), _LONGEST_WAIT_MS)
        return heard_ms > self.asked_ms and now_ms - self.asked_ms >= wait

    def asked(self, now_ms: int) -> "Hole":
        """After asking for it now."""
        again = self.asks > 0 and not self.asked_ms
        return replace(self, asks=self.asks + (not again), asked_ms=now_ms, repeated=again)

    def after_contact(self, now_ms: int, heard_ms: int) -> "Hole":
        """After a status or a report now, of a truck that was last heard at `heard_ms`."""
        if not self.asked_ms or self.repeated or not heard_ms <= self.asked_ms <= now_ms - _UNDER_WAY_MS:
            return self
        return replace(self, asked_ms=0, repeated=True)

    def unanswered(self, heard_ms: int) -> int:
        """How many asks the truck has let pass."""
        return self.asks - (not self.asked_ms or heard_ms <= self.asked_ms)


def still_missing(known: Sequence[Hole], missing: Ranges, now_ms: int) -> tuple[Hole, ...]:
    """The holes over exactly the missing numbers: what is left of a known one keeps its story, the rest is new.

    Args:
        known: ascending, disjoint.
        missing: every number that is missing now.
        now_ms: when the new ones were noticed, Unix ms.

    Returns:
        Ascending, disjoint.
    """
    made: list[Hole] = []
    at = 0
    for first, last in missing:
        while at < len(known) and known[at].last < first:
            at += 1
        while first <= last:
            hole = known[at] if at < len(known) and known[at].first <= last else None
            if hole is None or hole.first > first:
                end = last if hole is None else hole.first - 1
                made.append(Hole(first, end, now_ms))
            else:
                end = min(last, hole.last)
                made.append(_part(hole, first, end))
                at += hole.last <= last
            first = end + 1
    return tuple(made)


def cut(holes: Sequence[Hole], at: Ranges) -> Iterator[tuple[Hole, bool]]:
    """The holes in pieces that lie wholly inside the ranges (True) or wholly outside (False), ascending."""
    pairs = at.pairs
    index = 0
    for hole in holes:
        first = hole.first
        while index < len(pairs) and pairs[index][1] < first:
            index += 1
        while first <= hole.last:
            start, end = pairs[index] if index < len(pairs) else (hole.last + 1, hole.last + 1)
            inside = start <= first
            until = min(hole.last, end if inside else start - 1)
            yield _part(hole, first, until), inside
            index += inside and end <= hole.last
            first = until + 1


def _part(hole: Hole, first: int, last: int) -> Hole:
    return hole if (first, last) == (hole.first, hole.last) else replace(hole, first=first, last=last)
