"""A whole agent in a thread of the test, and the frames that a replay sensor can read."""

import threading
from pathlib import Path
from typing import Any

from agent.buffer import Buffer
from agent.buffer.sqlite import SqliteBuffer
from agent.publishing.rate_limiter import with_lanes
from agent.runtime.service import Agent, Tally
from agent.settings import AgentSettings
from agent.timing.clock import Clock
from agent.transport import BrokerLimits
from agent.transport.backoff import Backoff
from agent.transport.endpoint import EndpointLine
from agent.transport.paho import PahoTransport
from tests.agent.fakes import CountingSensor, FastClock
from tests.agent.live import Broker

TRUCK = "T1"


class Truck:
    """An agent with a real buffer and a real transport; `interval` in seconds of its clock, `speed` of that clock."""

    def __init__(
        self, folder: Path, broker: Broker, *, speed: float = 600, clock: Clock | None = None, **more: Any
    ) -> None:
        self.settings = AgentSettings(
            **{
                "truck_id": TRUCK,
                "broker": broker.url,
                "buffer": folder / "buffer.db",
                "interval": 60,
                **more.get("settings", {}),
            }
        )
        self.buffer: Buffer = more.get("buffer") or SqliteBuffer(self.settings.buffer, TRUCK)
        self.sensor = CountingSensor()
        line = EndpointLine("127.0.0.1", more.get("port", broker.port), TRUCK)
        limits = more.get("limits") or with_lanes(BrokerLimits(), self.settings.lanes)
        self.agent = Agent(
            settings=self.settings,
            sensors=[self.sensor],
            clock=clock or FastClock(speed),
            buffer=self.buffer,
            transport=PahoTransport(line, limits=limits, backoff=Backoff(0.05, 0.3)),
            show=more.get("show"),
            doctor=more.get("doctor"),
        )
        self._drain = more.get("drain", 5.0)
        self._stop = threading.Event()
        self._result: list[Tally] = []
        self._thread = threading.Thread(target=self._run)

    @property
    def tally(self) -> Tally:
        """What it has done so far."""
        return self.agent.tally

    def start(self) -> "Truck":
        """Begin to sample and send."""
        self._thread.start()
        return self

    def _run(self) -> None:
        self._result.append(self.agent.run(self._stop, drain=self._drain))

    def stop(self) -> Tally:
        """As SIGTERM does; the buffer is closed too."""
        self._stop.set()
        self.agent.wake()
        self._thread.join(20)
        assert not self._thread.is_alive()
        self.buffer.close()
        return self._result[0]

    def end(self) -> None:
        """Stop, if it still runs."""
        if self._thread.is_alive():
            self.stop()


def write_candump(path: Path) -> None:
    """A capture of an engine at 650 rpm (EEC1, ten frames a second for ten seconds)."""
    lines = [f"({1_700_000_000 + n / 10:.6f}) can0 0CF00400#FFFFFF5014FFFFFF\n" for n in range(100)]
    path.write_text("".join(lines))
