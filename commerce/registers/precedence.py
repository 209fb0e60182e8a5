"""Which of a subject's documents hold: a function of the set of deliveries, in whatever order they were stored. Pure.

Of two documents that hold from one instant the one that was received later counts: it is the correction. A document
without `valid_from` holds from its arrival, unless it says what holds then anyway: such a repeat tells nothing new, and
must not stand in the way of a correction of an earlier time.
"""

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from collector.history import Point, start
from contract import timestamps


class Delivery(NamedTuple):
    """A stored document. order_key: from when it holds # content hash. key: hash of what it says. received_ms: Unix ms
    of its last delivery."""

    order_key: str
    key: str
    received_ms: int

    @property
    def holds_from_arrival(self) -> bool:
        """Whether it came without a time of its own."""
        return start(self.order_key) == timestamps.from_ms(self.received_ms)


def holding(deliveries: Iterable[Delivery]) -> tuple[Point, ...]:
    """The documents that hold, one an instant.

    Args:
        deliveries: of one subject, in any order.

    Returns:
        What makes its history, ascending.
    """
    starts: list[str] = []
    held: dict[str, Point] = {}
    for each in sorted(deliveries, key=lambda one: (one.received_ms, one.order_key)):
        begin = start(each.order_key)
        at = bisect_right(starts, begin)
        if each.holds_from_arrival and at and held[starts[at - 1]].key == each.key:
            continue
        if begin not in held:
            starts.insert(at, begin)
        held[begin] = Point(each.order_key, each.key)
    return tuple(held[begin] for begin in starts)
