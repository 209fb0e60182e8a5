"""Where trucks reach one box: what `init` was asked for, and what it remembered."""

import ipaddress
import re
from dataclasses import dataclass

from contract.errors import Misconfigured

_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Site:
    """One box. host: by which trucks know it. listen: the address that its two ports are opened on."""

    host: str = "127.0.0.1"
    listen: str = "127.0.0.1"
    mqtt_port: int = 8883
    https_port: int = 8443

    @property
    def broker(self) -> str:
        """The URL of its MQTT listener."""
        return f"mqtts://{_bracketed(self.host)}:{self.mqtt_port}"

    @property
    def url(self) -> str:
        """The URL of its enrollment server."""
        return f"https://{_bracketed(self.host)}:{self.https_port}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What `init` was asked for; None and () for what is to stay as it is.

    hosts: names and addresses by which trucks reach this machine, the first is told to them. clock_is_right: a clock
    that cannot be right was confirmed. ca_key_uri: of a key in a PKCS #11 token that a new CA is to have. replace_ca:
    make a new CA in place of what is there, although every truck must then enroll anew.
    """

    hosts: tuple[str, ...] = ()
    listen: str | None = None
    mqtt_port: int | None = None
    https_port: int | None = None
    clock_is_right: bool = False
    ca_key_uri: str | None = None
    replace_ca: bool = False

    def over(self, before: Site) -> Site:
        """The site that is wished for, over the one of before. Misconfigured: two ports are one, or a name is none."""
        host = self.hosts[0] if self.hosts else before.host
        usual = listen_for(host) if self.hosts else before.listen
        address = usual if self.listen is None else self.listen
        for option, name in (*(("--host", each) for each in self.hosts), ("--listen", address)):
            if not _is_name(name):
                raise Misconfigured(
                    f"{option} {name!r:.80}: give a host name or an IP address, without port and scheme"
                )
        site = Site(host, address, self.mqtt_port or before.mqtt_port, self.https_port or before.https_port)
        if site.mqtt_port == site.https_port:
            raise Misconfigured(f"--mqtt-port and --https-port are both {site.mqtt_port}: give another for one of them")
        return site


def listen_for(host: str) -> str:
    """The address to open ports on: the loopback interface for a box that serves only itself, else all."""
    return "127.0.0.1" if host in _LOOPBACK else "0.0.0.0"


def _is_name(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return _NAME.fullmatch(text) is not None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
