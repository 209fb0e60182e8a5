"""The fleet's event loop: connects, samples, stores, sends and hears, for all trucks in one thread.

A turn: what the sockets bring, then the trucks whose time has come, whose samples go to the ledger in one durable
transaction before any is sent. Trucks connect at a bounded rate, tick in phases of their own, and reconnect with
full-jitter back-off.
"""

import heapq
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from logging import getLogger
from pathlib import Path
from random import Random
from threading import Event
from typing import Any
from urllib.parse import urlsplit
from zlib import crc32

from contract import codec, machine_clock, timestamps
from contract.errors import Misconfigured
from simulator.clock import SimulatedClock
from simulator.fleet import mqtt5
from simulator.fleet.connection import Broker, ConnectionLost, TruckConnection
from simulator.fleet.ledger import FILE, PROGRESS, FleetLedger
from simulator.fleet.truck import KEEPALIVE_S, FleetTruck

log = getLogger(__name__)

_SAMPLING_S = 0.1
"""Of a turn goes into samples: while thousands of tours are made up at the start, the sockets must not wait."""

_REPORT_LOOK_S = 1.0
_LAST_REPORT_S, _REPORTS_A_SECOND = 2.0, 100
_PROGRESS_S = 1.0
_PROGRESS_SHARE = 50
"""Counting millions of waiting samples takes a while: no more than a fiftieth of the time goes into it."""
_TURN_S = 0.25
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_HANDSHAKE_S = 60.0


@dataclass(frozen=True, slots=True)
class FleetModeSettings:
    """What a run of fleet mode is made of.

    ramp: connections a second. interval: simulated seconds between a truck's samples. drain: wall seconds at the end
    for what waits. identities: the folder of the trucks' certificates, None for a broker without TLS. hardships: see
    SimulatorSettings.
    """

    truck_ids: list[str]
    broker: str
    folder: Path
    interval: float
    drain: float
    seed: int
    ramp: float = 400.0
    identities: Path | None = None
    hardships: bool = True


@dataclass(order=True, slots=True)
class _Due:
    at: float
    number: int
    act: Callable[[], None] = field(compare=False)


