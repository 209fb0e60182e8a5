"""Where a transport connects to, and as whom: the same for every implementation."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from contract.errors import Misconfigured

ALPN = "x-amzn-mqtt-ca"
"""What AWS IoT Core wants to hear on port 443, where it serves MQTT and HTTPS (ALPN, RFC 7301)."""


class Tls(NamedTuple):
    """The PEM files of one truck.

    ca: None trusts the system's authorities. certificate, key: None for a broker that does not ask who we are.
    alpn: a protocol name to offer, see ALPN.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    alpn: str | None = None

    def cannot_load(self, error: Exception) -> Misconfigured:
        """The error for files that a TLS library refuses."""
        files = ", ".join(str(path) for path in (self.ca, self.certificate, self.key) if path) or "no file given"
        return Misconfigured(f"cannot load TLS files ({files}): {error}; check [agent] ca, certificate, key")


@dataclass(frozen=True, slots=True)
class EndpointLine:
    """One truck's way to one broker; tls None is plain TCP.

    client_id: the truck's name. keepalive, connect_timeout: seconds. ack_timeout: seconds after which a connection
    whose oldest publish is unanswered counts as dead. session_expiry: seconds for which the broker keeps the
    subscriptions, and what arrives on them, after the connection ended; 0 for not at all. protocol: of MQTT.
    username, password: for a broker that asks for them; None for none.
    """

    host: str
    port: int
    client_id: str
    tls: Tls | None = None
    keepalive: int = 60
    ack_timeout: float = 30.0
    connect_timeout: float = 10.0
    session_expiry: int = 0
    protocol: Literal["5", "3.1.1"] = "5"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
