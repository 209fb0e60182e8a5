"""The virtual fleet: the real agent, once for each truck, on a simulated sensor and in simulated time.

Each truck has a thread, a buffer file of its own and a connection of its own. Killed at any moment the fleet loses
nothing, since the agent loses nothing; started again on the same folder each truck goes on after its newest sample.
"""

import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from logging import getLogger
from pathlib import Path
from threading import Event, Thread
from typing import Any

from agent.buffer.sqlite import SqliteBuffer
from agent.errors import BufferDamaged
from agent.runtime.bootstrap import open_buffer, open_transport
from agent.runtime.service import Agent
from agent.settings import AgentSettings
from agent.timing.clock import SystemClock
from contract.errors import MilepostError, Misconfigured
from contract.settings import judged
from simulator import sent_ledger
from simulator.clock import SimulatedClock, planned_start
from simulator.sensor import SimulatedSensor
from simulator.vehicle import Vehicle

log = getLogger(__name__)

_STAGGER_S = 0.1
_FILES_OF_A_PROCESS = 64
_GOODBYE_S = 10.0


def truck_ids(count: int) -> list[str]:
    """TRUCK-001, TRUCK-002, …

    Args:
        count: how many.

    Returns:
        In order; the same names for every seed.
    """
    return [f"TRUCK-{number:03}" for number in range(1, count + 1)]


@dataclass(frozen=True, slots=True)
class FleetRun:
    """What a run of trucks is made of.

    interval: simulated seconds between samples. minutes: wall minutes after which it stops by itself. until: the wall
    time at which sampling ends; the trucks then stay connected, to send again what is asked for, until they are
    stopped. drain: wall seconds that may be spent at the end on sending what waits.
    """

    count: int
    broker: str
    folder: Path
    speedup: float
    minutes: float | None
    until: datetime | None
    interval: float
    drain: float
    seed: int
    identities: Path | None = None
    hardships: bool = True

    def run_together(self, stop: Event, ramp: float = 400.0) -> dict[str, Any]:
        """Fleet mode: all trucks in one event loop, without the agent; the run's figures (simulator.fleet.loop).

        Ends like `run`. Raises Misconfigured for a broker that is no address, or an identity that is missing.
        """
        from simulator.fleet.loop import FleetLoop, FleetModeSettings

        _allow_many_files(self.count + _FILES_OF_A_PROCESS)
        wall = SystemClock()
        begin = wall.now()
        end = self.until if self.minutes is None else begin + timedelta(minutes=self.minutes)
        way = None if end is None else max(0.0, (end - begin).total_seconds() / 60)
        clock = SimulatedClock(planned_start(begin, speedup=self.speedup, minutes=way), self.speedup, end)
        settings = FleetModeSettings(
            truck_ids=truck_ids(self.count),
            broker=self.broker,
            folder=self.folder,
            interval=self.interval,
            drain=self.drain,
            seed=self.seed,
            ramp=ramp,
            identities=self.identities,
            hardships=self.hardships,
        )
        loop = FleetLoop(settings, clock)
        try:
            return loop.run(stop, None if end is None or self.until else max(0.0, wall.seconds_until(end)))
        finally:
            loop.close()

    def run(self, stop: Event) -> None:
        """Until `stop` is set or the minutes have passed; returns when every truck has sent what it could.

        Raises Misconfigured for a broker that is no address or a buffer that cannot be used, MilepostError where a
        truck's thread failed.
        """
        _allow_many_files()
        wall = SystemClock()
        with ExitStack() as stack:
            trucks = [
                stack.enter_context(_truck(self._settings(truck_id), self.seed)) for truck_id in truck_ids(self.count)
            ]
            begin = wall.now()  # the run's minutes do not count opening a thousand files on a slow disk
            end = self.until if self.minutes is None else begin + timedelta(minutes=self.minutes)
            way = None if end is None else max(0.0, (end - begin).total_seconds() / 60)
            clock = SimulatedClock(planned_start(begin, speedup=self.speedup, minutes=way), self.speedup, end)
            log.info("trucks_started count=%d broker=%s speedup=%g", self.count, self.broker, self.speedup)
            try:
                for truck in trucks:
                    truck.start(SimulatedClock(truck.resume_at(clock.now()), self.speedup, end), self.drain)
                    if stop.wait(_STAGGER_S):
                        break
                stop.wait(None if end is None or self.until else max(0.0, wall.seconds_until(end)))
            finally:
                for truck in trucks:
                    truck.ask_to_stop()
                for truck in trucks:
                    truck.join(self.drain + _GOODBYE_S)
            failed = [truck.truck_id for truck in trucks if truck.failed]
        if failed:
            raise MilepostError(f"{', '.join(failed)} ended by a fault: see the log; start again to go on")
        log.info("trucks_stopped count=%d pending=%d", self.count, sum(truck.pending for truck in trucks))

    def _settings(self, truck_id: str) -> AgentSettings:
        path = sent_ledger.buffer_path(self.folder, truck_id)
        identity = self.identities / truck_id / "identity" if self.identities else None
        told = {
            "truck_id": truck_id,
            "broker": self.broker,
            "buffer": path,
            "interval": self.interval,
            "ca": identity / "ca.pem" if identity else None,
            "certificate": identity / "current" / "certificate.pem" if identity else None,
            "key": identity / "current" / "key.pem" if identity else None,
        }
        return judged("agent", AgentSettings, told, "--broker")


