"""Two stand-ins for a receiver: a tiny server that says prepared lines, and Debian's gpsd fed by its gpsfake."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tests.processes import free_port

GPSFAKE = shutil.which("gpsfake") if shutil.which("gpsd") or Path("/usr/sbin/gpsd").exists() else None
_HANGS = 25.0
WHY = "gpsd is not installed: apt-get install -y --no-install-recommends gpsd gpsd-clients"


class Server:
    """Says its banner, waits for the WATCH, says its lines, and stays until `hang_up`. `watches` counts clients."""

    def __init__(self, lines: Iterable[bytes] = (), *, port: int = 0) -> None:
        self.lines = [*lines]
        self.watches = 0
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])
        self._clients: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def say(self, *lines: bytes) -> None:
        for client in self._clients:
            client.sendall(b"".join(line + b"\n" for line in lines))

    def hang_up(self) -> None:
        clients, self._clients = self._clients, []
        for client in clients:
            client.close()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                client.sendall(
                    b'{"class":"VERSION","release":"3.22","rev":"3.22","proto_major":3,"proto_minor":14}\r\n'
                )
                said = client.recv(1000)
                if not said:  # one who only looks who is there
                    client.close()
                    continue
                assert b"?WATCH" in said
                self._clients.append(client)
                client.sendall(b"".join(line + b"\n" for line in self.lines))
                self.watches += 1


class Gpsfake:
    """A real gpsd on its own port that reads a receiver log round and round; `pause` in seconds between sentences."""

    def __init__(self, log: Path, *, pause: float = 0.02, port: int | None = None) -> None:
        assert GPSFAKE
        self.port = port or free_port()
        self._words = [GPSFAKE, "-q", "-c", str(pause), "-P", str(self.port), str(log)]
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._started = time.monotonic()

    def urge(self) -> None:
        """Nothing is heard of it: start it anew if it has ended or hangs, as it may while many start at once."""
        if self._process.poll() is not None or time.monotonic() - self._started > _HANGS:
            self.close()
            self._start()

    def close(self) -> None:
        """Ends gpsfake and its gpsd: the process group that was made for them, and no other."""
        group = self._process.pid
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(60)
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        self._process.wait(60)
