"""Asks the cloud what time it is, for a truck without GPS and NTP (docs/wire.md, "Time from the cloud"). Pure.

An ask carries a fresh random id; a rule answers it with the cloud's clock. The answer was made somewhere within the
round trip, so half of that bounds the error. Only the first answer to the last ask counts, and none that took over
`LONGEST_TRIP` seconds. Policies of an earlier release deny both topics, and some brokers end the connection then: a
refusal, or an end within `SUSPICIOUS` seconds of asking, ends the asking until the agent restarts.

Two answers tell how the truck's own time line runs: where it is so fast or slow that it would be `MOST_OFF` seconds off
within the hour, the next ask comes sooner.
"""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from logging import getLogger
from typing import NamedTuple

from contract.codec import dump, parse
from contract.errors import Rejected
from contract.wire_documents import understood

log = getLogger(__name__)

LONGEST_TRIP = 10.0
SUSPICIOUS = 5.0
ASK_SECONDS = 60.0
ASK_AGAIN_SECONDS = 3600.0
MOST_OFF = 5.0


class CloudInstant(NamedTuple):
    """It was `utc` in the cloud at the moment the answer is used, give or take `error` seconds."""

    utc: datetime
    error: float


class CloudTime:
    """One truck's questions. uptime: seconds that never leap, and go on while the machine sleeps: an answer that lay
    there meanwhile is old."""

    def __init__(self, uptime: Callable[[], float]) -> None:
        self._uptime = uptime
        self._believed: tuple[float, CloudInstant] | None = None
        self._open: tuple[str, float] | None = None
        self._asked_at, self._next_at = float("-inf"), 0.0
        self.refused = False

    def ask(self) -> bytes | None:
        """The payload of an ask if one is due now: once a minute until two were believed, then hourly."""
        now = self._uptime()
        if self.refused or now < self._next_at:
            return None
        self._asked_at, self._next_at = now, now + ASK_SECONDS
        self._open = secrets.token_hex(16), now
        return dump({"id": self._open[0]}).encode()

    def answer(self, payload: bytes, *, retained: bool) -> CloudInstant | None:
        """What an answer tells, or None for one that is late, repeated, retained, unreadable or of another ask."""
        try:
            answer = understood("time", parse(payload))
            utc = datetime.fromtimestamp(answer["ms"] / 1000, UTC)
        except (Rejected, ValueError, OverflowError, OSError) as error:
            log.warning("time_answer_ignored reason=%r", str(error)[:200])
            return None
        asked, self_open = self._open, self._open is not None and answer["id"] == self._open[0]
        if retained or not self_open or asked is None:
            return None
        self._open = None
        trip = self._uptime() - asked[1]
        if trip > LONGEST_TRIP:
            return None
        return CloudInstant(utc + timedelta(seconds=trip / 2), trip / 2)

    def believed(self, instant: CloudInstant) -> None:
        """An answer was just taken for the time: the next ask is due in an hour, or when this may be too far off."""
        now = self._uptime()
        last, self._believed = self._believed, (now, instant)
        wait = ASK_SECONDS
        if last is not None and now > last[0]:
            passed, said = now - last[0], (instant.utc - last[1].utc).total_seconds()
            off = max(0.0, abs(said - passed) - instant.error - last[1].error)
            wait = min(ASK_AGAIN_SECONDS, max(ASK_SECONDS, MOST_OFF * passed / off if off else ASK_AGAIN_SECONDS))
        self._next_at = now + wait

    def refuse(self, reason: str) -> None:
        """The broker does not let this truck ask."""
        if not self.refused:
            self.refused = True
            log.warning("time_from_the_cloud_refused reason=%r until=restart", reason)

    def lost(self) -> None:
        """The connection has ended; soon after an ask, the ask is taken for the cause."""
        if self._uptime() - self._asked_at <= SUSPICIOUS and self._open is not None:
            self.refuse("the connection ended right after asking")
        self._open = None
