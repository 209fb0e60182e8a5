"""What history is: the brute-force definition, used to rebuild, to verify, and to test everything else against."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

_INSTANT = len("2026-01-01T00:00:00.000Z")


class Point(NamedTuple):
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


def define(points: Iterable[Point], before: Version | None = None) -> list[Version]:
    """The history of a set of points, in any order and with any repetition; ascending.

    before: the version in force before the first of them, where older points are kept no longer.
    """
    opened: list[Point] = []
    key_before = before.key if before else None
    for point in sorted(set(points), key=lambda each: each.order_key):
        if point.key != key_before:
            opened.append(point)
            key_before = point.key
    ends = [start(point.order_key) for point in opened[1:]]
    return [Version(point.order_key, point.key, end) for point, end in zip(opened, [*ends, None], strict=False)]
