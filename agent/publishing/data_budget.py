"""How much data samples may cost in a day (UTC): live samples first, the backlog from what they will not need.

Counted is what MQTT carries both ways, payload, topic and header; TLS and TCP come on top, about a tenth for batches.
What is spent is remembered beside the buffer, a step ahead, so that a restart gives no second budget and a flash card
is not written for every message. The day before is remembered too: a clock that starts in the past and is put right
comes back to a day of which something is spent.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from logging import getLogger
from typing import Literal

from agent.json_state_file import JsonStateFile

log = getLogger(__name__)

SendQueue = Literal["all", "live", "none"]

_MEGABYTE = 1_000_000
_STEP = 64 * 1024
_HEADER = 12
_TYPICAL = 700.0
_LEARN = 0.1


class DataBudget:
    """One truck's allowance. daily: MB, None for no bound. interval: seconds between live samples."""

    def __init__(
        self, daily: float | None, interval: float, keepsake: JsonStateFile, now: Callable[[], datetime]
    ) -> None:
        self._keepsake, self._now = keepsake, now
        self._live_size = _TYPICAL
        self._told = False
        kept = keepsake.read() or {}
        self._day = str(kept.get("day", ""))
        spent = kept.get("spent")
        self._spent = self._remembered = spent if isinstance(spent, int) else 0
        other = kept.get("other")
        self._other = (
            {day: cost for day, cost in other.items() if isinstance(cost, int)} if isinstance(other, dict) else {}
        )
        self.configure(daily, interval)

    def configure(self, daily: float | None, interval: float) -> None:
        """Other settings from now on; what is spent stays spent."""
        self._limit = None if daily is None else daily * _MEGABYTE
        self._interval = interval

    @property
    def spent(self) -> int:
        """Bytes of today."""
        return self._spent

    def open(self) -> SendQueue:
        """Which lanes may send now."""
        if self._limit is None:
            return "all"
        now = self._now()
        if (day := now.date().isoformat()) != self._day:
            spent, self._other = self._other.get(day, 0), {self._day: self._spent}
            self._day, self._spent, self._told = day, spent, False
            self._remember(spent + _STEP)
        left = self._limit - self._spent
        if left <= 0:
            self._tell(now)
            return "none"
        return "all" if left > self._reserve(now) else "live"

    def spend(self, topic: str, payload: int, *, live: int = 0) -> None:
        """A message goes, or has come. live: how many live samples are in it."""
        if self._limit is None:
            return
        size = payload + len(topic) + _HEADER
        self._spent += size
        if live:
            self._live_size += _LEARN * (size / live - self._live_size)
        if self._spent > self._remembered:
            self._remember(self._spent + _STEP)

    def close(self) -> None:
        """Remember exactly."""
        if self._limit is not None and self._day:
            self._remember(self._spent)

    def _reserve(self, now: datetime) -> float:
        """What the live samples of the rest of the day will cost."""
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return (midnight - now).total_seconds() / self._interval * self._live_size

    def _remember(self, spent: int) -> None:
        self._remembered = spent
        try:
            self._keepsake.write({"day": self._day, "spent": spent, "other": {**self._other}})
        except OSError as error:
            log.error("budget_not_kept reason=%r", str(error))

    def _tell(self, now: datetime) -> None:
        if not self._told:
            self._told = True
            log.warning("budget_spent day=%s bytes=%d kept=yes", self._day, self._spent)
