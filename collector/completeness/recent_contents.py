"""Which content came lately under which sequence number: how two handlers that know nothing of each other find out that
a truck used one number twice.

Each ledger keeps the last few. They change with the ledger, under the truck's fence, so of two rivals the later one
always sees what the earlier one stored, whichever of them died in between.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MOST = 32
_SIGNS = 6
"""Hexadecimal digits of a content hash that are kept, 24 bits: of 16 million conflicts one is not seen."""

Run = tuple[int, str]
"""The first number, and the signs of it and of those that follow it without a gap."""


@dataclass(frozen=True, slots=True)
class RecentContents:
    """The last MOST numbers in the order in which they came; a number stands in it once, with its first content."""

    runs: tuple[Run, ...] = ()

    @classmethod
    def of(cls, stored: Iterable[Sequence[object]]) -> "RecentContents":
        """From the JSON form."""
        return cls(tuple((int(str(first)), str(signs)) for first, signs in stored))

    def __bool__(self) -> bool:
        return bool(self.runs)

    def as_lists(self) -> list[list[int | str]]:
        """The JSON form, `[[first, signs], …]`."""
        return [[first, signs] for first, signs in self.runs]

    def add(self, contents: Sequence[tuple[int, str]]) -> tuple["RecentContents", list[int]]:
        """With these, and the numbers that came with another content before.

        Args:
            contents: number and content hash (hexadecimal), in the order in which they came.
        """
        if not contents:
            return self, []
        if len(self.runs) <= 1:  # the live stream's one case: the numbers go on where they were
            first, signs = self.runs[0] if self.runs else (contents[0][0], "")
            start = first + len(signs) // _SIGNS
            if [number for number, _ in contents] == list(range(start, start + len(contents))):
                signs = "".join([signs, *[content[:_SIGNS] for _, content in contents[-MOST:]]])[-MOST * _SIGNS :]
                return RecentContents(((start + len(contents) - len(signs) // _SIGNS, signs),)), []
        known = dict(self._pairs())
        twice = []
        for number, content in contents:
            signs = content[:_SIGNS]
            if known.setdefault(number, signs) != signs:
                twice.append(number)
        kept = list(known.items())[-MOST:]
        runs: list[list[int | str]] = []
        after = None
        for number, signs in kept:
            if number == after:
                runs[-1][1] += signs  # type: ignore[operator]
            else:
                runs.append([number, signs])
            after = number + 1
        return RecentContents.of(runs), twice

    def _pairs(self) -> Iterable[tuple[int, str]]:
        for first, signs in self.runs:
            for place in range(0, len(signs), _SIGNS):
                yield first + place // _SIGNS, signs[place : place + _SIGNS]
