"""The HTTPS server of enrolment: uvicorn on a thread, TLS by the registry's server certificate, one path."""

import logging
import socket
import ssl
import threading
import time
from collections.abc import Mapping

import uvicorn

from contract.errors import Misconfigured, Unreachable
from contract.http_listener import HttpListener, limits_for
from provisioning.enrollment.asgi import EnrolmentApp
from provisioning.enrollment.service import Enrolment
from provisioning.registry.sqlite import LocalRegistry

log = logging.getLogger(__name__)

_START_SECONDS = 10.0
_DOORS = 2  # this one, and the door of HTTP


class EnrolmentServer:
    """Serves `POST /v1/enroll`; `port` 0 takes a free one. Use as a context."""

    def __init__(self, registry: LocalRegistry, enrolment: Enrolment, *, address: str, port: int) -> None:
        self._socket = _bind(address, port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            EnrolmentApp(enrolment),
            access_log=False,
            log_level="warning",
            lifespan="off",
            server_header=False,
            proxy_headers=False,  # who asks is who connects, not what a header says
            ws="none",
            timeout_keep_alive=5,
            timeout_graceful_shutdown=2,
            ssl_certfile=str(registry.folder / "server.pem"),
            ssl_keyfile=str(registry.folder / "server.key"),
        )
        config.load()
        if config.ssl:
            config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        self._server = HttpListener(config, limits_for(_DOORS))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="enrolment", daemon=True)

    def __enter__(self) -> "EnrolmentServer":
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise Unreachable("the enrolment server did not start: see the log above")
            time.sleep(0.01)
        log.info("enrolment_up port=%d", self.port)
        return self

    def figures(self) -> Mapping[str, int]:
        """Its connections, as contract.http_listener.Connections counts them."""
        return self._server.open_connections.figures()

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(5)
        self._socket.close()


def _bind(address: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((address, port))
    except OSError as error:
        bound.close()
        raise Misconfigured(
            f"{address}:{port} cannot be used for enrolment ({error}): set another by "
            "`milepost provision init --https-port`"
        ) from None
    return bound
