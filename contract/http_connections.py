"""The open connections of one HTTP door, and the bounds that end them (contract.http_listener listens by them)."""

import contextlib
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from contract.descriptors import RESERVED, raise_limit
from contract.http_access import Network, is_within, source_of
from contract.source_log import SourceLog

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 4096
_KEEPS = 9


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """connections: in all; per_address: of one peer (proxies that are trusted excepted). Seconds: handshake of TLS;
    head: from the first moment, or the first byte, to the end of a request's headers; stall: without a byte of a body;
    body: for a whole one. evictable: after which a slow body, or an answer that is not read, may lose its place to a
    newcomer. head_bytes: of a request's line and headers. pipelined: requests that wait for the answer to another one.
    discarded: bytes that are read of a body which has been refused, so that the client comes to read the answer.
    """

    connections: int = MOST_CONNECTIONS
    per_address: int = 1024
    handshake: float = 10.0
    head: float = 10.0
    stall: float = 20.0
    body: float = 120.0
    evictable: float = 5.0
    head_bytes: int = 64 * 1024
    pipelined: int = 16
    discarded: int = 8 * 1024 * 1024


def limits_for(doors: int) -> ListenerLimits:
    """The limits of one of so many doors in this process: what its descriptors allow."""
    room = max(64, (raise_limit() - RESERVED) // doors)
    connections = min(MOST_CONNECTIONS, room)
    return ListenerLimits(connections=connections, per_address=max(64, connections * 3 // 4))


@dataclass(eq=False, slots=True)
class HttpConnection:
    """One accepted socket. began: of the request that is being read; head_done, answering: how far that is. unread:
    since when the client has not read what is to be sent, None where it has."""

    address: str
    socket: socket.socket
    opened: float
    last: float
    abort: Callable[[], None] | None = None
    began: float | None = None
    head_done: bool = False
    answering: bool = False
    served: bool = False
    discarded: int = 0
    unread: float | None = None
    source: str = field(init=False)

    def __post_init__(self) -> None:
        self.source = source_of(self.address)

    def rank(self, now: float, limits: ListenerLimits) -> int:
        """How soon it loses its place to another: never a request, slow with one, between two; else it keeps it."""
        if not self.answering and not self.head_done:
            return 2 if self.served and self.began is None else 0
        since = self.unread if self.answering else self.began
        slow = now - (since or now) > limits.evictable
        return 1 if slow else _KEEPS

    def overdue(self, now: float, limits: ListenerLimits) -> str:
        """Which limit it is over, "" for none."""
        if self.unread is not None and now - self.unread > limits.stall:
            return "answer not read"
        if self.answering:
            return ""
        if not self.head_done:
            return "head" if now - (self.began or self.last) > limits.head else ""
        if now - self.last > limits.stall:
            return "stall"
        return "body" if now - (self.began or self.last) > limits.body else ""

    def end(self) -> None:
        if self.abort is not None:
            self.abort()
            return
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # during a handshake: it fails, and closes the socket


@dataclass(eq=False)
class Connections:
    """The open connections of one door, and what became of the others. Used on the event loop's thread only, but for
    `figures`, which any thread may call."""

    limits: ListenerLimits
    trusted: Sequence[Network] = ()
    refused: int = 0
    evicted: int = 0
    timed_out: int = 0
    exhausted: int = 0
    _open: dict[HttpConnection, None] = field(default_factory=dict)  # in the order of their opening
    _by_source: Counter[str] = field(default_factory=Counter)
    _told: SourceLog = field(default_factory=lambda: SourceLog(log))

    def figures(self) -> Mapping[str, int]:
        """Numbers for /healthz and /metrics: `open`, `limit`, and since the start `refused` (no place), `evicted`
        (lost their place), `timed_out`, `exhausted` (times that this process had no descriptor left)."""
        return {
            "open": len(self._open),
            "limit": self.limits.connections,
            "refused": self.refused,
            "evicted": self.evicted,
            "timed_out": self.timed_out,
            "exhausted": self.exhausted,
        }

    def admit(self, connection: HttpConnection) -> bool:
        """Give a new connection a place, if need be that of another one; False where there is none."""
        address, source = connection.address, connection.source
        crowded = self._by_source[source] >= self.limits.per_address and not is_within(address, self.trusted)
        if crowded and not self._evict(source):
            self.refused += 1
            self.log_once_a_minute("connection_refused", address, "too many of this address")
            return False
        if len(self._open) >= self.limits.connections and not self._evict(None):
            self.refused += 1
            self.log_once_a_minute("connection_refused", address, "too many in all")
            return False
        self._open[connection] = None
        self._by_source[source] += 1
        return True

    def release(self, connection: HttpConnection) -> None:
        """It is closed, or will be at once; again is harmless."""
        if connection in self._open:
            del self._open[connection]
            self._by_source[connection.source] -= 1
            if self._by_source[connection.source] <= 0:
                del self._by_source[connection.source]

    def relieve(self) -> None:
        """This process has no descriptor left: end the connection that has waited longest."""
        self.exhausted += 1
        self.log_once_a_minute(
            "descriptors_exhausted", "", "this process may open no more: raise LimitNOFILE or `ulimit -n`"
        )
        self._evict(None)

    def sweep(self, now: float) -> None:
        """End what is over a limit."""
        for connection in list(self._open):
            if over := connection.overdue(now, self.limits):
                self.timed_out += 1
                self.log_once_a_minute("connection_timed_out", connection.address, over)
                self._drop(connection)

    def end_waiting(self) -> None:
        """End all but those whose request is whole and not answered yet."""
        for connection in [one for one in self._open if not one.answering]:
            self._drop(connection)

    def drop(self, connection: HttpConnection, why: str) -> None:
        """End one connection, and say why."""
        self.log_once_a_minute("connection_ended", connection.address, why)
        self._drop(connection)

    def log_once_a_minute(self, event: str, address: str, why: str) -> None:
        """Log once a minute for each address."""
        self._told.tell(event, address, f"reason={why!r} open={len(self._open)}")

    def _evict(self, source: str | None) -> bool:
        """Take the place of the longest waiting connection (of this source) that has brought no whole request."""
        now = time.monotonic()
        ranked: dict[int, HttpConnection] = {}
        for one in self._open:
            if source is not None and one.source != source:
                continue
            rank = one.rank(now, self.limits)
            ranked.setdefault(rank, one)
            if rank == 0:
                break
        ranked.pop(_KEEPS, None)
        if not ranked:
            return False
        one = ranked[min(ranked)]
        self.evicted += 1
        self.log_once_a_minute("connection_evicted", one.address, "its place was needed")
        self._drop(one)
        return True

    def _drop(self, connection: HttpConnection) -> None:
        self.release(connection)
        connection.end()
