"""How every HTTP door of this project listens: uvicorn, with bounds that one stranger cannot use up for all others.

Promises to whoever serves by it: a connection that sends nothing, or too slowly, ends within the limits; no address
holds more than its share; when all places are taken the newcomer gets the place of a connection that has been waiting
longest without a whole request, so that idle sockets never keep an honest client out; running out of descriptors is
logged as this process' own trouble and ends no door. An `Upgrade` that is not served is ignored, as RFC 9110 (7.8)
allows, and the request is answered by HTTP/1.1 with its body whole.

uvicorn itself has a limit only between two requests, and leaves the accepting to the event loop.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contract.descriptors import RESERVED, is_own_trouble, raise_limit
from contract.http_access import Network, is_within

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 4096
_SWEEP_SECONDS = 1.0
_LOG_SECONDS = 60.0
_MOST_LOGGED = 1000
_KEEPS = 9
_BACKLOG = 2048
_UPGRADE_HEADERS = (b"connection", b"upgrade", b"http2-settings")


@dataclass(frozen=True, slots=True)
class Limits:
    """connections: in all; per_address: of one peer (proxies that are trusted excepted). Seconds: handshake of TLS;
    head: from the first moment, or the first byte, to the end of a request's headers; stall: without a byte of a body;
    body: for a whole one. evictable: after which a slow body may lose its place to a newcomer.
    discarded: bytes that are read of a body which has been refused, so that the client comes to read the answer.
    """

    connections: int = MOST_CONNECTIONS
    per_address: int = 1024
    handshake: float = 10.0
    head: float = 10.0
    stall: float = 20.0
    body: float = 120.0
    evictable: float = 5.0
    discarded: int = 8 * 1024 * 1024


def limits_for(doors: int) -> Limits:
    """The limits of one of so many doors in this process: what its descriptors allow."""
    room = max(64, (raise_limit() - RESERVED) // doors)
    connections = min(MOST_CONNECTIONS, room)
    return Limits(connections=connections, per_address=max(64, connections * 3 // 4))


@dataclass(eq=False, slots=True)
class _Connection:
    """One accepted socket. began: of the request that is being read; head_done, answering: how far that is."""

    address: str
    socket: socket.socket
    opened: float
    last: float
    transport: asyncio.BaseTransport | None = None
    began: float | None = None
    head_done: bool = False
    answering: bool = False
    served: bool = False
    discarded: int = 0

    def rank(self, now: float, limits: Limits) -> int:
        """How soon it loses its place to another: never a request, slow with one, between two; else it keeps it."""
        if not self.answering and not self.head_done:
            return 2 if self.served and self.began is None else 0
        slow = not self.answering and now - (self.began or now) > limits.evictable
        return 1 if slow else _KEEPS

    def overdue(self, now: float, limits: Limits) -> str:
        """Which limit it is over, "" for none."""
        if self.answering:
            return ""
        if not self.head_done:
            return "head" if now - (self.began or self.last) > limits.head else ""
        if now - self.last > limits.stall:
            return "stall"
        return "body" if now - (self.began or self.last) > limits.body else ""

    def end(self) -> None:
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()
            return
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # during a handshake: it fails, and closes the socket


@dataclass(eq=False)
class Connections:
    """The open connections of one door, and what became of the others. Used on the event loop's thread only, but for
    `figures`, which any thread may call."""

    limits: Limits
    trusted: Sequence[Network] = ()
    refused: int = 0
    evicted: int = 0
    timed_out: int = 0
    exhausted: int = 0
    _open: dict[_Connection, None] = field(default_factory=dict)  # in the order of their opening
    _by_address: Counter[str] = field(default_factory=Counter)
    _logged: dict[tuple[str, str], float] = field(default_factory=dict)

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

    def admit(self, connection: _Connection) -> bool:
        """Give a new connection a place, if need be that of another one; False where there is none."""
        address = connection.address
        crowded = self._by_address[address] >= self.limits.per_address and not is_within(address, self.trusted)
        if crowded and not self._evict(address):
            self.refused += 1
            self.tell("connection_refused", address, "too many of this address")
            return False
        if len(self._open) >= self.limits.connections and not self._evict(None):
            self.refused += 1
            self.tell("connection_refused", address, "too many in all")
            return False
        self._open[connection] = None
        self._by_address[address] += 1
        return True

    def release(self, connection: _Connection) -> None:
        """It is closed, or will be at once; again is harmless."""
        if connection in self._open:
            del self._open[connection]
            self._by_address[connection.address] -= 1
            if self._by_address[connection.address] <= 0:
                del self._by_address[connection.address]

    def relieve(self) -> None:
        """This process has no descriptor left: end the connection that has waited longest."""
        self.exhausted += 1
        self.tell("descriptors_exhausted", "", "this process may open no more: raise LimitNOFILE or `ulimit -n`")
        self._evict(None)

    def sweep(self, now: float) -> None:
        """End what is over a limit."""
        for connection in list(self._open):
            if over := connection.overdue(now, self.limits):
                self.timed_out += 1
                self.tell("connection_timed_out", connection.address, over)
                self._drop(connection)

    def end_waiting(self) -> None:
        """End all but those whose request is whole and not answered yet."""
        for connection in [one for one in self._open if not one.answering]:
            self._drop(connection)

    def drop(self, connection: _Connection, why: str) -> None:
        """End one connection, and say why."""
        self.tell("connection_ended", connection.address, why)
        self._drop(connection)

    def tell(self, event: str, address: str, why: str) -> None:
        """Log once a minute for each address."""
        now, key = time.monotonic(), (event, address)
        if now - self._logged.get(key, -_LOG_SECONDS) < _LOG_SECONDS:
            return
        if len(self._logged) > _MOST_LOGGED:
            self._logged = {k: at for k, at in self._logged.items() if now - at < _LOG_SECONDS}
            if len(self._logged) > _MOST_LOGGED:
                return
        self._logged[key] = now
        log.warning("%s peer=%s reason=%r open=%d", event, address, why, len(self._open))

    def _evict(self, address: str | None) -> bool:
        """Take the place of the longest waiting connection (of this address) that has brought no whole request."""
        now = time.monotonic()
        ranked: dict[int, _Connection] = {}
        for one in self._open:
            if address is not None and one.address != address:
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
        self.tell("connection_evicted", one.address, "its place was needed")
        self._drop(one)
        return True

    def _drop(self, connection: _Connection) -> None:
        self.release(connection)
        connection.end()


class _Protocol(HttpToolsProtocol):
    """uvicorn's, telling how far each request is, and deaf to upgrades."""

    def __init__(self, connection: _Connection, connections: Connections, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._connection, self._connections = connection, connections
        self._upgrading = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._connection.transport = transport
        self._connection.last = time.monotonic()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.release(self._connection)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._connection.last = time.monotonic()
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._connections.tell("request_malformed", self._connection.address, "no HTTP/1.1")
            if not self.transport.is_closing():
                self.send_400_response("Invalid HTTP request received.")

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """The parser takes what follows for another protocol: begin the request anew, without its wish to change."""
        method = self.parser.get_method()
        kept = [(name, value) for name, value in self.headers if name not in _UPGRADE_HEADERS]
        closes = any(name == b"connection" and b"close" in value.lower() for name, value in self.headers)
        if closes:
            kept.append((b"connection", b"close"))
        head = b"%b %b HTTP/1.1\r\n" % (method, self.url)
        head += b"".join(b"%b: %b\r\n" % each for each in kept) + b"\r\n"
        self._upgrading = False
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(head + rest)

    def on_message_begin(self) -> None:
        self._connection.began, self._connection.head_done = time.monotonic(), False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._upgrading = True
            return
        if self.parser.get_http_version() == "1.0":
            # nginx before 1.29.7 asks so unless told otherwise, leaves no header and names this machine as the Host:
            # nothing else tells such a proxy from a program on this machine (contract.http_access.is_local).
            self.headers.append((b"via", b"1.0 unknown"))
        self._connection.head_done = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._upgrading:
            return
        super().on_body(body)
        if self.cycle.response_complete:
            self._connection.discarded += len(body)
            if self._connection.discarded > self._connections.limits.discarded:
                self._connections.drop(self._connection, "went on sending a body that had been refused")

    def on_message_complete(self) -> None:
        if self._upgrading:
            return
        if self.cycle.response_complete:
            self._wait_for_another()
        else:
            self._connection.answering = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if not self.cycle.more_body:
            self._wait_for_another()
        super().on_response_complete()

    def _wait_for_another(self) -> None:
        connection = self._connection
        connection.served = True
        connection.began, connection.head_done, connection.answering = None, False, bool(self.pipeline)
        connection.discarded = 0


class HttpListener(uvicorn.Server):
    """A uvicorn server on sockets of the caller's, which are bound and not listening yet."""

    def __init__(self, config: uvicorn.Config, limits: Limits, trusted: Sequence[Network] = ()) -> None:
        super().__init__(config)
        self.open_connections = Connections(limits, trusted)
        self._limits = limits
        self._tasks: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept; `started` says when."""
        for one in sockets or []:
            one.setblocking(False)
            one.listen(_BACKLOG)  # before `started` is said: whoever has waited for it may connect
        await super().startup(sockets=[])  # the lifespan, and no listening of uvicorn's own
        for one in sockets or []:
            self._keep(self._accept(one))
        self._keep(self._sweep())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and let open requests end."""
        for task in list(self._tasks):
            task.cancel()
        self.open_connections.end_waiting()
        await super().shutdown(sockets=sockets)

    def _keep(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, peer = await loop.sock_accept(listening)
            except OSError as error:
                if not is_own_trouble(error):
                    log.warning("accept_failed reason=%r", str(error))
                else:
                    self.open_connections.relieve()
                await asyncio.sleep(0.05)
                continue
            now = time.monotonic()
            connection = _Connection(str(peer[0]), accepted, now, now)
            if self.open_connections.admit(connection):
                self._keep(self._open(connection))
            else:
                accepted.close()

    async def _open(self, connection: _Connection) -> None:
        """The handshake, where there is one, and then the protocol's."""
        loop = asyncio.get_running_loop()
        accepted = connection.socket
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        secured = {"ssl": self.config.ssl, "ssl_handshake_timeout": self._limits.handshake} if self.config.ssl else {}
        try:
            await loop.connect_accepted_socket(lambda: self._protocol(connection), accepted, **secured)  # type: ignore[arg-type]
        except OSError as error:  # ssl.SSLError and TimeoutError are such
            self.open_connections.tell("handshake_failed", connection.address, str(error)[:100])
        except BaseException:
            self.open_connections.release(connection)
            accepted.close()
            raise
        else:
            return
        self.open_connections.release(connection)
        accepted.close()

    def _protocol(self, connection: _Connection) -> _Protocol:
        return _Protocol(
            connection,
            self.open_connections,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            try:
                self.open_connections.sweep(time.monotonic())
            except Exception:  # a loop's door: without it no limit would hold any more
                log.exception("sweep_failed")
