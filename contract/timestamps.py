"""Points in time as the wire writes them: RFC 3339, UTC, cut to milliseconds, `2026-11-21T01:51:07.123Z`.

Written so, instants sort as text; every room keeps them as such strings and turns them into numbers at its edge.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache

from contract.errors import Rejected

_FORM = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d([.,]\d{1,12})?)? ?([Zz]|[+-]\d\d(:?[0-5]\d)?)?", re.ASCII)
_OURS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
EARLIEST = "2000-01-01T00:00:00.000Z"


def from_datetime(moment: datetime) -> str:
    """The instant of an aware datetime.

    Args:
        moment: with a zone, whichever.

    Returns:
        RFC 3339, UTC, cut (not rounded) to milliseconds.
    """
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


@lru_cache(maxsize=256)  # the limits of one arrival are asked for once a record
def from_ms(milliseconds: int) -> str:
    """The instant of Unix milliseconds.

    Args:
        milliseconds: since 1970, UTC.

    Returns:
        RFC 3339, UTC.
    """
    return from_datetime(
        datetime.fromtimestamp(milliseconds // 1000, UTC).replace(microsecond=milliseconds % 1000 * 1000)
    )


def to_ms(instant: str) -> int:
    """Unix milliseconds of an instant.

    Args:
        instant: in this module's form; of `parse` where a stranger wrote it.

    Returns:
        Milliseconds since 1970, UTC.
    """
    whole = int(datetime.fromisoformat(instant[:19] + "+00:00").timestamp())
    return whole * 1000 + int(instant[20:23])


def to_datetime(instant: str) -> datetime:
    """The datetime of an instant.

    Args:
        instant: in this module's form.

    Returns:
        Aware, in UTC.
    """
    return datetime.fromisoformat(instant)


def parse(text: object, field: str) -> str:
    """The instant that an RFC 3339 text means.

    Args:
        text: a space for the T is allowed, and no zone means UTC; a leap second, 23:59:60, is the second before it.
        field: what the error names.

    Returns:
        The instant in this module's form, cut to milliseconds.

    Raises:
        Rejected: anything else, naming `field`.
    """
    if not isinstance(text, str):
        raise Rejected(field, f"must be a time as RFC 3339 text such as 2026-01-31T12:00:00.000Z, not {text!r:.40}")
    try:
        if _OURS.fullmatch(text):
            datetime.fromisoformat(text)
            return text
        if not _FORM.fullmatch(text):
            raise ValueError
        plain = f"{text[:10]}T{text[11:].replace(' ', '')}".upper().replace(",", ".")
        if plain[13:19] == ":59:60":  # a leap second is taken for the one before it, which Python knows
            plain = f"{plain[:17]}59{plain[19:]}"
        moment = datetime.fromisoformat(plain)
        return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise Rejected(field, f"{text!r:.60} is not a time: use RFC 3339 such as 2026-01-31T12:00:00.000Z") from None
