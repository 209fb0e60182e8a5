"""Which unsent samples go when the buffer is full and nothing sent is left to evict.

Pure. Kept are events, the first and the last sample of every boot, the newest LIVE samples and every n-th; of what may
go, the oldest goes first. n grows only when nothing else is left to take: so a truck that was away for too long loses
detail, oldest first, and no event.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

STEPS = (4, 16, 64, 256, 1024)
LIVE = 60


class Candidate(NamedTuple):
    """An unsent sample. boot: the number of the boot in which it was taken, None if nobody knows."""

    seq: int
    event: bool
    boot: int | None


def thin(candidates: Sequence[Candidate], want: int) -> tuple[list[int], int]:
    """(numbers to drop, keep_every): `want` of the candidates, which ascend by number; fewer if there are not enough.

    When all that is left is worth keeping the oldest of it goes all the same: the buffer is bounded.
    """
    old = candidates[: max(0, len(candidates) - LIVE)]
    edges = {
        seq for before, after in pairwise(candidates) if before.boot != after.boot for seq in (before.seq, after.seq)
    } | ({candidates[0].seq} if candidates else set())
    common = [each.seq for each in old if not each.event and each.seq not in edges]
    for step in STEPS:
        found = [seq for seq in common if seq % step]
        if len(found) >= want:
            return found[:want], step
    return [each.seq for each in old][:want], STEPS[-1]
