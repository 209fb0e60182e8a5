"""Who may send clicks, and how much: sites, rate per source, quota per day, and room on the disk.

Clicks come from anybody's browser, so a stranger can always send some. These limits bound what he can cost: the shop's
own pages, other visitors and above all the trucks' telemetry keep working. Everything is counted in memory: a restart
begins anew.
"""

import hashlib
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from starlette.types import Scope

from collector.beacon.http import header
from collector.beacon.settings import BeaconSettings
from contract.http_access import Network, client_address, is_local, source_of
from contract.http_refusals import Headers, RequestRefused
from contract.source_limiter import SourceLimiter
from contract.source_log import SourceLog

log = logging.getLogger(__name__)

BYTES_PER_REQUEST = 2048
"""So many bytes of a body cost as much of a source's rate as one request."""

SMALLEST_RECORD = 100
"""Bytes that a record of a batch counts for at least: judging and storing one costs the same, however small it is."""

_SOURCE = "milepost.source"
"""Key of a request's scope: whom it is counted by, "" for this machine itself; found once."""
_DAY_SECONDS = 86_400
_SMALL_SHARE = 1 / 1000
_MOST_SHARES = 20_000
_LOOK_SECONDS = 5.0
_MEGABYTE = 1024 * 1024

FreeBytes = Callable[[], int]


def free_bytes_of(folder: Path) -> FreeBytes:
    """What is free on the disk of a folder, for users who are not root.

    Args:
        folder: any path on the file system.

    Returns:
        A function that gives the bytes free there at each call.
    """
    return lambda: shutil.disk_usage(folder).free


