"""The agent's loop: samples on ticks whatever the network does, and sends what the buffer holds whenever it can.

One thread runs `Agent.run`. Nothing here handles signals, prints, or takes a setting from anywhere but its arguments,
so many agents run in one process as well as one.
"""

import threading
from collections.abc import Sequence
from logging import getLogger

from agent.buffer import Buffer
from agent.clock import Clock
from agent.errors import Damaged
from agent.recorder import Recorder
from agent.sampler import Sampler, Ticks
from agent.sensors import Sensor
from agent.settings import AgentSettings
from agent.transport import Transport
from agent.uplink import Tally, Uplink
from contract.errors import Retryable

__all__ = ["Agent", "Tally"]

log = getLogger(__name__)

PRUNE_SECONDS = 3600.0
GOODBYE_SECONDS = 1.0
MEND_SECONDS = 60.0
_DRAIN_TURN = 0.5


class Agent:
    """One truck's agent.

    buffer and sensors are the caller's to close; the transport is started and closed here. `tally` may be read at any
    time from any thread.
    """

    def __init__(
        self,
        *,
        settings: AgentSettings,
        sensors: Sequence[Sensor],
        clock: Clock,
        buffer: Buffer,
        transport: Transport,
    ) -> None:
        self._truck_id, self._interval = settings.truck_id, settings.interval
        self._clock, self._buffer = clock, buffer
        self._ticks = Ticks(settings.truck_id, settings.interval)
        sampler = Sampler(settings.truck_id, sensors, clock)
        self._recorder = Recorder(sampler, clock, buffer, patience=settings.time_patience)
        self._uplink = Uplink(settings.truck_id, buffer, transport, clock)
        self._due = clock.now()
        self._prune_at = 0.0
        self._mended_at = float("-inf")

    @property
    def tally(self) -> Tally:
        """What this run has done so far."""
        return self._uplink.tally

    def wake(self) -> None:
        """Make `run` look at its stop event now; safe in a signal handler and from any thread."""
        self._uplink.wake()

    def run(self, stop: threading.Event, *, drain: float = 5.0, wait_for_network: bool = False) -> Tally:
        """Sample and send until `stop` is set (noticed within a second, at once with `wake`).

        drain: seconds that may then still be spent on sending what waits; the rest stays in the buffer. Without a
        connection there is little to gain from them, so they are skipped unless `wait_for_network`.
        """
        self._due = self._ticks.after(self._clock.now())
        self._uplink.start()
        log.info("agent_started truck_id=%s stream_id=%s", self._truck_id, self._buffer.stream_id)
        try:
            while not stop.is_set():
                try:
                    self._turn()
                except Damaged as error:
                    self._mend(error)
            self._recorder.end()
            self._drain(drain, wait_for_network)
            self._uplink.say_goodbye(GOODBYE_SECONDS)
        finally:
            self._uplink.close()
        self.tally.pending = self._buffer.counts().pending
        log.info("agent_stopped truck_id=%s sampled=%d sent=%d", self._truck_id, self.tally.sampled, self.tally.sent)
        return self.tally

    def _turn(self) -> None:
        self._uplink.turn(self._until_due())
        self._sample_when_due()
        self._uplink.resume(self._recorder.settle(connected=self._uplink.connected))
        self._prune_when_due()

    def _mend(self, error: Damaged) -> None:
        """Once a minute at most: a file that is damaged again at once is a disk that cannot be written to."""
        now = self._clock.monotonic()
        if now - self._mended_at < MEND_SECONDS:
            raise error
        self._mended_at = now
        log.error("buffer_damaged reason=%r", str(error))
        self._buffer.repair()
        self._recorder.resume()
        self._uplink.restart()

    def _until_due(self) -> float:
        """Wall seconds to the next tick. After the clock was set back it is a new one, not the old time's return."""
        now = self._clock.now()
        if (self._due - now).total_seconds() > self._interval:
            self._due = self._ticks.after(now)
        return self._clock.seconds_until(self._due)

    def _sample_when_due(self) -> None:
        if self._until_due() > 0:
            return
        self._recorder.tick()
        self.tally.sampled, self.tally.not_stored = self._recorder.stored, self._recorder.never_stored
        self._due = self._ticks.after(self._clock.now())

    def _prune_when_due(self) -> None:
        now = self._clock.monotonic()
        if now < self._prune_at:
            return
        self._prune_at = now + PRUNE_SECONDS
        try:
            self._buffer.prune()
        except Retryable as error:
            log.error("prune_failed reason=%r", str(error))

    def _drain(self, seconds: float, wait_for_network: bool) -> None:
        deadline = self._clock.monotonic() + seconds
        while (left := deadline - self._clock.monotonic()) > 0 and not self._uplink.idle():
            if not self._uplink.connected and not wait_for_network:
                return
            self._uplink.turn(min(left, _DRAIN_TURN))
