"""Joda-Time patterns for parse_time: a moment to text, in English.

Letters as in org.joda.time.format.DateTimeFormat: G C Y x w e E y D M d a K h H k m s S z Z; 'text'; '' is a quote;
anything that is not a letter stands for itself.
"""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ZONE_NAMES = {
    "UTC": "Coordinated Universal Time", "GMT": "Greenwich Mean Time", "BST": "British Summer Time",
    "CET": "Central European Standard Time", "CEST": "Central European Summer Time",
    "EET": "Eastern European Standard Time", "EEST": "Eastern European Summer Time",
    "WET": "Western European Standard Time", "WEST": "Western European Summer Time",
    "EST": "Eastern Standard Time", "EDT": "Eastern Daylight Time", "CST": "Central Standard Time",
    "CDT": "Central Daylight Time", "MST": "Mountain Standard Time", "MDT": "Mountain Daylight Time",
    "PST": "Pacific Standard Time", "PDT": "Pacific Daylight Time", "JST": "Japan Standard Time",
    "IST": "India Standard Time", "AKST": "Alaska Standard Time", "AKDT": "Alaska Daylight Time",
    "HST": "Hawaii-Aleutian Standard Time",
}  # fmt: skip
_LONGEST = 1000


@lru_cache(maxsize=512)
def zone_by_id(zone_id: str) -> tzinfo | None:
    """A zone by its id (America/Belize, UTC, +02:00), or None if there is no such zone."""
    fixed = fixed_offset(zone_id)
    if fixed is not None:
        return timezone(fixed)
    if not zone_id or zone_id.startswith(("/", ".")) or len(zone_id) > 64 or "\x00" in zone_id:
        return None
    try:
        return ZoneInfo(zone_id)
    except (OSError, ValueError, LookupError):
        return None


def fixed_offset(text: str) -> timedelta | None:
    """+HH, +HHMM, +HH:MM, +HH:MM:SS (or -) as a difference from UTC, else None."""
    digits = text[1:].replace(":", "")
    if text[:1] not in ("+", "-") or not digits.isascii() or not digits.isdigit() or len(digits) not in (2, 4, 6):
        return None
    if ":" in text and [len(part) for part in text[1:].split(":")] != [2] * (len(digits) // 2):
        return None
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4] or 0), int(digits[4:6] or 0)
    if hours > 18 or minutes > 59 or seconds > 59:
        return None
    offset = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return -offset if text[0] == "-" else offset


def runs(pattern: str) -> list[tuple[str, int]] | None:
    """A pattern as (letter, count) runs and ("", 0)-free literals as ("'text", 0); None if a quote is open."""
    found: list[tuple[str, int]] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "'":
            literal, at = _quoted(pattern, at + 1)
            if literal is None:
                return None
            found.append(("'" + literal, 0))
        elif char.isascii() and char.isalpha():
            end = at
            while end < len(pattern) and pattern[end] == char:
                end += 1
            found.append((char, end - at))
            at = end
        else:
            found.append(("'" + char, 0))
            at += 1
    return found


def _quoted(pattern: str, at: int) -> tuple[str | None, int]:
    if pattern[at : at + 1] == "'":
        return "'", at + 1
    text = ""
    while at < len(pattern):
        if pattern[at] == "'" and pattern[at + 1 : at + 2] == "'":
            text, at = text + "'", at + 2
        elif pattern[at] == "'":
            return text, at + 1
        else:
            text, at = text + pattern[at], at + 1
    return None, at


def offset_text(moment: datetime, *, colon: bool, seconds: bool = False) -> str:
    """+hhmm or +hh:mm."""
    total = int((moment.utcoffset() or timedelta()).total_seconds())
    sign, total = ("-", -total) if total < 0 else ("+", total)
    parts = [f"{total // 3600:02}", f"{total // 60 % 60:02}"] + ([f"{total % 60:02}"] if seconds else [])
    return sign + (":" if colon else "").join(parts)


def format_time(pattern: str, moment: datetime, zone_id: str) -> str | None:
    """The moment as text, or None if the pattern is none of Joda-Time's."""
    pieces = runs(pattern)
    if pieces is None:
        return None
    out = []
    for letter, count in pieces:
        if letter.startswith("'"):
            out.append(letter[1:])
            continue
        writer = _WRITERS.get(letter)
        if writer is None or count > _LONGEST:
            return None
        out.append(writer(moment, count) if letter not in "zZ" else _zone(moment, letter, count, zone_id))
    return "".join(out)


def _zone(moment: datetime, letter: str, count: int, zone_id: str) -> str:
    if letter == "Z":
        return zone_id if count > 2 else offset_text(moment, colon=count == 2)
    name = moment.tzname() or ""
    if not name[:1].isalpha() or name.startswith("UTC"):
        return "UTC" if name == "UTC" and count < 4 else _utc_or_offset(moment, name)
    return ZONE_NAMES.get(name, name) if count >= 4 else name


def _utc_or_offset(moment: datetime, name: str) -> str:
    return ZONE_NAMES["UTC"] if name == "UTC" else offset_text(moment, colon=True)


def _number(value: Callable[[datetime], int]) -> Callable[[datetime, int], str]:
    return lambda moment, count: str(value(moment)).rjust(count, "0")


def _year(value: Callable[[datetime], int]) -> Callable[[datetime, int], str]:
    return lambda moment, count: f"{value(moment) % 100:02}" if count == 2 else str(value(moment)).rjust(count, "0")


def _month(moment: datetime, count: int) -> str:
    if count < 3:
        return str(moment.month).rjust(count, "0")
    name = MONTHS[moment.month - 1]
    return name if count > 3 else name[:3]


def _weekday(moment: datetime, count: int) -> str:
    name = DAYS[moment.weekday()]
    return name if count > 3 else name[:3]


def _fraction(moment: datetime, count: int) -> str:
    return f"{moment.microsecond // 1000:03}".ljust(count, "0")[:count]


_WRITERS: dict[str, Callable[[datetime, int], str]] = {
    "G": lambda moment, count: "AD",
    "C": _number(lambda moment: moment.year // 100),
    "Y": _year(lambda moment: moment.year),
    "y": _year(lambda moment: moment.year),
    "x": _year(lambda moment: moment.isocalendar().year),
    "w": _number(lambda moment: moment.isocalendar().week),
    "e": _number(lambda moment: moment.isoweekday()),
    "E": _weekday,
    "D": _number(lambda moment: moment.timetuple().tm_yday),
    "M": _month,
    "d": _number(lambda moment: moment.day),
    "a": lambda moment, count: "AM" if moment.hour < 12 else "PM",
    "K": _number(lambda moment: moment.hour % 12),
    "h": _number(lambda moment: moment.hour % 12 or 12),
    "H": _number(lambda moment: moment.hour),
    "k": _number(lambda moment: moment.hour or 24),
    "m": _number(lambda moment: moment.minute),
    "s": _number(lambda moment: moment.second),
    "S": _fraction,
    "z": lambda moment, count: "",
    "Z": lambda moment, count: "",
}
