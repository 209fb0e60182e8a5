"""A start on a disk that is full or broken: samples are taken at their ticks and held in memory until it takes one.

Without a buffer there is no number for a sample and nothing to send; systemd hears of progress all the same, because a
restart would lose what is held.
"""

from collections.abc import Callable
from contextlib import suppress
from logging import getLogger
from queue import Empty, SimpleQueue
from threading import Event

from agent.buffer.sqlite import SqliteBuffer
from agent.runtime.sd_notify import Progress, Pulse
from agent.sampling.held_samples import HeldSamples
from agent.sampling.sampler import Sampler, Ticks
from agent.settings import AgentSettings
from agent.timing.clock import Clock
from contract.errors import Retryable

log = getLogger(__name__)

LOOK_SECONDS = 10.0
"""Between two looks whether the disk takes a buffer, and two beats for systemd's watchdog."""


class DisklessStart:
    """One start. held: gets the samples. pulse: hears of them."""

    def __init__(self, sampler: Sampler, clock: Clock, held: HeldSamples, pulse: Pulse) -> None:
        self._sampler, self._clock, self._held, self._pulse = sampler, clock, held, pulse

    def buffer(
        self, settings: AgentSettings, opened: Callable[[], SqliteBuffer], stop: Event, wakened: "SimpleQueue[None]"
    ) -> SqliteBuffer | None:
        """The buffer as soon as the disk takes one, at once on a sound disk; None when `stop` is set before, and then
        what was held has been counted as never stored.

        opened: opens it, and raises Retryable where the disk refuses; what else it raises passes through.
        wakened: something is put there when `stop` is set.
        """
        ticks = Ticks(settings.truck_id, settings.interval)
        due, reason = ticks.after(self._clock.now()), ""
        while not stop.is_set():
            try:
                return opened()
            except Retryable as error:
                if not reason:
                    log.error("started_without_a_buffer held_in_memory=yes reason=%r", str(error))
                reason = str(error)
            line = f"no buffer: the disk refuses; {len(self._held)} samples in memory"
            self._pulse.beat(Progress(self._clock.monotonic(), LOOK_SECONDS, line))
            _sleep(wakened, min(LOOK_SECONDS, max(0.0, self._clock.seconds_until(due))))
            now = self._clock.now()
            if now >= due:
                self._held.put(self._sampler.sample())
                self._held.refused(reason)
            if now >= due or (due - now).total_seconds() > settings.interval:
                due = ticks.after(now)
        self._pulse.stopping()
        self._held.end()
        return None


def _sleep(wakened: "SimpleQueue[None]", seconds: float) -> None:
    with suppress(Empty):
        wakened.get(timeout=seconds)