class FleetLoop:
    """One run. `run` returns its figures; `ledger` stays open until `close`."""

    def __init__(self, settings: FleetModeSettings, clock: SimulatedClock) -> None:
        self._settings, self._clock = settings, clock
        self._broker = _resolved(settings.broker, settings.identities)
        self.ledger = FleetLedger(settings.folder / FILE)
        states = self.ledger.enter(settings.truck_ids)
        self.trucks = [
            FleetTruck(truck_id, settings.seed, self.ledger, state, hardships=settings.hardships)
            for truck_id, state in zip(settings.truck_ids, states, strict=True)
        ]
        self._poll = select.epoll()
        self._by_fd: dict[int, FleetTruck] = {}
        self._wanted: dict[int, int] = {}
        self._dirty: set[FleetTruck] = set()
        self._samples: list[tuple[FleetTruck, int, bytes]] = []
        self._online = 0
        self._away: set[str] = set()
        self._ever: set[str] = set()
        self._due: list[_Due] = []
        self._counter = 0
        self._ticking = len(self.trucks)
        self._sampling = True
        self._dice = Random(settings.seed)
        self._failures: dict[str, int] = {}
        self._latencies: list[float] = []
        self.ready_after: float | None = None

    def run(self, stop: Event, seconds: float | None = None) -> dict[str, Any]:
        """Until `stop` is set or so many wall seconds have passed, then drain. Raises Misconfigured.

        A run with an end takes every sample up to it, also on a machine that is late, for as long as a drain may last.

        Returns sampled, pending, connected (how many ever were), ready_after (seconds until all had been), refused, and
        p50 and p99 of the seconds from sending a live sample to its PUBACK.
        """
        began = time.monotonic()
        self._schedule(began)
        while not stop.is_set() and (seconds is None or time.monotonic() - began < seconds):
            self._turn(_TURN_S)
            if self.ready_after is None and len(self._ever) == len(self.trucks):
                self.ready_after = time.monotonic() - began
                log.info("all_connected count=%d seconds=%.1f", len(self._ever), self.ready_after)
        late = time.monotonic() + self._settings.drain
        while self._ticking and not stop.is_set() and time.monotonic() < late:
            self._turn(_TURN_S)
        self._drain()
        self._progress()
        pending = self.ledger.waiting()
        ordered = sorted(self._latencies)
        return {
            "trucks": len(self.trucks),
            "connected": len(self._ever),
            "ready_after": self.ready_after,
            "sampled": self._sampled,
            "pending": pending,
            "refused": sum(truck.refused for truck in self.trucks),
            "ack_p50": ordered[len(ordered) // 2] if ordered else None,
            "ack_p99": ordered[int(len(ordered) * 0.99)] if ordered else None,
        }

    def close(self) -> None:
        """Give back sockets and the ledger."""
        for truck in self.trucks:
            if truck.connection:
                truck.connection.close()
        self._poll.close()
        self.ledger.close()

    # -- a turn

    def _schedule(self, began: float) -> None:
        for at, truck in enumerate(self.trucks):
            self._later(began + at / self._settings.ramp, lambda truck=truck: self._connect(truck))  # type: ignore[misc]
            self._next_tick(truck, self._first(truck))
        self._later(began + KEEPALIVE_S / 4, self._look_after)
        self._later(began, self._progress)
        self._later(began, self._report)
        self._later(began + _LAST_REPORT_S, self._report_at_the_end)

    @property
    def _sampled(self) -> int:
        """Numbers have no holes, so the highest of each truck is its count."""
        return sum(truck.highest for truck in self.trucks)

    def _progress(self) -> None:
        """A line in PROGRESS: what a run's record and its page are made of. Not durable."""
        began = time.monotonic()
        pending = self.ledger.waiting()
        joining = sum(truck.truck_id not in self._ever and truck.truck_id not in self._away for truck in self.trucks)
        reached = {"online": self._online, "joining": joining}
        line = {"at": machine_clock.now_ms(), **reached, "sampled": self._sampled, "pending": pending}
        with (self._settings.folder / PROGRESS).open("a", encoding="ascii") as file:
            file.write(codec.dump(line) + "\n")
        now = time.monotonic()
        self._later(now + max(_PROGRESS_S, _PROGRESS_SHARE * (now - began)), self._progress)

    def _turn(self, longest: float) -> None:
        wait = min(longest, max(0.0, self._due[0].at - time.monotonic())) if self._due else longest
        for fd, _ in self._poll.poll(wait, 1024):
            truck = self._by_fd.get(fd)
            if truck is not None:
                self._heard(truck)
        self._samples = []
        until = time.monotonic() + _SAMPLING_S
        while self._due and self._due[0].at <= (now := time.monotonic()) and now < until:
            heapq.heappop(self._due).act()
        self._commit()
        for truck in list(self._dirty):
            self._flush(truck)
        self._dirty.clear()

    def _commit(self) -> None:
        """Everything sampled in this turn and acknowledged since the last, in one transaction; then it may be sent."""
        acked: list[tuple[int, int]] = []
        for truck in self._dirty:
            if truck.acked:
                acked += truck.acked
                truck.acked = []
            if truck.latencies:
                self._latencies += truck.latencies
                truck.latencies = []
        if not acked and not self._samples:
            return
        self.ledger.append([(truck.number, seq, body) for truck, seq, body in self._samples], acked)
        for truck, seq, body in self._samples:
            truck.stored(seq, body)
            truck.send_backlog()
            self._dirty.add(truck)

    def _heard(self, truck: FleetTruck) -> None:
        connection = truck.connection
        if connection is None:
            return
        self._dirty.add(truck)
        try:
            for packet in connection.ready():
                if packet.kind == mqtt5.CONNACK:
                    if packet.code >= mqtt5.FIRST_ERROR:
                        raise ConnectionLost(f"refused with code {packet.code}")
                    self._failures.pop(truck.truck_id, None)
                    self._online += 1
                    self._ever.add(truck.truck_id)
                    truck.connected()
                elif packet.kind == mqtt5.DISCONNECT:
                    raise ConnectionLost(f"the broker ended it with code {packet.code}")
                else:
                    truck.received(packet)
        except ConnectionLost as error:
            self._lost(truck, str(error))

    def _flush(self, truck: FleetTruck) -> None:
        connection = truck.connection
        if connection is None:
            return
        try:
            connection.flush()
        except ConnectionLost as error:
            self._lost(truck, str(error))
            return
        if self._wanted.get(connection.fd) != connection.wanted:
            self._wanted[connection.fd] = connection.wanted
            self._poll.modify(connection.fd, connection.wanted)

    # -- connections

    def _connect(self, truck: FleetTruck) -> None:
        if truck.connection is not None or truck.truck_id in self._away:
            return
        context = self._broker.context(truck.truck_id)
        try:
            connection = truck.connection = TruckConnection(self._broker, context)
        except ConnectionLost as error:
            self._lost(truck, str(error))
            return
        connection.send(truck.opening())
        self._by_fd[connection.fd] = truck
        self._wanted[connection.fd] = connection.wanted
        self._poll.register(connection.fd, connection.wanted)
        self._later(time.monotonic() + _HANDSHAKE_S, lambda: self._give_up(truck, connection))

    def _give_up(self, truck: FleetTruck, connection: TruckConnection) -> None:
        if truck.connection is connection and not truck.online:
            self._lost(truck, "no answer in time")

    def _lost(self, truck: FleetTruck, why: str) -> None:
        if truck.connection is not None:
            self._by_fd.pop(truck.connection.fd, None)
            self._wanted.pop(truck.connection.fd, None)
            truck.connection.close()  # which takes it out of epoll
            truck.connection = None
        self._online -= truck.online
        truck.lost()
        failures = self._failures[truck.truck_id] = self._failures.get(truck.truck_id, 0) + 1
        if failures in (1, 10, 100):
            log.warning("connection_lost truck_id=%s reason=%r", truck.truck_id, why)
        longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(failures, 10))
        self._later(time.monotonic() + self._dice.uniform(0, longest), lambda: self._connect(truck))

    # -- what falls due

    def _later(self, at: float, act: Callable[[], None]) -> None:
        self._counter += 1
        heapq.heappush(self._due, _Due(at, self._counter, act))

    def _first(self, truck: FleetTruck) -> datetime:
        """The truck's next tick in simulated time: aligned to the interval, in a phase of its own."""
        now, interval = self._clock.start, self._settings.interval
        if truck.last_sampled_at:
            now = max(now, timestamps.to_datetime(truck.last_sampled_at) + timedelta(milliseconds=1))
        phase = crc32(truck.truck_id.encode()) / 2**32 * interval
        missing = interval - (now.timestamp() - phase) % interval
        return now + timedelta(seconds=missing)

    def _next_tick(self, truck: FleetTruck, moment: datetime) -> None:
        if not self._clock.will_reach(moment):
            self._ticking -= 1
            self._come_out(truck)
            return
        wait = self._clock.seconds_until(moment)
        self._later(time.monotonic() + max(0.0, wait), lambda: self._tick(truck, moment))

    def _tick(self, truck: FleetTruck, moment: datetime) -> None:
        if not self._sampling:
            return
        if self._clock.seconds_until(moment) > 0.001:
            self._next_tick(truck, moment)
            return
        taken = truck.sample(moment)
        if taken:
            self._samples.append((truck, *taken[1:]))
        self._on_the_road(truck)
        self._next_tick(truck, moment + timedelta(seconds=self._settings.interval))

    def _on_the_road(self, truck: FleetTruck) -> None:
        """Without network or power a truck has no connection, and with them it looks for one at once."""
        reachable = truck.has_network and truck.has_power
        if truck.connection is not None and not reachable:
            self._lost(truck, "no network" if truck.has_power else "no power")
        elif truck.truck_id in self._away and reachable:
            self._later(time.monotonic(), lambda: self._connect(truck))
        (self._away.discard if reachable else self._away.add)(truck.truck_id)

    def _come_out(self, truck: FleetTruck) -> None:
        """No later moment brings back power and network of a truck that has taken its last sample: it has both."""
        if truck.truck_id in self._away:
            self._away.discard(truck.truck_id)
            self._later(time.monotonic(), lambda: self._connect(truck))

    def _report(self) -> None:
        self._dirty.update(truck for truck in self.trucks if truck.report_where_due())
        self._later(time.monotonic() + _REPORT_LOOK_S, self._report)

    def _report_at_the_end(self) -> None:
        """No later sample shows what is missing before it, and a report may be lost too: so again and again."""
        if self._clock.has_ended:
            for truck in self.trucks:
                truck.report()
                self._dirty.add(truck)
        self._later(
            time.monotonic() + max(_LAST_REPORT_S, len(self.trucks) / _REPORTS_A_SECOND), self._report_at_the_end
        )

    def _look_after(self) -> None:
        """Pings where nothing was sent for a while, and ends connections that do not answer."""
        now = time.monotonic()
        for truck in self.trucks:
            if truck.online and truck.stuck(now):
                self._lost(truck, "no PUBACK in time")
            elif truck.online and truck.connection and now - truck.sent_at > KEEPALIVE_S / 2:
                truck.connection.send(mqtt5.PINGREQ)
                truck.sent_at = now
                self._dirty.add(truck)
        self._later(now + KEEPALIVE_S / 4, self._look_after)

    # -- the end

    def _drain(self) -> None:
        """Send what waits, report, and say goodbye, within the drain's time."""
        self._sampling = False
        for truck in self.trucks:
            self._come_out(truck)
        until = time.monotonic() + self._settings.drain
        while time.monotonic() < until and not all(truck.idle() for truck in self.trucks):
            for truck in self.trucks:
                if truck.online:
                    truck.send_backlog()
                    self._dirty.add(truck)
            self._turn(0.05)
        self._commit()
        for truck in self.trucks:
            if truck.online:
                truck.report()
                truck.status("offline")
                self._dirty.add(truck)
        self._turn(0.05)
        until = min(until, time.monotonic() + 5.0)
        while time.monotonic() < until and not all(truck.idle() for truck in self.trucks if truck.online):
            self._turn(0.05)
        for truck in self.trucks:
            if truck.online and truck.connection:
                truck.connection.send(mqtt5.GOODBYE)
                self._flush(truck)


def _resolved(url: str, identities: Path | None) -> Broker:
    """The broker's address, looked up once. Raises Misconfigured."""
    parts = urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise Misconfigured(f"--broker {url!r}: must be mqtt://HOST:PORT or mqtts://HOST:PORT")
    if (parts.scheme == "mqtts") != (identities is not None):
        raise Misconfigured("--identities DIR and a broker with mqtts:// go together: give both or neither")
    port = parts.port or (8883 if parts.scheme == "mqtts" else 1883)
    try:
        family, _, _, _, address = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise Misconfigured(f"--broker {url!r}: {error.strerror or error}") from None
    return Broker(parts.hostname, (str(address[0]), port), family, identities)
