"""A TCP proxy to a broker whose upstream is slow, or that ends a connection on a large packet."""

import contextlib
import socket
import threading
import time


class SlowLine:
    """bytes_per_second: of the upstream, None for no bound. largest: bytes of one MQTT packet that pass."""

    def __init__(self, target: int, *, bytes_per_second: float | None = None, largest: int | None = None) -> None:
        self._target, self._rate, self._largest = target, bytes_per_second, largest
        self._server = socket.socket()
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self._server.bind(("127.0.0.1", 0))
        self._server.listen(8)
        self.port: int = self._server.getsockname()[1]
        self.connections = self.up = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """No more connections."""
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                self.connections += 1
                broker = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._down, args=(broker, client), daemon=True).start()
                threading.Thread(target=self._up, args=(client, broker), daemon=True).start()

    def _down(self, broker: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := broker.recv(65536):
                client.sendall(data)
        _end(broker, client)

    def _up(self, client: socket.socket, broker: socket.socket) -> None:
        packets = _Packets()
        with contextlib.suppress(OSError):
            while data := client.recv(max(64, int(self._rate // 10)) if self._rate else 65536):
                self.up += len(data)
                if self._largest and packets.longest(data) > self._largest:
                    break
                broker.sendall(data)
                if self._rate:
                    time.sleep(len(data) / self._rate)
        _end(broker, client)


class _Packets:
    """Follows the MQTT packets of one direction by their fixed headers."""

    def __init__(self) -> None:
        self._left, self._header = 0, b""

    def longest(self, data: bytes) -> int:
        """The largest packet that began in these bytes."""
        found = 0
        while data:
            if self._left:
                passed = min(self._left, len(data))
                self._left, data = self._left - passed, data[passed:]
                continue
            self._header, data = self._header + data[:1], data[1:]
            if len(self._header) > 1 and not self._header[-1] & 0x80:
                self._left = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(self._header[1:]))
                found, self._header = max(found, self._left), b""
        return found


def _end(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
