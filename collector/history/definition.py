"""What history is: the brute-force definition, used to rebuild, to verify, and to test everything else against."""

from collections.abc import Iterable
from dataclasses import dataclass

_INSTANT = len("2026-01-01T00:00:00.000Z")


@dataclass(frozen=True, slots=True)
class Point:
    """All that history needs of a sample: where it sorts, and its tracked key."""

    order_key: str
    key: str


@dataclass(frozen=True, slots=True)
class Version:
    """A version holds from its opening sample's time up to, not including, `end`; None is current."""

    order_key: str
    key: str
    end: str | None


def start(order_key: str) -> str:
    """The instant that an order key begins with."""
    return order_key[:_INSTANT]


def define(points: Iterable[Point]) -> list[Version]:
    """The history of a set of points, in any order and with any repetition; ascending."""
    opened: list[Point] = []
    for point in sorted(set(points), key=lambda each: each.order_key):
        if not opened or opened[-1].key != point.key:
            opened.append(point)
    ends = [start(point.order_key) for point in opened[1:]]
    return [Version(point.order_key, point.key, end) for point, end in zip(opened, [*ends, None], strict=False)]
