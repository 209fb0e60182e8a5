"""A sequence in portions of what one request, transaction or plan takes. Pure."""

from collections.abc import Callable, Iterable, Iterator
from math import inf
from typing import TypeVar

Each = TypeVar("Each")


def portions(
    items: Iterable[Each], size_of: Callable[[Each], int], *, largest: int, most: float = inf
) -> Iterator[list[Each]]:
    """Items in order, as many together as both bounds allow.

    Args:
        items: any number.
        size_of: of one, in the unit of `largest`; one that is larger than that comes alone.
        largest: sum of the sizes in a portion.
        most: items in a portion.

    Yields:
        Lists that are not empty.
    """
    portion: list[Each] = []
    size = 0
    for item in items:
        more = size_of(item)
        if portion and (len(portion) == most or size + more > largest):
            yield portion
            portion, size = [], 0
        portion.append(item)
        size += more
    if portion:
        yield portion
