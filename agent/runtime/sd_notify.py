"""What systemd is told (sd_notify(3)): ready, alive, stopping, and one line of how it goes. No dependency.

Readiness is told once the buffer has taken a write, and the watchdog is fed only while samples are taken *and* stored:
an agent that runs and stores nothing is restarted, whatever it may think of itself.
"""

import os
import socket
from collections.abc import Callable, Mapping
from logging import getLogger
from typing import NamedTuple

log = getLogger(__name__)

_STATUS_SECONDS = 10.0


class Progress(NamedTuple):
    """How an agent does at one moment. stored_at: monotonic seconds of the last sample stored, or of the start.
    patience: seconds without one before that counts as no progress. line: for people."""

    stored_at: float
    patience: float
    line: str


class Pulse:
    """The agent's end of the line to systemd; without an address it says nothing. Never raises for a socket.

    address: NOTIFY_SOCKET, a path, or an abstract name after `@`. watchdog: seconds within which systemd wants to hear
    from us, None for no watchdog.
    """

    def __init__(self, address: str | None, watchdog: float | None, monotonic: Callable[[], float]) -> None:
        self._monotonic, self._every = monotonic, None if watchdog is None else watchdog / 3
        self._socket: socket.socket | None = None
        self._address = "\0" + address[1:] if address and address.startswith("@") else address or ""
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._ready = self._starving = False
        self._fed_at = self._told_at = float("-inf")
        self._line = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], monotonic: Callable[[], float]) -> "Pulse":
        """As systemd started this process: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID."""
        ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environ.get("WATCHDOG_USEC", "")
        watchdog = int(microseconds) / 1e6 if ours and microseconds.isdigit() else None
        return cls(environ.get("NOTIFY_SOCKET"), watchdog, monotonic)

    def beat(self, progress: Progress) -> None:
        """One turn of the agent's loop has passed: while it does well, ready at first, then food for the watchdog."""
        now = self._monotonic()
        well = now - progress.stored_at <= progress.patience
        if well and not self._ready:
            self._ready = True
            self._send("READY=1")
        if well and self._every is not None and now - self._fed_at >= self._every:
            self._fed_at = now
            self._send("WATCHDOG=1")
        if well == self._starving:
            self._starving = not well
            if not well:
                log.error("no_progress seconds_without_a_stored_sample=%.0f", now - progress.stored_at)
        if progress.line != self._line and now - self._told_at >= _STATUS_SECONDS:
            self._line, self._told_at = progress.line, now
            self._send(f"STATUS={progress.line}")

    def stopping(self) -> None:
        """A clean end has begun."""
        self._send("STOPPING=1\nSTATUS=stopping")

    def close(self) -> None:
        """Release the socket."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def _send(self, text: str) -> None:
        if not self._socket:
            return
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError as error:
            log.warning("notify_failed reason=%r", str(error))
