"""Which truck was silent while others were heard: pure, and in time that grows with what is asked, not with the fleet.

Of the fleet only the minutes are kept in which any truck was heard. A truck is silent between two of its samples (or
since its last one) if, after the rule's bound, a whole minute lies between them in which something was heard: that was
another truck. If nobody was heard, it is the line or the collector that was away.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from alerts.alert import Stretch

_MINUTE_MS = 60_000


class HeardMinutes:
    """A set of minutes (Unix ms // 60,000), kept as ranges."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in sorted(ranges):
            self._firsts.append(first)
            self._lasts.append(last)

    def add(self, ms: int) -> bool:
        """An instant at which a truck was heard. True where its minute is new and not after all others."""
        minute = ms // _MINUTE_MS
        place = bisect_right(self._firsts, minute)
        if place and self._lasts[place - 1] >= minute:
            return False
        is_past = place < len(self._firsts)
        joins_left = place > 0 and self._lasts[place - 1] == minute - 1
        joins_right = is_past and self._firsts[place] == minute + 1
        if joins_left and joins_right:
            self._lasts[place - 1] = self._lasts.pop(place)
            del self._firsts[place]
        elif joins_left:
            self._lasts[place - 1] = minute
        elif joins_right:
            self._firsts[place] = minute
        else:
            self._firsts.insert(place, minute)
            self._lasts.insert(place, minute)
        return is_past

    def any_between(self, first_ms: int, last_ms: int) -> bool:
        """Whether a whole minute within these instants was heard."""
        first, last = -(-first_ms // _MINUTE_MS), last_ms // _MINUTE_MS - 1
        place = bisect_left(self._lasts, first)
        return place < len(self._firsts) and max(first, self._firsts[place]) <= last

    def forget_before(self, ms: int) -> None:
        """Ranges that ended before an instant."""
        gone = bisect_left(self._lasts, ms // _MINUTE_MS)
        del self._firsts[:gone], self._lasts[:gone]

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """`(first, last)` of each range, both included, ascending."""
        return list(zip(self._firsts, self._lasts, strict=True))


class SilenceWatch:
    """The instants of one truck, taken in the order of history."""

    def __init__(self, minutes: float) -> None:
        self._bound_ms = round(minutes * _MINUTE_MS)
        self._gaps: list[tuple[str, int, str, int]] = []
        self._last: tuple[str, int] | None = None

    def add(self, instant: str, ms: int) -> None:
        """The next sample."""
        if self._last and ms - self._last[1] > self._bound_ms:
            self._gaps.append((*self._last, instant, ms))
        self._last = instant, ms

    def stretches(self, heard: HeardMinutes, now_ms: int) -> list[Stretch]:
        """Its silences, by time."""
        found = [
            Stretch("", first, first, end)
            for first, first_ms, end, end_ms in self._gaps
            if heard.any_between(first_ms + self._bound_ms, end_ms)
        ]
        if self._last and heard.any_between(self._last[1] + self._bound_ms, now_ms):
            found.append(Stretch("", self._last[0], self._last[0], None))
        return found

    @property
    def silent_from_ms(self) -> int:
        """Unix ms from which on its last silence may be one."""
        return self._last[1] + self._bound_ms if self._last else 0
