"""What the broker will not take: an alarm on the first of a topic and code, a note for `milepost agent status` at most
once a minute, and a word when that is over. The samples stay in the buffer.
"""

from collections.abc import Callable, Sequence
from logging import getLogger
from typing import NamedTuple

from agent.timing.clock import Clock
from agent.transport import Refused
from contract import timestamps

log = getLogger(__name__)

_NOTE_SECONDS = 60.0  # each note is written to the disk


class LastRefusal(NamedTuple):
    """code: MQTT's, 0 for none so far. at: Unix time."""

    code: int = 0
    at: float = 0.0


class BrokerRefusals:
    """Those of one run. note: keeps short texts beside the service. count: samples refused so far."""

    def __init__(self, clock: Clock, note: Callable[[dict[str, str]], None]) -> None:
        self._clock, self._note = clock, note
        self._told: set[tuple[str, int]] = set()  # (topic, code)
        self._note_at = 0.0
        self.count = 0
        self.last = LastRefusal()

    def add(self, event: Refused, topic: str, seqs: Sequence[int]) -> None:
        """One message was refused.

        Args:
            event: the transport's.
            topic: where it was to go.
            seqs: the samples in it; empty for what is no sample.
        """
        self.count += len(seqs)
        self.last = LastRefusal(event.code, self._clock.now().timestamp())
        now, known = self._clock.monotonic(), (topic, event.code) in self._told
        if known and now < self._note_at:
            return
        self._note_at = now + _NOTE_SECONDS
        if not known:
            self._told.add((topic, event.code))
            which = f" seq={seqs[0]}…{seqs[-1]} kept=yes" if seqs else ""
            log.error("publish_refused topic=%s code=%d reason=%r%s", topic, event.code, event.reason, which)
        at = timestamps.from_datetime(self._clock.now())
        self._note({"last_refusal": f"{event.code} {event.reason} ({topic})", "last_refusal_at": at})

    def accepted(self, topics: Sequence[str]) -> None:
        """The broker has taken samples on one of these topics: what was told of them is over."""
        if over := {told for told in self._told if told[0] in topics}:
            log.warning("broker_takes_samples_again refused_so_far=%d", self.count)
            self._told -= over
