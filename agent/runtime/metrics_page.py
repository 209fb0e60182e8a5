"""`agent run --metrics 127.0.0.1:9101`: how this agent does, as a page in Prometheus' text format (version 0.0.4).

A thread answers each request with the figures that the agent's own thread left last, so that asking costs the agent
nothing and sees one moment. Only addresses of this machine: whoever wants it elsewhere puts a proxy in front.
"""

import socket
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from logging import getLogger

from contract.errors import Misconfigured

log = getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = 10.0

FIGURES: dict[str, tuple[str, str]] = {
    "milepost_agent_samples_total": ("counter", "Samples stored since the start."),
    "milepost_agent_samples_sent_total": ("counter", "Samples that the broker acknowledged."),
    "milepost_agent_samples_refused_total": ("counter", "Samples that the broker refused; they are kept."),
    "milepost_agent_samples_never_stored_total": (
        "counter",
        "Samples of this process that found no place on the disk.",
    ),
    "milepost_agent_samples_held": ("gauge", "Samples in memory because the disk refuses them."),
    "milepost_agent_samples_pending": ("gauge", "Samples in the buffer that are not sent yet."),
    "milepost_agent_samples_retained": ("gauge", "Samples in the buffer that were sent."),
    "milepost_agent_samples_waiting": ("gauge", "Pending samples that wait for a time that can be trusted."),
    "milepost_agent_last_sample_seconds": ("gauge", "Unix time of the last tick."),
    "milepost_agent_connected": ("gauge", "1 while the broker is connected."),
    "milepost_agent_connections_total": ("counter", "Connections made since the start."),
    "milepost_agent_messages_total": ("counter", "Messages of samples sent."),
    "milepost_agent_last_refusal_code": ("gauge", "MQTT reason code of the broker's last refusal, 0 without one."),
    "milepost_agent_last_refusal_seconds": ("gauge", "Unix time of that refusal, 0 without one."),
    "milepost_agent_clock_trusted": ("gauge", "1 while GPS, NTP or the cloud vouches for the time."),
    "milepost_agent_disk_free_bytes": ("gauge", "Room on the disk of the buffer."),
}
"""Every figure: its name, kind and meaning."""


class MetricsPage:
    """The page. address: HOST:PORT of this machine; port 0 takes a free one, see `port`.

    Raises Misconfigured for another machine's address, one that is no address, or one that is taken.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        hint = f"--metrics {address!r}: give an address of this machine, such as 127.0.0.1:9101"
        try:
            local = ip_address(host.strip("[]")).is_loopback and 0 <= int(port) < 65_536
        except ValueError:
            raise Misconfigured(hint) from None
        if not local:
            raise Misconfigured(hint)
        self._text = b""
        page = self

        class Handler(BaseHTTPRequestHandler):
            """One request."""

            timeout = _SECONDS

            def do_GET(self) -> None:
                """The page, or 404."""
                found = self.path in ("/", "/metrics")
                body = page._text if found else b"the figures are at /metrics\n"
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", CONTENT_TYPE)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Requests are not logged."""

        server = type("Server", (ThreadingHTTPServer,), {"address_family": _family(host)})
        try:
            self._server: ThreadingHTTPServer = server((host.strip("[]"), int(port)), Handler)
        except OSError as error:
            raise Misconfigured(f"--metrics {address}: {error.strerror or error}; take another port") from None
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()
        log.info("metrics_served url=http://%s:%d/metrics", host, self.port)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def show(self, figures: Mapping[str, float]) -> None:
        """The figures from now on, by the names of FIGURES; from any thread."""
        self._text = render(figures)

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


def render(figures: Mapping[str, float]) -> bytes:
    """The page's text."""
    lines = []
    for name, value in figures.items():
        kind, meaning = FIGURES[name]
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}", f"{name} {value:.15g}"]
    return ("\n".join(lines) + "\n").encode()


def _family(host: str) -> int:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
