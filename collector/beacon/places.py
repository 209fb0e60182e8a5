"""Which country and region an address lies in, by a database file of the operator's own (`[beacon] geoip`)."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import maxminddb

from contract.errors import Misconfigured
from contract.file_stamp import file_stamp

log = logging.getLogger(__name__)

_LOOK_SECONDS = 10.0
_UNREADABLE = (OSError, ValueError, maxminddb.InvalidDatabaseError)


class Region(NamedTuple):
    """country: ISO 3166-1, two letters. region: ISO 3166-2 without the country, None where the file has none."""

    country: str
    region: str | None


class Places:
    """An open MaxMind DB file (GeoLite2, DB-IP, IPinfo); read anew within 10 seconds when it is replaced.

    Args:
        file: an .mmdb file.
        clock: seconds, never backwards.

    Raises:
        Misconfigured: the file cannot be read.
    """

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = file, clock
        try:
            self._open()
        except _UNREADABLE as error:
            raise Misconfigured(f"[beacon] geoip = {str(file)!r} cannot be read as a MaxMind DB: {error}") from None

    def find(self, address: str) -> Region | None:
        """The place of an IPv4 or IPv6 address; None where the file does not know it."""
        self._renew()
        try:
            found: Any = self._reader.get(address)
        except ValueError:  # no address, or an IPv6 one in a file of IPv4
            return None
        country = (found or {}).get("country")
        code = country.get("iso_code") if isinstance(country, dict) else country or (found or {}).get("country_code")
        if not isinstance(code, str):
            return None
        parts = found.get("subdivisions") or [{}]
        return Region(code, parts[0].get("iso_code") or (parts[0].get("names") or {}).get("en"))

    def _open(self) -> None:
        self._stamp = file_stamp(self._file)
        self._reader = maxminddb.open_database(str(self._file))
        self._looked_at = self._clock()

    def _renew(self) -> None:
        if self._clock() - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = self._clock()
        try:
            if file_stamp(self._file) != self._stamp:
                before = self._reader
                self._open()
                before.close()
        except _UNREADABLE as error:  # half written: the old one serves on
            log.warning("geoip_not_renewed file=%s reason=%s", self._file, error)
