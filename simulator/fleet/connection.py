"""One truck's socket in the event loop: TCP, TLS with the truck's own certificate, MQTT's packets in and out.

Nothing here waits. The loop calls `ready` when the socket can be read or written, and reads `wanted` to know for what
to wait. A connection that ends says so once, by ConnectionLost.
"""

import errno
import select
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from contract.errors import Misconfigured
from simulator.fleet import mqtt5

_CHUNK = 65_536


class ConnectionLost(Exception):
    """The connection ended; the message says why."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker listens. address: resolved once for the whole fleet. identities: the folder that
    `provision import --to DIR --make-keys` filled, None for a broker without TLS."""

    host: str
    address: tuple[str, int]
    family: int
    identities: Path | None

    def context(self, truck_id: str) -> ssl.SSLContext | None:
        """The truck's own TLS context. Raises Misconfigured where its identity is missing or damaged."""
        if self.identities is None:
            return None
        folder = self.identities / truck_id / "identity"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(folder / "ca.pem")
            context.load_cert_chain(folder / "current" / "certificate.pem", folder / "current" / "key.pem")
        except OSError as error:
            raise Misconfigured(
                f"--identities {self.identities}: no identity of {truck_id} ({error}): make them with "
                "`milepost provision import FILE.csv --to DIR --make-keys`"
            ) from None
        return context


class TruckConnection:
    """An open way to the broker, from the first TCP packet on."""

    __slots__ = ("_context", "_host", "_in", "_out", "_shaken", "_socket", "_want_write", "fd")

    def __init__(self, broker: Broker, context: ssl.SSLContext | None) -> None:
        try:
            raw = socket.socket(broker.family, socket.SOCK_STREAM)
        except OSError as error:  # no descriptor is left
            raise ConnectionLost(error.strerror or str(error)) from None
        raw.setblocking(False)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begun = raw.connect_ex(broker.address)
        if begun not in (0, errno.EINPROGRESS):
            raw.close()
            raise ConnectionLost(errno.errorcode.get(begun, str(begun)))
        self._socket: socket.socket = raw
        self._context, self._host = context, broker.host
        self._shaken = False
        self._want_write = True
        self._in, self._out = bytearray(), bytearray()
        self.fd = self._socket.fileno()

    @property
    def wanted(self) -> int:
        """What epoll should wait for."""
        return select.EPOLLIN | (select.EPOLLOUT if self._want_write or (self._out and self._shaken) else 0)

    def send(self, data: bytes) -> None:
        """Put bytes on their way; they go out as the socket takes them."""
        self._out += data

    def ready(self) -> Iterator[mqtt5.Packet]:
        """Do what the socket can do now; the packets that came. Raises ConnectionLost."""
        try:
            if not self._shaken and not self._shake():
                return
            self.flush()
            while self._receive():
                yield from mqtt5.packets(self._in)
        except (OSError, ValueError) as error:
            raise ConnectionLost(str(error) or type(error).__name__) from None

    def flush(self) -> None:
        """Write what the socket takes. Raises ConnectionLost."""
        if not self._shaken:
            return
        self._want_write = False
        try:
            while self._out:
                del self._out[: self._socket.send(memoryview(self._out)[:_CHUNK].tobytes())]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            self._want_write = True
        except OSError as error:
            raise ConnectionLost(str(error) or type(error).__name__) from None

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def _shake(self) -> bool:
        """TCP's and TLS's beginning; whether it is done."""
        problem = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if problem:
            raise ConnectionLost(errno.errorcode.get(problem, str(problem)))
        try:
            self._socket.getpeername()
        except OSError:  # not connected as yet
            self._want_write = True
            return False
        if self._context is not None:
            self._socket = self._secured(self._context)
            self._context = None
        if isinstance(self._socket, ssl.SSLSocket):
            try:
                self._socket.do_handshake()
            except ssl.SSLWantReadError:
                self._want_write = False
                return False
            except ssl.SSLWantWriteError:
                self._want_write = True
                return False
        self._shaken = True
        return True

    def _secured(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """Only once TCP has connected: wrapping a socket that connects just then raises EAGAIN (CPython's ssl asks for
        the peer, then reads)."""
        return context.wrap_socket(self._socket, server_hostname=self._host, do_handshake_on_connect=False)

    def _receive(self) -> bool:
        """Read once; False where nothing is there. Raises ConnectionLost at the end."""
        try:
            data = self._socket.recv(_CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        if not data:
            raise ConnectionLost("the broker closed the connection")
        self._in += data
        return True
