"""`BusSensor`: a decoder on a live CAN bus. What listens to a bus is one of these with another decoder.

A thread hears every frame and files it in the decoder; a read decodes what was heard last and never waits. A bus that
cannot be opened, goes down, goes off or vanishes makes every leaf without a fresh value an `error`, and is opened again
with back-off; one that is merely silent lets its values go `stale`.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from agent.sensors import Memory, Reading
from agent.sensors.beliefs import RememberedBelief, recall_all
from agent.sensors.can_address import Bus, CanAddress
from agent.sensors.can_frame import Frame
from agent.sensors.device_thread import Link
from agent.sensors.fields import Reason
from agent.sensors.plausibility import Disagreement
from agent.sensors.since_last import Interval
from agent.sensors.uptime import uptime

if TYPE_CHECKING:
    import can

logger = logging.getLogger(__name__)

BUS_OFF = 0x40
"""Bit of a SocketCAN error frame: the controller has left the bus after too many errors."""

_POLL = 0.25


class BusDecoder(Protocol):
    """What makes wire leaves of frames; used under a lock. disagreements: sources that contradict each other.
    beliefs: by name, what outlives a process."""

    disagreements: Counter[Disagreement]

    @property
    def beliefs(self) -> Mapping[str, RememberedBelief]: ...

    def feed(self, now: float, frame: Frame, /) -> None:
        """File one frame, in the order heard; never raises for its bytes.

        Args:
            now: seconds on a time line that runs evenly.
            frame: any frame of the bus.
        """

    def snapshot(self, now: float, /) -> tuple[dict[str, object], dict[str, Reason]]:
        """What is true at a moment.

        Args:
            now: seconds, on the time line of `feed`.

        Returns:
            (leaf → value in wire units, leaf → why not); the two never share a leaf.
        """

    def end_interval(self, now: float, /) -> Interval | None:
        """The account of all that was fed since the last call.

        Args:
            now: seconds, on the time line of `feed`.

        Returns:
            None where nothing was heard.
        """


class BusSensor:
    """Implements agent.sensors.Listening and Remembering. Memory is bounded by the decoder's: a frame is filed, never
    queued.

    filters: what the kernel shall pass on, where it can. ask: called between frames with uptime; a frame it returns is
    sent. counts: `frames`, `bus_errors` (error frames), `skipped` (remote and FD frames).
    """

    def __init__(
        self,
        address: CanAddress,
        decoder: BusDecoder,
        *,
        filters: "list[can.typechecking.CanFilter] | None" = None,
        ask: Callable[[float], Frame | None] | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.heard: float | None = None
        self._address, self._decoder, self._filters, self._ask = address, decoder, filters, ask
        self._reported: set[Disagreement] = set()
        self._lock = threading.Lock()
        self._link = Link(str(address), self._serve)
        self._link.start()

    def read(self, now: datetime) -> Reading:
        """What was heard last, as far as it is fresh."""
        with self._lock:
            before = self._decoder.disagreements.copy()
            values, quality = self._decoder.snapshot(uptime())
            contradictions = (self._decoder.disagreements - before).keys()
            interval = self._decoder.end_interval(uptime())
        for each in contradictions - self._reported:
            self._reported.add(each)
            logger.warning(
                "sensor.sources_disagree device=%s field=%s preferred=%d other=%d",
                self._address,
                each.leaf,
                each.preferred,
                each.other,
            )
        reasons = dict.fromkeys(quality, "error") if self._link.failing else dict(quality)
        return Reading(values, reasons, disagreements=tuple(sorted(contradictions)), interval=interval)

    def memory(self) -> Memory:
        """See agent.sensors.Remembering."""
        with self._lock:
            told = {name: belief.memory(uptime()) for name, belief in self._decoder.beliefs.items()}
        return {name: memory for name, memory in told.items() if memory is not None}

    def recall(self, memory: Memory, later: float) -> None:
        """See agent.sensors.Remembering."""
        recall_all(self._decoder.beliefs, memory, later)

    def close(self) -> None:
        """Ends the thread, which closes the bus."""
        self._link.close()

    def _serve(self, link: Link) -> None:
        bus = self._address.open(self._filters)
        try:
            first = bus.recv(_POLL / 10)  # an interface that is down opens, and raises at the first recv
            link.works()
            self._take(link, first)
            while not link.closing:
                self._take(link, bus.recv(_POLL if self._ask is None else _POLL / 10))
                if self._ask is not None:
                    self._send(bus, self._ask(uptime()))
        finally:
            bus.shutdown()

    def _take(self, link: Link, message: "can.Message | None") -> None:
        if message is None:
            return
        if message.is_error_frame:
            self.counts["bus_errors"] += 1
            if message.arbitration_id & BUS_OFF:
                link.impaired()
            return
        link.alive()
        if message.is_remote_frame or message.is_fd:
            self.counts["skipped"] += 1
            return
        frame = Frame(message.arbitration_id, bytes(message.data), message.is_extended_id, str(message.channel or ""))
        self.counts["frames"] += 1
        now = uptime()
        with self._lock:
            self._decoder.feed(now, frame)
        if self.heard is None:
            self.heard = now

    def _send(self, bus: Bus, frame: Frame | None) -> None:
        if frame is None:
            return
        import can

        bus.send(can.Message(arbitration_id=frame.can_id, data=frame.data, is_extended_id=frame.extended))
