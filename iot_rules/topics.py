"""Topic filters: which match a topic, found without trying each (reference pages: topics, iot-sql-from).

`+` stands for one level, a last `#` for one or more; neither matches a first level that starts with `$`. As the
reference has it, `a/#` does not match `a` itself.
"""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


def matches(topic_filter: str, topic: str) -> bool:
    """Whether one filter matches one topic."""
    levels, names = topic_filter.split("/"), topic.split("/")
    if names[0].startswith("$") and levels[0] in ("+", "#"):
        return False
    if levels[-1] == "#":
        if len(names) < len(levels):
            return False
        levels.pop()
        names = names[: len(levels)]
    return len(levels) == len(names) and all(level in ("+", name) for level, name in zip(levels, names, strict=True))


def overlap(first: str, second: str) -> bool:
    """Whether some topic matches both filters."""
    left, right = first.split("/"), second.split("/")
    if left[-1] != "#" and right[-1] != "#" and len(left) != len(right):
        return False
    if left[-1] == "#" and len(right) < len(left) - (right[-1] == "#"):
        return right[-1] == "#" and _levels_agree(left, right)
    if right[-1] == "#" and len(left) < len(right) - (left[-1] == "#"):
        return left[-1] == "#" and _levels_agree(left, right)
    return _levels_agree(left, right)


def _levels_agree(left: list[str], right: list[str]) -> bool:
    for one, other in zip(left, right, strict=False):
        if "#" in (one, other):
            return True
        if one != other and "+" not in (one, other):
            return False
    return True


@dataclass(slots=True)
class _Level(Generic[T]):
    below: "dict[str, _Level[T]]" = field(default_factory=dict)
    here: list[tuple[int, T]] = field(default_factory=list)
    rest: list[tuple[int, T]] = field(default_factory=list)


class TopicIndex(Generic[T]):
    """Values by topic filter. A look-up costs by the topic's levels, not by the number of filters."""

    def __init__(self) -> None:
        self._root: _Level[T] = _Level()
        self._count = 0

    def add(self, topic_filter: str, value: T) -> None:
        """Put a value under a filter; several values may share one."""
        level = self._root
        *path, last = topic_filter.split("/")
        for name in path:
            level = level.below.setdefault(name, _Level())
        if last == "#":
            level.rest.append((self._count, value))
        else:
            level.below.setdefault(last, _Level()).here.append((self._count, value))
        self._count += 1

    def find(self, topic: str) -> list[T]:
        """The values whose filters match, in the order in which they were added."""
        found: list[tuple[int, T]] = []
        names = topic.split("/")
        reserved = names[0].startswith("$")
        levels = [self._root]
        for depth, name in enumerate(names):
            following: list[_Level[T]] = []
            for level in levels:
                if not (reserved and depth == 0):
                    found += level.rest
                    following += [below for key in ("+",) if (below := level.below.get(key))]
                if (below := level.below.get(name)) and name != "+":
                    following.append(below)
            levels = following
        for level in levels:
            found += level.here
        found.sort(key=lambda pair: pair[0])
        return [value for _, value in found]
