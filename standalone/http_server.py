"""The HTTP server of one machine: the bounded listener on a thread, on a socket that is bound before anyone is told."""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Mapping

import uvicorn
from starlette.types import ASGIApp

from contract.errors import Misconfigured, Unreachable
from contract.http_access import HttpSettings
from contract.http_listener import HttpListener, limits_for

HOST = "127.0.0.1"
_START_SECONDS = 10.0
_DOORS = 2  # this one, and enrollment's


class Web:
    """Serves one ASGI app; `port` 0 takes a free one.

    Args:
        app: the application.
        port: to listen on.
        host: address to listen on; any but a loopback address demands TLS or a trusted proxy (`[http]`).
        http: the `[http]` table.

    Raises:
        Misconfigured: the port is taken, the certificate cannot be used, or the host would be open without TLS.
    """

    def __init__(self, app: ASGIApp, port: int, *, host: str = HOST, http: HttpSettings | None = None) -> None:
        http = http or HttpSettings()
        _check_host(host, http)
        self._socket = _bind(host, port)
        scheme = "https" if http.tls_certificate else "http"
        self.url = f"{scheme}://{_written(host)}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            app,
            access_log=False,
            log_level="warning",
            lifespan="off",
            ws="none",
            proxy_headers=False,  # contract.http_access reads them, of proxies that are trusted
            server_header=False,
            timeout_graceful_shutdown=2,
            ssl_certfile=str(http.tls_certificate) if http.tls_certificate else None,
            ssl_keyfile=str(http.tls_key) if http.tls_key else None,
        )
        _load(config, self._socket)
        self._server = HttpListener(config, limits_for(_DOORS), http.networks)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="web", daemon=True)

    def start(self) -> None:
        """Returns when it answers."""
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise Unreachable(f"the HTTP server on {self.url} did not start: see the log above")
            time.sleep(0.01)

    def figures(self) -> Mapping[str, int]:
        """Its connections, as contract.http_listener.Connections counts them."""
        return self._server.open_connections.figures()

    def stop(self) -> None:
        """Finish open requests (two seconds at most) and end."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(5)
        self._socket.close()


def _load(config: uvicorn.Config, bound: socket.socket) -> None:
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        bound.close()
        raise Misconfigured(f"[http] tls_certificate and tls_key cannot be used: {error}") from None
    if config.ssl:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2


def _check_host(host: str, http: HttpSettings) -> None:
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise Misconfigured(f"--host {host!r:.60} must be an IP address of this machine, or 0.0.0.0 for all") from None
    if not loopback and not http.tls_certificate and not http.trusted_proxies:
        raise Misconfigured(
            f"--host {host} would be open to the network without encryption: set [http] tls_certificate and tls_key, "
            "or keep 127.0.0.1 and put nginx or Caddy before it (docs/security.md)"
        )


def _written(host: str) -> str:
    """In a URL that works on this machine."""
    host = {"0.0.0.0": HOST, "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def _bind(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise Misconfigured(
            f"{host}:{port} cannot be used ({error}): give another --port, or 0 for a free one"
        ) from None
    return bound