@dataclass(slots=True)
class _Truck:
    """One truck's thread, and what the main thread may ask of it."""

    settings: AgentSettings
    seed: int
    buffer: SqliteBuffer
    stop: Event = field(default_factory=Event)
    failed: bool = False
    pending: int = 0
    agent: Agent | None = None
    thread: Thread | None = None

    @property
    def truck_id(self) -> str:
        return self.settings.truck_id

    def resume_at(self, planned: datetime) -> datetime:
        """The planned simulated time, or that of the newest sample, whichever is later."""
        last, _ = self.buffer.trusted_around(self.buffer.highest_seq + 1, self.buffer.highest_seq + 1)
        return max(planned, last + timedelta(milliseconds=1)) if last else planned

    def start(self, clock: SimulatedClock, drain: float) -> None:
        """Begin to sample and send in a thread."""
        self.thread = Thread(target=self._run, args=(clock, drain), name=self.truck_id, daemon=True)
        self.thread.start()

    def ask_to_stop(self) -> None:
        """No more samples; send what is left, report, say goodbye."""
        self.stop.set()
        if self.agent:
            self.agent.wake()

    def join(self, seconds: float) -> None:
        """Wait for the thread's end; a thread that does not end in time has failed."""
        if self.thread:
            self.thread.join(seconds)
            self.failed = self.failed or self.thread.is_alive()

    def _run(self, clock: SimulatedClock, drain: float) -> None:
        try:
            while not self._serve(clock, drain):
                self.buffer.close()
                self.buffer = open_buffer(self.settings)
        except Exception:  # a thread's door: the other trucks go on
            log.exception("truck_failed truck_id=%s", self.truck_id)
            self.failed = True

    def _serve(self, clock: SimulatedClock, drain: float) -> bool:
        """One life of the agent; False where its buffer file turned out to be damaged and is to be set aside."""
        self.agent = Agent(
            settings=self.settings,
            sensors=[SimulatedSensor(Vehicle(self.truck_id, self.seed))],
            clock=clock,
            buffer=self.buffer,
            transport=open_transport(self.settings),
        )
        try:
            self.pending = self.agent.run(self.stop, drain=drain, wait_for_network=True).pending
        except BufferDamaged as error:
            log.error("buffer_damaged truck_id=%s reason=%r", self.truck_id, str(error))
            return self.stop.is_set()
        return True


@contextmanager
def _truck(settings: AgentSettings, seed: int) -> Iterator[_Truck]:
    truck = _Truck(settings, seed, open_buffer(settings))
    try:
        yield truck
    finally:
        if not (truck.thread and truck.thread.is_alive()):
            truck.buffer.close()


def _allow_many_files(needed: int = 0) -> None:
    """A truck has about eight open files in full mode and one in fleet mode, and a login shell allows 1,024.

    Raises Misconfigured, with the command, where the hard limit is below what is needed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard not in (resource.RLIM_INFINITY,) and hard < needed:
        raise Misconfigured(f"{needed:,} open files are needed and {hard:,} allowed: run `ulimit -Hn {needed}` as root")
