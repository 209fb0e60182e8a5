"""parse_time and time_to_epoch. Page: iot-sql-functions."""

from datetime import UTC, datetime, timedelta

from iot_rules.errors import TooMuch
from iot_rules.sql.functions.java_time import parse_instant
from iot_rules.sql.functions.joda_time import format_time, zone_by_id
from iot_rules.sql.functions.registry import function
from iot_rules.sql.scope import Scope
from iot_rules.sql.values import UNDEFINED, Value, to_int, to_text

_MAX_PATTERN = 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@function("parse_time", 2, 3, latest_only=True)
def _parse_time(values: list[Value], scope: Scope) -> Value:
    """parse_time(pattern, ms[, time zone]): a time as text, by a Joda-Time pattern, in UTC by default.

    An unknown pattern letter or zone, or a year outside 1 to 9999, is Undefined. Page: iot-sql-function-parse-time.
    """
    pattern, milliseconds = to_text(values[0]), to_int(values[1])
    zone_id = to_text(values[2]) if len(values) > 2 else "UTC"
    if pattern is UNDEFINED or milliseconds is UNDEFINED or zone_id is UNDEFINED:
        return UNDEFINED
    _require_short("parse_time", pattern)
    zone = zone_by_id(zone_id)
    if zone is None:
        return UNDEFINED
    try:
        moment = (_EPOCH + timedelta(milliseconds=milliseconds)).astimezone(zone)
    except (OverflowError, ValueError):
        return UNDEFINED
    text = format_time(pattern, moment, zone_id)
    return UNDEFINED if text is None else text


@function("time_to_epoch", 2, 2, latest_only=True)
def _time_to_epoch(values: list[Value], scope: Scope) -> Value:
    """time_to_epoch(text, pattern): ms since 1970, by a java.time pattern, in UTC if the text has no zone.

    Text that does not fit the pattern is Undefined. Page: iot-sql-function-time-to-epoch.
    """
    text, pattern = to_text(values[0]), to_text(values[1])
    if text is UNDEFINED or pattern is UNDEFINED:
        return UNDEFINED
    _require_short("time_to_epoch", pattern)
    milliseconds = parse_instant(text, pattern)
    return UNDEFINED if milliseconds is None else milliseconds


def _require_short(name: str, pattern: str) -> None:
    if len(pattern) > _MAX_PATTERN:
        raise TooMuch(f"{name}() with a pattern of more than {_MAX_PATTERN:,} characters: write a shorter one")
