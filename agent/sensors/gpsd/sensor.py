"""`type = "gpsd"`: position, speed and time from gpsd, by its JSON protocol over TCP.

A thread holds the connection, asks again with back-off when it is lost, and files each report; a read never waits. Of
several receivers the one that has a fix is taken, and kept while it has it.
"""

import logging
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from agent.sensors import Memory, Reading
from agent.sensors.beliefs import recall_all
from agent.sensors.device_thread import Link
from agent.sensors.fields import settle
from agent.sensors.gpsd.receiver import ALTITUDE, LEAVES, SPEED, GpsReceiver
from agent.sensors.gpsd.report import GpsReport, parse
from agent.sensors.gpsd.time_trust import AGREE
from agent.sensors.plausibility import PlaceBelief
from agent.sensors.since_last import Since
from agent.sensors.uptime import uptime
from agent.timing.clock import kernel_synchronised
from agent.timing.trusted_time import EARLIEST
from contract.errors import Misconfigured

logger = logging.getLogger(__name__)

DEFAULT = "127.0.0.1:2947"
WATCH = b'?WATCH={"enable":true,"json":true};\n'
PROBE = b"?VERSION;\n"
MAX_LINE = 65_536
"""Bytes; gpsd's longest object is a sixth of that."""
MAX_RECEIVERS = 8
QUIET = 20.0
"""Seconds of silence after which gpsd is asked whether it is there; after as many again the connection is given up."""

_POLL = 0.5
_CONNECT = 5.0


class GpsdSensor:
    """Implements agent.sensors.Listening and Remembering. path: "host:port" or "host", 127.0.0.1:2947 where None.

    `Reading.time` is given only as time_trust.py allows. Raises Misconfigured for a path that is no host and port; a
    gpsd that is not there yet is waited for, its leaves being `error`. synchronised: whether the kernel vouches for the
    machine's clock.
    """

    def __init__(
        self,
        path: str | None,
        *,
        interval: float,
        earliest: datetime = EARLIEST,
        synchronised: Callable[[], bool] = kernel_synchronised,
    ) -> None:
        del interval  # the receiver has its own
        self._address = parse_address(path or DEFAULT)
        self._earliest, self._synchronised = earliest, synchronised
        self.heard: float | None = None
        self._receivers: dict[str, GpsReceiver] = {}
        self._chosen = ""
        self._since = Since()
        self._remembered = PlaceBelief()
        self._lock = threading.Lock()
        self._link = Link(f"gpsd:{self._address[0]}:{self._address[1]}", self._serve)
        self._link.start()

    def read(self, now: datetime) -> Reading:
        """Where and when, as far as the receiver knows."""
        at = uptime()
        with self._lock:
            receiver = self._choose(at)
            interval = self._since.end_interval(at)
            if receiver is None:
                return Reading({}, dict.fromkeys(LEAVES, "error" if self._link.failing else "not_available"))
            values, quality = receiver.snapshot(at)
            time = receiver.trust.time(at, now, synchronised=self._synchronised()) if receiver.fixed(at) else None
        return Reading(
            values, dict.fromkeys(quality, "error") if self._link.failing else dict(quality), time, interval=interval
        )

    def memory(self) -> Memory:
        """See agent.sensors.Remembering."""
        with self._lock:
            place = self._receivers[self._chosen].place if self._chosen else self._remembered
            told = place.memory(uptime())
        return {} if told is None else {"position": told}

    def recall(self, memory: Memory, later: float) -> None:
        """See agent.sensors.Remembering."""
        with self._lock:
            recall_all({"position": self._remembered}, memory, later)

    def close(self) -> None:
        """Ends the thread, which closes the connection."""
        self._link.close()

    def _choose(self, now: float) -> GpsReceiver | None:
        """The receiver chosen before while it has a fix, else one that has, else the one heard last."""
        chosen = self._receivers.get(self._chosen)
        if chosen is None or not chosen.fixed(now):
            by_merit = sorted(self._receivers, key=lambda name: self._receivers[name].heard, reverse=True)
            by_merit.sort(key=lambda name: not self._receivers[name].fixed(now))
            self._chosen = by_merit[0] if by_merit else ""
        return self._receivers.get(self._chosen)

    def _serve(self, link: Link) -> None:
        with socket.create_connection(self._address, _CONNECT) as connection:
            connection.settimeout(_POLL)
            connection.sendall(WATCH)
            lines, quiet, probed = Lines(), uptime(), False
            while not link.closing:
                try:
                    received = connection.recv(16_384)
                except TimeoutError:
                    probed = _check(connection, uptime() - quiet, probed)
                    continue
                if not received:
                    raise ConnectionError("gpsd closed the connection")
                quiet, probed = uptime(), False
                link.alive()
                self._take(lines.feed(received))

    def _take(self, lines: list[bytes]) -> None:
        reports = [report for line in lines if (report := parse(line)) is not None]
        with self._lock:
            for report in reports:
                self._file(report)

    def _file(self, report: GpsReport) -> None:
        if report.device not in self._receivers:
            if len(self._receivers) >= MAX_RECEIVERS:
                del self._receivers[min(self._receivers, key=lambda name: self._receivers[name].heard)]
            self._receivers[report.device] = GpsReceiver(earliest=self._earliest)
            self._receivers[report.device].place.held = self._remembered.held
        now = uptime()
        timely = report.time is None or abs(report.time - datetime.now(UTC)) <= timedelta(seconds=AGREE)
        of_now = self._receivers[report.device].add_report(now, report, timely=timely)
        if of_now and (report.device == self._chosen or len(self._receivers) == 1):
            self._account(now, report)
        if self.heard is None:
            self.heard = now

    def _account(self, now: float, report: GpsReport) -> None:
        """What happens between two reads, as far as the receiver has a fix of now."""
        for leaf, value in ((SPEED, report.speed), (ALTITUDE, report.altitude if report.mode == 3 else None)):
            if value is not None and not isinstance(settled := settle(leaf, value), str):
                self._since.value(now, leaf, settled)
        if report.course is not None and report.speed is not None:
            self._since.course(now, report.course, report.speed)


class Lines:
    """Cuts what arrives into lines; one longer than `MAX_LINE` is passed over whole."""

    def __init__(self) -> None:
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines and self._skipping:
            del lines[0]
            self._skipping = False
        if len(self._rest) > MAX_LINE:
            self._rest, self._skipping = b"", True
        return [line for line in lines if len(line) <= MAX_LINE]


def _check(connection: socket.socket, silent: float, probed: bool) -> bool:
    """Asks gpsd for a sign of life once it has been silent for long; raises TimeoutError when none came."""
    if silent > 2 * QUIET:
        raise TimeoutError(f"gpsd has been silent for {silent:.0f} s")
    if silent > QUIET and not probed:
        connection.sendall(PROBE)
        return True
    return probed


def parse_address(path: str) -> tuple[str, int]:
    """(host, port) of a sensor's path; an IPv6 address with a port stands in brackets. Raises Misconfigured."""
    host, colon, port = path.rpartition(":")
    if not colon or path.endswith("]"):
        host, port = path, "2947"
    host = host.strip("[]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise Misconfigured(
            f'[[agent.sensors]] type="gpsd" path="{path}" must be host:port; leave it out for {DEFAULT}.'
        )
    return host, int(port)
