"""The HTTP server of one machine: where it may listen, and by which certificate."""

import gc
import ipaddress
import ssl
from collections.abc import Mapping

from starlette.types import ASGIApp

from contract.errors import Misconfigured
from contract.http_access import HttpSettings
from contract.http_service import HttpService, bind

HOST = "127.0.0.1"
_GARBAGE = 20_000
"""Objects more than before at which the youngest are looked through; Python's own 700 are those of ten events."""
_REMEDY = "give another --port, or 0 for a free one"


class HttpServer:
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
        bound = bind(host, port, _REMEDY)
        scheme = "https" if http.tls_certificate else "http"
        self.url = f"{scheme}://{_written(host)}:{bound.getsockname()[1]}"
        certificate = (http.tls_certificate, http.tls_key) if http.tls_certificate and http.tls_key else None
        try:
            self._service = HttpService(app, bound, name="web", certificate=certificate, trusted=http.networks)
        except (OSError, ssl.SSLError) as error:
            raise Misconfigured(f"[http] tls_certificate and tls_key cannot be used: {error}") from None

    def start(self) -> None:
        """Returns when it answers.

        What is loaded by now stays as long as the process does: the collector of garbage, which events keep busy, need
        not look through it again and again, nor through what is under way for every few events.
        """
        self._service.start()
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GARBAGE, 10, 10)

    def figures(self) -> Mapping[str, int]:
        """Its connections; any thread may ask.

        Returns:
            As contract.http_connections.Connections counts them.
        """
        return self._service.figures()

    def stop(self) -> None:
        """Finish open requests (two seconds at most) and end."""
        self._service.stop()


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
