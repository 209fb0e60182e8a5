"""How every HTTP door of this project listens: uvicorn, with bounds that one stranger cannot use up for all others.

Promises to whoever serves by it: a connection that sends nothing, or too slowly, ends within the limits; no address
holds more than its share; when all places are taken the newcomer gets the place of a connection that has been waiting
longest without a whole request, so that idle sockets never keep an honest client out; running out of descriptors is
logged as this process' own trouble and ends no door. An `Upgrade` that is not served is ignored, as RFC 9110 (7.8)
allows, and the request is answered by HTTP/1.1 with its body whole.

uvicorn itself has a limit only between two requests, and leaves the accepting to the event loop.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Sequence
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from contract.descriptors import is_own_trouble
from contract.http_access import Network
from contract.http_connections import Connections, HttpConnection, ListenerLimits

log = logging.getLogger(__name__)

_SWEEP_SECONDS = 1.0
_BACKLOG = 2048
_UPGRADE_HEADERS = (b"connection", b"upgrade", b"http2-settings")


class _TooManyAtOnce(Exception):
    """Stops the parser in the middle of what it was given."""


class _Protocol(HttpToolsProtocol):
    """uvicorn's, telling how far each request is, and deaf to upgrades."""

    def __init__(self, connection: HttpConnection, connections: Connections, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._connection, self._connections = connection, connections
        self._upgrading = self._connecting = self._flooding = False
        self._head_bytes = 0
        self._reading = self._reading_head = False
        self._running: RequestResponseCycle | None = None
        self._unanswered = 0  # requests that have come whole
        self._ended = False  # nothing more is read of this client

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._connection.abort = self._abort
        self._connection.last = time.monotonic()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.release(self._connection)
        if self._running:  # uvicorn knows the newest only
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def _abort(self) -> None:
        if self._running:
            self._running.disconnected = True  # the loop says so later, and what is written until then is an error
        self.transport.abort()

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more, and may still read what its whole requests are answered (RFC 9112, 9.6).

        Returns:
            Whether the connection stays open until then. A stream without an end would not hear that nobody listens,
            and TLS has no such half.
        """
        running = self._running
        endless = running and running.response_started and running.chunked_encoding and not running.response_complete
        self._ended = True
        if self._unanswered and not endless and self.scheme == "http":
            self._forget_unfinished()
            return True
        if running:
            running.disconnected = True
        return False

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        self._connection.last = time.monotonic()
        self._unset_keepalive_if_required()
        self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._connecting:
                self._connections.log_once_a_minute("request_malformed", self._connection.address, "CONNECT")
                self._refuse("CONNECT is not served here.")
                return
            self._go_on_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            if self._flooding:
                self._connections.drop(self._connection, "sent requests without waiting for their answers")
                return
            self._connections.log_once_a_minute("request_malformed", self._connection.address, "no HTTP/1.1")
            self._refuse("Invalid HTTP request received.")
        else:
            if self._reading_head and self._head_bytes > self._connections.limits.head_bytes:
                self._connections.drop(self._connection, "sent a head that is too long")

    def _refuse(self, why: str) -> None:
        """Answer what is no request, and read no further. Behind requests that are not answered yet the connection ends
        after their answers: another one would be taken for theirs, and an event that is stored for refused."""
        self._ended = True
        if self._unanswered:
            self._forget_unfinished()
        elif not self.transport.is_closing():
            self.send_400_response(why)

    def _forget_unfinished(self) -> None:
        """Of what waits behind another request, the one that will never be whole."""
        if self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()

    def pause_writing(self) -> None:
        self._connection.unread = time.monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._connection.unread = None
        super().resume_writing()

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
        self._head_bytes, self._reading, self._reading_head = 0, True, True
        self._connection.began, self._connection.head_done = time.monotonic(), False
        self._connection.discarded = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._reading_head:  # what follows a body is no header (RFC 9110, 6.5.1), and would be kept without a bound
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._reading_head = False
        if len(self.pipeline) >= self._connections.limits.pipelined:
            self._flooding = True
            raise _TooManyAtOnce
        if self.parser.should_upgrade():
            self._connecting = self.parser.get_method() == b"CONNECT"
            self._upgrading = not self._connecting
            return
        if self.parser.get_http_version() == "1.0":
            # nginx before 1.29.7 asks so unless told otherwise, leaves no header and names this machine as the Host:
            # nothing else tells such a proxy from a program on this machine (contract.http_access.is_local).
            self.headers.append((b"via", b"1.0 unknown"))
        self._connection.head_done = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._upgrading or self._connecting:
            return
        super().on_body(body)
        if self.cycle.response_complete:
            self._connection.discarded += len(body)
            if self._connection.discarded > self._connections.limits.discarded:
                self._connections.drop(self._connection, "went on sending a body that had been refused")

    def on_message_complete(self) -> None:
        if self._upgrading or self._connecting:
            return
        self._reading = False
        self._unanswered += not self.cycle.response_complete
        self._tell()
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self._unanswered -= not (self._running and self._running.more_body)
        self._connection.served = True
        self._tell()
        super().on_response_complete()
        if self._ended and not self._unanswered:
            self.transport.close()

    def _tell(self) -> None:
        """How far it is, for the limits: while a whole request is not answered it is the service that is slow."""
        self._connection.answering = self._unanswered > 0
        if not self._reading:
            self._connection.began, self._connection.head_done = None, False


class HttpListener(uvicorn.Server):
    """A uvicorn server on sockets of the caller's, which are bound and not listening yet."""

    def __init__(self, config: uvicorn.Config, limits: ListenerLimits, trusted: Sequence[Network] = ()) -> None:
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
            connection = HttpConnection(str(peer[0]), accepted, now, now)
            if self.open_connections.admit(connection):
                self._keep(self._open(connection))
            else:
                accepted.close()

    async def _open(self, connection: HttpConnection) -> None:
        """The handshake, where there is one, and then the protocol's."""
        loop = asyncio.get_running_loop()
        accepted = connection.socket
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        secured = {"ssl": self.config.ssl, "ssl_handshake_timeout": self._limits.handshake} if self.config.ssl else {}
        try:
            await loop.connect_accepted_socket(lambda: self._protocol(connection), accepted, **secured)  # type: ignore[arg-type]
        except OSError as error:  # ssl.SSLError and TimeoutError are such
            self.open_connections.log_once_a_minute("handshake_failed", connection.address, str(error)[:100])
        except BaseException:
            self.open_connections.release(connection)
            accepted.close()
            raise
        else:
            return
        self.open_connections.release(connection)
        accepted.close()

    def _protocol(self, connection: HttpConnection) -> _Protocol:
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
