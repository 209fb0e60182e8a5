"""A span of each day in a time zone, such as 22:00-05:00 in Europe/Berlin."""

import re
from datetime import UTC, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator


def _is_a_span(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError('must be a span of the day such as "22:00-06:00"')
    return text


def _is_a_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("must be a time zone such as Europe/Berlin") from None
    return name


Span = Annotated[str, AfterValidator(_is_a_span)]
"""`HH:MM-HH:MM`, the end not included; it goes over midnight where the end is the smaller one."""

ZoneName = Annotated[str, AfterValidator(_is_a_zone)]
"""A name of the IANA time zone database."""


def end_of_span(span: str, zone: str, ms: int) -> int | None:
    """When the span that an instant lies in is over.

    Args:
        span: see `Span`.
        zone: see `ZoneName`.
        ms: the instant, Unix ms.

    Returns:
        Unix ms; None where the instant lies in no such span.
    """
    begin, end = (time.fromisoformat(each) for each in span.split("-"))
    here = datetime.fromtimestamp(ms / 1000, UTC).astimezone(ZoneInfo(zone))
    clock = here.time()
    if not (begin <= clock < end if begin <= end else (clock >= begin or clock < end)):
        return None
    over = here.replace(hour=end.hour, minute=end.minute, second=0, microsecond=0)
    if over <= here:
        over += timedelta(days=1)
    return round(over.astimezone(UTC).timestamp() * 1000)
