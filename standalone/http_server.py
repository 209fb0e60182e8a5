"""The box's HTTP server: uvicorn on a thread, on a socket that is bound before anyone is told of it."""

import socket
import threading
import time

import uvicorn
from starlette.applications import Starlette

from contract.errors import Misconfigured, Unreachable

HOST = "127.0.0.1"
_START_SECONDS = 10.0


class Web:
    """Serves one ASGI app on the loopback interface; `port` 0 takes a free one."""

    def __init__(self, app: Starlette, port: int) -> None:
        self._socket = _bind(port)
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            app, access_log=False, log_level="warning", lifespan="off", timeout_graceful_shutdown=2, backlog=2048
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="web", daemon=True)

    def start(self) -> None:
        """Returns when it answers."""
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise Unreachable(f"the HTTP server on {self.url} did not start: see the log above")
            time.sleep(0.01)

    def stop(self) -> None:
        """Finish open requests (two seconds at most) and end."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(5)
        self._socket.close()


def _bind(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
    except OSError as error:
        bound.close()
        raise Misconfigured(f"port {port} cannot be used ({error}): give another --port, or 0 for a free one") from None
    return bound
