"""An HTTP door of this process: the bounded listener on a thread of its own, over a socket that is bound beforehand."""

import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import uvicorn

from contract.errors import Misconfigured, Unreachable
from contract.http_access import Network
from contract.http_connections import limits_for
from contract.http_listener import HttpListener
from contract.refusal_log import RefusalLog

_START_SECONDS = 10.0
_STOP_SECONDS = 5.0
_DOORS = 2  # HTTP's and enrollment's share what descriptors this process has


class HttpService:
    """Serves one ASGI application by HTTP/1.1, or by HTTPS of TLS 1.2 and newer.

    Args:
        app: the application.
        bound: a socket of `bind`, which it closes.
        name: of the thread.
        certificate: PEM files, certificate with its chain and private key; None for HTTP.
        trusted: networks of proxies, which the bound on connections per address leaves out.

    Raises:
        OSError, ssl.SSLError: the certificate cannot be used; the socket is closed.
    """

    def __init__(
        self,
        app: Any,
        bound: socket.socket,
        *,
        name: str,
        certificate: tuple[Path, Path] | None = None,
        trusted: Sequence[Network] = (),
    ) -> None:
        self._socket, self._name, self._certificate = bound, name, certificate
        self._config = uvicorn.Config(
            RefusalLog(app, trusted),
            access_log=False,
            log_level="warning",
            lifespan="off",
            ws="none",
            proxy_headers=False,  # contract.http_access reads them, of proxies that are trusted
            server_header=False,
            timeout_graceful_shutdown=2,
            ssl_certfile=str(certificate[0]) if certificate else None,
            ssl_keyfile=str(certificate[1]) if certificate else None,
        )
        try:
            self._config.load()
        except (OSError, ssl.SSLError):
            bound.close()
            raise
        if self._config.ssl:
            self._config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        self._server = HttpListener(self._config, limits_for(_DOORS), trusted)
        self._thread = threading.Thread(target=self._server.run, args=([bound],), name=name, daemon=True)

    def start(self) -> None:
        """Returns when it answers. Unreachable where it does not come up."""
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise Unreachable(f"the {self._name} server did not start: see the log above")
            time.sleep(0.01)

    def figures(self) -> Mapping[str, int]:
        """Its connections, as contract.http_listener.Connections counts them.

        Returns:
            Name → count since the start, or now; for /metrics.
        """
        return self._server.open_connections.figures()

    def load_certificate(self) -> None:
        """Take the certificate's files of now for connections to come; what is open stays. Errors as for the class."""
        if self._config.ssl and self._certificate:
            self._config.ssl.load_cert_chain(*self._certificate)

    def stop(self) -> None:
        """Finish open requests (two seconds at most) and end."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        self._socket.close()


def bind(host: str, port: int, remedy: str) -> socket.socket:
    """A socket that nobody else can take any more, and that does not listen yet; port 0 takes a free one.

    Args:
        host: name or address to listen on.
        port: 0 takes a free one.
        remedy: what the user should do where it fails; ends the message.

    Returns:
        The bound socket; the caller closes it.

    Raises:
        Misconfigured: it cannot be had; ends in the remedy.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise Misconfigured(f"{host}:{port} cannot be used ({error}): {remedy}") from None
    return bound
