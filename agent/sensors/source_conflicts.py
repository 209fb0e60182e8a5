"""Which control units contradict each other, in how many samples and when last: what `milepost agent status` shows."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from agent.sensors.plausibility import Disagreement
from contract import timestamps
from contract.codec import dump

MAX_DISPUTES = 50
TELL_SECONDS = 900.0
"""Between two accounts of the same disputes, because each is written to the disk; a new one is told at once."""


class Disputes:
    """Those of one run, bounded."""

    def __init__(self) -> None:
        self._known: dict[Disagreement, tuple[int, datetime]] = {}
        self._fresh = self._changed = False
        self._told_at = float("-inf")

    def add(self, seen: Iterable[Disagreement], at: datetime) -> None:
        """One sample's; `at` is what the clock said."""
        for each in seen:
            samples, _ = self._known.get(each, (0, at))
            if samples or len(self._known) < MAX_DISPUTES:
                self._known[each] = (samples + 1, at)
                self._fresh = self._fresh or not samples
                self._changed = True

    def news(self, now: float) -> str | None:
        """All of them as JSON, if there is something to tell; `now` in seconds of running time."""
        if not self._fresh and not (self._changed and now - self._told_at >= TELL_SECONDS):
            return None
        self._fresh = self._changed = False
        self._told_at = now
        return dump([_row(each, samples, at) for each, (samples, at) in sorted(self._known.items())])


def _row(each: Disagreement, samples: int, at: datetime) -> dict[str, Any]:
    told = {"field": each.leaf, "taken": each.preferred, "differs": each.other}
    return {**told, "samples": samples, "last_at": timestamps.from_datetime(at)}
