"""Who is asking: whether an HTTP request comes from this machine, and which address it comes from.

Every HTTP door of this project uses these two functions, so that all doors agree. They look at what the connection
and the headers say, do no I/O and keep nothing.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from pydantic import field_validator, model_validator

from contract.settings import RoomSettings

_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_PROXY_HEADERS = frozenset({b"forwarded", b"via"})

Headers = Iterable[tuple[bytes, bytes]]
"""As ASGI gives them: names in lower case."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class HttpSettings(RoomSettings):
    """The `[http]` table of milepost.toml.

    trusted_proxies: addresses or networks ("10.0.0.0/8") of proxies whose X-Forwarded-For is believed; none by
    default.
    tls_certificate, tls_key: PEM files (certificate with its chain, and private key) by which `up` serves HTTPS; both
    or neither.
    """

    trusted_proxies: tuple[str, ...] = ()
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> "HttpSettings":
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together: set both or neither")
        return self

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            ipaddress.ip_network(proxy, strict=False)
        return proxies

    @property
    def networks(self) -> tuple[Network, ...]:
        """The trusted proxies, parsed."""
        return tuple(ipaddress.ip_network(proxy, strict=False) for proxy in self.trusted_proxies)


def is_local(peer: str | None, headers: Headers) -> bool:
    """Whether a request was made by a program on this machine for itself.

    A reverse proxy on this machine connects from loopback too, and so does a page of a foreign site that has its name
    resolved to 127.0.0.1 (DNS rebinding). So a request is local only if its peer is a loopback address, no proxy
    has left a header, and its Host is this machine's own name.

    Args:
        peer: the address at the other end of the connection, None for a Unix socket or where it is not known.
        headers: the request's headers.

    Returns:
        False also where the peer is not known.
    """
    if peer is None or not _is_loopback(peer):
        return False
    hosts = []
    for name, value in headers:
        if name in _PROXY_HEADERS or name.startswith(b"x-forwarded-"):
            return False
        if name == b"host":
            hosts.append(_host_name(value.decode("latin-1")))
    return len(hosts) == 1 and hosts[0] in _LOCAL_HOSTS


def client_address(peer: str | None, headers: Headers, trusted: Sequence[Network] = ()) -> str:
    """The address to count, limit and log a request by; "" where none is known.

    Args:
        peer: the address at the other end of the connection.
        headers: the request's headers.
        trusted: networks of proxies that are believed (`HttpSettings.networks`). X-Forwarded-For is read from its
            end: the last address that no trusted proxy has is the client's. Of an untrusted peer it is ignored.

    Returns:
        A text for counting and logs; no proof of who asks.
    """
    address = peer or ""
    if not is_within(address, trusted):
        return address
    forwarded = [value for name, value in headers if name == b"x-forwarded-for"]
    for part in reversed(b",".join(forwarded).decode("latin-1").split(",")):
        claimed = part.strip()
        if not _is_address(claimed):
            break
        address = claimed
        if not is_within(address, trusted):
            break
    return address


@lru_cache(maxsize=1024)
def _host_name(host: str) -> str:
    """Of a Host header, without the port and the brackets of an IPv6 address."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


@lru_cache(maxsize=4096)
def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def _is_loopback(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


@lru_cache(maxsize=4096)
def source_of(address: str) -> str:
    """Whom an address is counted for: one subscriber has a whole /64 of IPv6, and may send each request from another.

    Args:
        address: of a peer, or any other text.

    Returns:
        The /64 of an IPv6 address, the IPv4 address that one carries, or the text as it is.
    """
    if ":" not in address or not _is_address(address):
        return address
    found = ipaddress.IPv6Address(address)
    return str(found.ipv4_mapped or ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))


def is_within(text: str, networks: Sequence[Network]) -> bool:
    """Whether a text is an address of one of these networks.

    Args:
        text: of an address; anything else is in no network.
        networks: IPv4 and IPv6, mixed.

    Returns:
        Whether one of them has it.
    """
    if not networks or not _is_address(text):
        return False
    address = ipaddress.ip_address(text)
    return any(address in network for network in networks)
