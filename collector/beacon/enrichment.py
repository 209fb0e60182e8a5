"""What the door sees of whoever sends an event, and what is kept of it: device, browser, system, country, robot or not.

It goes with the item as `seen`, apart from what the producer sent: identities and dead letters stay as they were. An
event's own field wins over it. The address itself is not kept, only its network (/24, or /48 of IPv6).
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from starlette.types import Scope

from collector.beacon.places import Places
from collector.beacon.user_agents import read_user_agent
from contract.codec import Json
from contract.http_access import Network, client_address, is_within

Seen = Mapping[str, Json]

_LANGUAGE = re.compile(r"\s*([A-Za-z]{2,3})(?:[-_](?:[A-Za-z]{4}[-_])?([A-Za-z]{2}))?(?![A-Za-z0-9])")
_COUNTRY = re.compile("[A-Z]{2}")
_NO_COUNTRY = frozenset({"XX", "T1", "ZZ"})  # what CDNs say for "unknown" and for Tor


class Enrichment:
    """Looks at requests. Keeps nothing but what it has read of User-Agents.

    Args:
        geoip: a MaxMind DB file; None: none.
        country_headers: names of a CDN's headers, in lower case; believed of trusted proxies only.
        trusted: those proxies.

    Raises:
        Misconfigured: the file cannot be read.
    """

    def __init__(
        self, geoip: Path | None = None, country_headers: Sequence[str] = (), trusted: Sequence[Network] = ()
    ) -> None:
        self._places = Places(geoip) if geoip else None
        self._country_headers = tuple(name.lower().encode() for name in country_headers)
        self._trusted = trusted

    def seen(self, scope: Scope, *, image: bool = False) -> dict[str, Json]:
        """What is known of the sender of a request, without what is not known.

        Args:
            scope: the request's.
            image: it asks for the pixel, which a person's program never does.
        """
        headers: dict[bytes, bytes] = dict(scope["headers"])
        look = headers.get
        accepted = look(b"accept-language", b"")
        found = dict(_of_program(look(b"user-agent", b""), look(b"sec-ch-ua", b""), accepted, image))
        peer = (scope.get("client") or ("",))[0]
        address = client_address(peer, scope["headers"], self._trusted)
        if network := _network(address):
            found["network"] = network
        found.update(self._country(headers, peer, address, _language(accepted)[1]))
        return found

    def _country(self, headers: Mapping[bytes, bytes], peer: str, address: str, guess: str | None) -> dict[str, Json]:
        if self._country_headers and is_within(peer, self._trusted):
            for name in self._country_headers:
                code = headers.get(name, b"").decode("latin-1").strip().upper()
                if _COUNTRY.fullmatch(code) and code not in _NO_COUNTRY:
                    return {"country": code, "country_source": "cdn"}
        if self._places and (place := self._places.find(address)):
            region = {"region": place.region} if place.region else {}
            return {"country": place.country, **region, "country_source": "database"}
        return {"country": guess, "country_source": "guessed"} if guess else {}


@lru_cache(maxsize=4096)
def _of_program(user_agent: bytes, client_hint: bytes, accepted: bytes, image: bool) -> Seen:
    """What the sender's own headers say."""
    agent = read_user_agent(user_agent.decode("latin-1"))
    robot = agent.is_bot or b"HeadlessChrome" in client_hint or (image and agent.is_library)
    said = {
        "browser": agent.browser,
        "os": agent.os,
        "device_type": agent.device_type,
        "language": _language(accepted)[0],
    }
    return {"is_bot": robot, **{name: value for name, value in said.items() if value}}


@lru_cache(maxsize=1024)
def _language(accepted: bytes) -> tuple[str | None, str | None]:
    """`de-AT` and `AT` of the first language that is accepted."""
    found = _LANGUAGE.match(accepted.decode("latin-1"))
    if not found:
        return None, None
    language, region = found[1].lower(), (found[2] or "").upper()
    return (f"{language}-{region}", region) if region else (language, None)


@lru_cache(maxsize=4096)
def _network(address: str) -> str | None:
    """An address without its last part, which tells one household from another."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return str(ipaddress.ip_network(f"{parsed}/{24 if parsed.version == 4 else 48}", strict=False).network_address)
