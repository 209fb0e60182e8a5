"""Samples in memory, because the disk has no place for them so far: in order, bounded, and counted when they are lost.

Holding samples is progress: only the process that holds them can still store them, so nobody may restart it for that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from logging import getLogger

from agent.buffer.never_stored import NeverStoredCounts
from agent.sampling.event_detection import Events
from agent.sampling.sampler import Taken
from agent.timing.trusted_time import sane
from contract import timestamps

log = getLogger(__name__)

HELD_AT_MOST = 2000
"""More than a day at one a minute, a few MB."""


@dataclass(slots=True)
class HeldSample:
    """One sample. event: whether it differs in kind from the one before (see event_detection.py)."""

    taken: Taken
    event: bool


class HeldSamples:
    """Those of one process. never_stored: how many of them were lost; losses: where that is counted for good."""

    def __init__(self, losses: NeverStoredCounts) -> None:
        self.never_stored = 0
        self.losses = losses
        self._events = Events()
        self._held: list[HeldSample] = []

    def __len__(self) -> int:
        return len(self._held)

    def put(self, taken: Taken) -> None:
        """Add the newest sample."""
        self._held.append(HeldSample(taken, self._events.is_event(taken.document, taken.interval)))

    def first(self) -> HeldSample:
        """The oldest; IndexError where there is none."""
        return self._held[0]

    def stored(self) -> HeldSample:
        """The oldest has found its place, and is given back."""
        self.losses.release()  # before the others, so that no start counts as lost what has a number
        return self._held.pop(0)

    def refused(self, reason: str) -> None:
        """The disk has refused the oldest: keep what there is room for, events before others."""
        if len(self._held) == 1:
            log.error("sample_not_stored held_in_memory=yes reason=%r", reason)
        self.losses.hold(len(self._held), _time(self._held[0]), reason)
        if len(self._held) <= HELD_AT_MOST:
            return
        kept = [each for number, each in enumerate(self._held) if each.event or number % 2]
        kept = kept if len(kept) <= HELD_AT_MOST else kept[-HELD_AT_MOST:]
        remaining = set(map(id, kept))
        self._lose([each for each in self._held if id(each) not in remaining], held=len(kept))
        self._held = kept

    def end(self) -> None:
        """The process stops: what is still here was never stored."""
        if self._held:
            self._lose(self._held, held=0)
            self._held = []

    def _lose(self, lost: Sequence[HeldSample], *, held: int) -> None:
        self.never_stored += len(lost)
        log.error("samples_never_stored count=%d total=%d", len(lost), self.never_stored)
        self.losses.add(len(lost), _time(lost[0]), _time(lost[-1]), held=held)


def _time(held: HeldSample) -> str:
    return timestamps.from_datetime(sane(held.taken.moment.wall))
