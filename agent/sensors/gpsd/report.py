"""One line of gpsd's JSON → a position report (TPV), or None. Pure; never raises, whatever the bytes."""

import json
import math
from datetime import UTC, datetime
from typing import NamedTuple

SIMULATED = 8
"""TPV status: a simulator, not the sky."""

_LONGEST_DEVICE = 128


class GpsReport(NamedTuple):
    """What one TPV says. mode: 0 unknown, 1 no fix, 2 position, 3 altitude too.

    In degrees, m above sea level, km/h; error: m; course: degrees from north.
    """

    device: str
    mode: int
    time: datetime | None
    latitude: float | None
    longitude: float | None
    altitude: float | None
    speed: float | None
    error: float | None = None
    course: float | None = None


def parse(line: bytes) -> GpsReport | None:
    """The report in a line; None for every other class of object, and for what is no JSON object at all."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("class") != "TPV":
        return None
    mode = found.get("mode")
    if isinstance(mode, bool) or not isinstance(mode, int) or not 0 <= mode <= 3 or found.get("status") == SIMULATED:
        mode = 0
    speed = _number(found.get("speed"))
    altitude = _number(found.get("altMSL"))
    return GpsReport(
        device=str(found.get("device", ""))[:_LONGEST_DEVICE],
        mode=mode,
        time=_time(found.get("time")),
        latitude=_number(found.get("lat")),
        longitude=_number(found.get("lon")),
        altitude=_number(found.get("alt")) if altitude is None else altitude,  # before protocol 3.14 it was `alt`
        speed=None if speed is None else speed * 3.6,
        error=_error(found),
        course=_number(found.get("track")),
    )


def _error(found: dict[str, object]) -> float | None:
    """The largest horizontal error that is said, m (95 %)."""
    said = [number for name in ("eph", "epx", "epy") if (number := _number(found.get(name))) is not None]
    return max(said, default=None)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _time(value: object) -> datetime | None:
    if not isinstance(value, str) or not value.endswith("Z"):
        return None
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