class Admission:
    """Judges requests of one process' click doors. Not safe for threads: use it on the event loop.

    Args:
        settings: `[beacon]`.
        trusted: proxies whose client address is believed.
        free: bytes left where the store is; None where there is no such disk (AWS).
        clock: seconds, never backwards.
    """

    def __init__(
        self,
        settings: BeaconSettings,
        trusted: Sequence[Network] = (),
        *,
        free: FreeBytes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._trusted, self._free, self._clock = settings, trusted, free, clock
        self._sites = frozenset(map(origin_of, settings.sites))
        self._keys = {hashlib.sha256(key.encode()).digest(): site for key, site in settings.site_keys.items()}
        self._rate = SourceLimiter(settings.rate, settings.burst, clock=clock)
        self._day_began, self._day_bytes = clock(), 0
        self._day_shares: dict[str, int] = {}
        self._looked_at, self._room = clock() - _LOOK_SECONDS, True
        self._told = SourceLog(log, clock)
        self.limited = self.foreign = self.over_quota = self.without_room = 0

    def figures(self) -> dict[str, int]:
        """For /healthz and /metrics: requests refused since the start, by why."""
        return {
            "limited": self.limited,
            "foreign_site": self.foreign,
            "over_quota": self.over_quota,
            "without_room": self.without_room,
        }

    def cors(self, scope: Scope) -> Headers:
        """The header by which a browser lets the page read the answer."""
        if not self._sites:
            return ((b"access-control-allow-origin", b"*"),)
        origin = header(scope, b"origin") or b""
        allowed = [(b"access-control-allow-origin", origin)] if origin.decode("latin-1") in self._sites else []
        if allowed and self._settings.cookie_days:
            allowed.append((b"access-control-allow-credentials", b"true"))
        return (*allowed, (b"vary", b"Origin"))

    def admit(self, scope: Scope, *, mail: bool = False) -> None:
        """Before the body is read.

        Args:
            scope: the request's.
            mail: whether a mail may send it, which names no site.

        Raises:
            Refused: 403 for a page of no configured site, 429 over the source's rate, 503 where clicks are over the
                day's quota or the disk is nearly full.
        """
        self._check_site(scope, mail)
        self.spend(scope, 0)
        self._check_quota(scope)
        self._check_room(scope)

    def spend(self, scope: Scope, size: int) -> None:
        """Count a request (size 0) or the bytes of its body, against its source's rate and the day's quota.

        Raises:
            Refused: 429 with Retry-After over the rate. This machine itself has none.
        """
        self._day_bytes += size
        source: str | None = scope.get(_SOURCE)
        if source is None:
            local = is_local(_peer(scope), scope["headers"])
            source = scope[_SOURCE] = "" if local else self.source(scope) or "unknown"
        self._note_share(source, size)
        if not source:
            return
        seconds = self._rate.wait(source, size / BYTES_PER_REQUEST if size else 1.0)
        if seconds:
            self.limited += 1
            self._told.tell("clicks_limited", source)
            wait = b"%d" % max(1, round(seconds + 0.5))
            raise RequestRefused(
                429, "too much from this address: send it again later", headers=[(b"retry-after", wait)]
            )

    def spend_records(self, scope: Scope, records: int, size: int) -> None:
        """Count what the records of a body cost beyond its bytes.

        Args:
            scope: the request's.
            records: how many it has.
            size: of the body in bytes, which are counted already.

        Raises:
            Refused: as for `spend`.
        """
        if records * SMALLEST_RECORD > size:
            self.spend(scope, records * SMALLEST_RECORD - size)

    def source(self, scope: Scope) -> str:
        """The address that a request is counted and logged by."""
        return client_address(_peer(scope), scope["headers"], self._trusted)

    def _check_site(self, scope: Scope, mail: bool) -> None:
        if not self._sites:
            return
        origin = (header(scope, b"origin") or header(scope, b"referer") or b"").decode("latin-1")
        if origin:
            if origin_of(origin) in self._sites:
                return
        elif mail or self._has_key(scope) or is_local(_peer(scope), scope["headers"]):
            return
        self.foreign += 1
        self._told.tell("clicks_of_foreign_site", self.source(scope), f"site={origin[:200]!r}")
        raise RequestRefused(
            403, "this page's site is not in [beacon] sites: add it there; a server sends a key of [beacon] site_keys"
        )

    def _has_key(self, scope: Scope) -> bool:
        scheme, _, key = (header(scope, b"authorization") or b"").partition(b" ")
        return scheme.lower() == b"bearer" and hashlib.sha256(key.strip()).digest() in self._keys

    def _check_quota(self, scope: Scope) -> None:
        now = self._clock()
        if now - self._day_began >= _DAY_SECONDS:
            self._day_began, self._day_bytes, self._day_shares = now, 0, {}
        quota = self._settings.quota_mb_per_day * _MEGABYTE
        if self._day_bytes > 2 * quota or (self._day_bytes > quota and self._has_had_much(scope, quota)):
            self.over_quota += 1
            self._told.tell("clicks_over_quota", self.source(scope))
            raise _later("the day's quota of clicks is used up ([beacon] quota_mb_per_day)", 3600)

    def _note_share(self, source: str, size: int) -> None:
        key = source_of(source)
        if key in self._day_shares or len(self._day_shares) < _MOST_SHARES:
            self._day_shares[key] = self._day_shares.get(key, 0) + size

    def _has_had_much(self, scope: Scope, quota: float) -> bool:
        """Over the quota those who sent little today go on: a few who use it up must not shut the shop for all. Of more
        sources than are remembered nothing is known, and they wait."""
        had = self._day_shares.get(source_of(scope[_SOURCE]))
        return had is None or had > quota * _SMALL_SHARE

    def _check_room(self, scope: Scope) -> None:
        now = self._clock()
        if self._free is not None and now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            self._room = self._free() > self._settings.free_mb * _MEGABYTE
        if not self._room:
            self.without_room += 1
            self._told.tell("clicks_without_room", self.source(scope))
            raise _later("the disk is nearly full, and what is left is kept for telemetry ([beacon] free_mb)", 60)

    def rejected(self, scope: Scope, field: str | None) -> None:
        """Log who sent an event that was rejected, and for which of its fields."""
        self._told.tell("event_rejected", self.source(scope) or "unknown", f"field={field!r}")


def origin_of(url: str) -> str:
    """`https://shop.example:8443` of an address, a Referer or an Origin; "" of what is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.scheme and parts.netloc else ""


def _peer(scope: Scope) -> str | None:
    client = scope.get("client")
    return client[0] if client else None


def _later(why: str, seconds: int) -> RequestRefused:
    return RequestRefused(503, f"{why}: send it again later", headers=[(b"retry-after", b"%d" % seconds)])
