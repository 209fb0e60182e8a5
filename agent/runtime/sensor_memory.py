"""What the sensors believe, kept in the buffer's notes over restarts: the odometer and the place of a truck.

A note goes to the disk with the next sample, so it costs a page every ten minutes; after a kill it is that old.
"""

import json
from collections.abc import Callable
from datetime import datetime

from agent.buffer import Buffer
from agent.sampling.sampler import Sampler
from agent.timing.clock import Clock
from contract import timestamps
from contract.codec import dump

EVERY_SECONDS = 600.0
UNKNOWN_AGE = 30 * 86_400.0
"""Seconds that have passed at most, where the machine's clock cannot say."""

NOTE, NOTED_AT = "beliefs", "beliefs_at"


class SensorMemory:
    """One agent's. note: keeps texts in the buffer, and says whether they were kept."""

    def __init__(self, sampler: Sampler, buffer: Buffer, clock: Clock, note: Callable[[dict[str, str]], bool]) -> None:
        self._sampler, self._clock, self._note = sampler, clock, note
        self._due = clock.monotonic()
        notes = buffer.notes()
        try:
            told, noted_at = json.loads(notes.get(NOTE, "{}")), timestamps.to_datetime(notes.get(NOTED_AT, ""))
        except ValueError:
            return
        if isinstance(told, dict):
            sampler.recall(told, self._seconds_since(noted_at))

    def _seconds_since(self, then: datetime) -> float:
        passed = (self._clock.now() - then).total_seconds()
        return passed if 0 <= passed <= UNKNOWN_AGE else UNKNOWN_AGE

    def keep(self, *, now: bool = False) -> None:
        """Write it down, if that is due; now: at once."""
        if not now and self._clock.monotonic() < self._due:
            return
        self._due = self._clock.monotonic() + EVERY_SECONDS
        if told := self._sampler.memory():
            self._note({NOTE: dump(told), NOTED_AT: timestamps.from_datetime(self._clock.now())})
