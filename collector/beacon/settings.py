"""The `[beacon]` table of milepost.toml."""

import re
import secrets
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from contract.errors import Misconfigured
from contract.settings import RoomSettings
from contract.topics import ID

SHORTEST_KEY = 8
_ALIAS = re.compile(r"(?!/(?:v1|api)(?:/|$))(?:/[A-Za-z0-9_-]{1,64}){1,8}")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+")


class BeaconSettings(RoomSettings):
    """telemetry_keys: key → the truck_id that it vouches for; empty: this machine may post for any truck.

    sites: origins ("https://shop.example") whose pages may send clicks; empty: any. site_keys: key → site, for servers
    that send clicks without a browser where `sites` is set. rate, burst: requests a second and at once that one address
    may make to the click doors (2 KB of a body count as one more, an event as 100 bytes at least; this machine itself
    is not limited).
    quota_mb_per_day: of clicks in all; over it only addresses go on that have sent under a thousandth of it, up to
    twice the quota. free_mb: below it on the data directory's disk clicks are refused, so that what
    is left serves the trucks' telemetry. dead_letter_days, dead_letter_mb: how long refused clicks are kept, and how
    much of them (`milepost up`). click_days: how long counted events are kept (`milepost up` on one machine); None: for
    ever, since their ids are what makes a repeat a duplicate. What was counted of dropped events stays, and events of
    their time are refused from then on. identity_secret: the key of the identities that are given to events without an
    id and a time; `milepost up` keeps one in its data directory, and functions of one shop share one.

    cookie_days: how long the server's own cookie `milepost_id` lives, by which a browser is known again whose page's
    storage was cleared (395 are 13 months; browsers allow 400); 0: none is set.
    alias: a path such as "/assets/shop": beacon.js is also served as `/assets/shop.js` and then posts to
    `/assets/shop`, since block lists know the ordinary names. geoip: a MaxMind DB file (GeoLite2, DB-IP) by which an
    address gets country and region. country_headers: a CDN's headers with the country; believed of
    `[http] trusted_proxies` only.
    """

    telemetry_keys: dict[str, str] = Field(default_factory=dict)
    sites: tuple[str, ...] = ()
    site_keys: dict[str, str] = Field(default_factory=dict)
    rate: Annotated[float, Field(gt=0)] = 20.0
    burst: Annotated[float, Field(ge=1)] = 1000.0
    quota_mb_per_day: Annotated[float, Field(gt=0)] = 5000.0
    free_mb: Annotated[float, Field(ge=0)] = 500.0
    dead_letter_days: Annotated[float, Field(gt=0)] = 90.0
    dead_letter_mb: Annotated[float, Field(gt=0)] = 200.0
    click_days: Annotated[int, Field(ge=1)] | None = None

    identity_secret: str = ""
    cookie_days: Annotated[int, Field(ge=0, le=400)] = 0
    alias: str = ""
    geoip: Path | None = None
    country_headers: tuple[str, ...] = ("cloudfront-viewer-country", "cf-ipcountry", "x-vercel-ip-country")

    def closed(self) -> "BeaconSettings":
        """The same, but where there are no keys nobody may post telemetry, instead of anyone.

        Returns:
            These settings, in which telemetry without configured keys is refused.
        """
        if self.telemetry_keys:
            return self
        return self.model_copy(update={"telemetry_keys": {secrets.token_hex(32): "nobody"}})

    @property
    def public_paths(self) -> frozenset[str]:
        """What everybody may reach besides the ordinary paths: the alias' script and endpoint."""
        return frozenset({self.alias, f"{self.alias}.js"}) if self.alias else frozenset()

    @field_validator("alias")
    @classmethod
    def _is_path(cls, alias: str) -> str:
        if alias and not _ALIAS.fullmatch(alias):
            raise ValueError(
                f"{alias[:80]!r} must be a path such as /assets/shop, of A-Z a-z 0-9 _ - / and not under /v1"
            )
        return alias

    @field_validator("sites")
    @classmethod
    def _are_origins(cls, sites: tuple[str, ...]) -> tuple[str, ...]:
        for site in sites:
            if not _ORIGIN.fullmatch(site):
                raise ValueError(f"{site[:80]!r} must be an origin without a path, such as https://shop.example")
        return sites

    @field_validator("site_keys", mode="before")
    @classmethod
    def _are_site_keys(cls, keys: Any) -> Any:
        """Raises Misconfigured itself: pydantic's own errors would print the keys, which are secrets."""
        return _checked(keys, "site_keys", "site")

    @field_validator("telemetry_keys", mode="before")
    @classmethod
    def _known_trucks(cls, keys: Any) -> Any:
        """Raises Misconfigured itself, as for `site_keys`."""
        for number, truck_id in enumerate(_checked(keys, "telemetry_keys", "truck_id").values(), start=1):
            if not isinstance(truck_id, str) or not ID.fullmatch(truck_id):
                raise Misconfigured(
                    f"[beacon] telemetry_keys: the truck_id of key {number} must be 1 to 64 of A-Z a-z 0-9 _ -"
                )
        return keys


def _checked(keys: Any, table: str, value: str) -> dict[Any, Any]:
    if not isinstance(keys, dict):
        raise Misconfigured(f"[beacon] {table} must be a table of key = {value}")
    for number, key in enumerate(keys, start=1):
        if not isinstance(key, str) or not key or not key.isascii() or not key.isprintable() or " " in key:
            raise Misconfigured(f"[beacon] {table}: key {number} must be printable ASCII without spaces")
        if len(key) < SHORTEST_KEY:
            raise Misconfigured(
                f"[beacon] {table}: key {number} has fewer than {SHORTEST_KEY} characters and could be guessed: "
                "make one by `openssl rand -hex 32`"
            )
    return keys
