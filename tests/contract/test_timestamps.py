"""Instants: what is read, how it is written, and that it is cut and never rounded."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import timestamps
from contract.errors import Rejected


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31t12:00:00z", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31 12:00:00", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31T12:00:00", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31 12:00:00 Z", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31T12:00:00 Z", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31 12:00:00 +02:00", "2026-01-31T10:00:00.000Z"),
        ("2026-01-31T12:00:00 +02:00", "2026-01-31T10:00:00.000Z"),
        ("2026-01-31T12:00:00+05:30", "2026-01-31T06:30:00.000Z"),
        ("2026-01-31T12:00:00+0530", "2026-01-31T06:30:00.000Z"),
        ("2026-01-31T12:00:00-08", "2026-01-31T20:00:00.000Z"),
        ("2026-01-31T12:00:00-00:00", "2026-01-31T12:00:00.000Z"),
        ("2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00.000Z"),
        ("2026-01-31T12:00Z", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.500Z"),
        ("2026-01-31T12:00:00,5Z", "2026-01-31T12:00:00.500Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
    ],
)
def test_what_is_read(text: str, instant: str) -> None:
    assert timestamps.parse(text, "t") == instant


@pytest.mark.parametrize("fraction", ["0009", "0009999", "000999999999"])
def test_a_fraction_is_cut_not_rounded(fraction: str) -> None:
    assert timestamps.parse(f"2026-01-31T23:59:59.{fraction}Z", "t") == "2026-01-31T23:59:59.000Z"
    assert timestamps.parse("2026-01-31T23:59:59.9999999Z", "t") == "2026-01-31T23:59:59.999Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "today",
        "2026-01-31",
        "2026-02-30T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-06-30T23:58:60Z",  # a leap second: no clock of ours has one, and the next would be the same instant
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+05:60",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "0000-01-01T00:00:00Z",
        "12026-01-31T12:00:00Z",
        "2026-1-31T12:00:00Z",
        "20260131T120000Z",
        "2026-W05-6T12:00:00Z",
        "2026-01-31T12:00:00Z\n",
        " 2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00 UTC",
        "2026-01-31T12:00:00.Z",
        "٢٠٢٦-01-31T12:00:00Z",
        "1769860800",
    ],
)
def test_what_is_no_time_is_rejected_by_field(text: str) -> None:
    with pytest.raises(Rejected, match="RFC 3339") as caught:
        timestamps.parse(text, "gps.time")
    assert caught.value.field == "gps.time"


@pytest.mark.parametrize("value", [None, 1769860800, 1769860800.5, True, ["2026-01-31T12:00:00Z"], {}])
def test_a_time_is_text(value: object) -> None:
    with pytest.raises(Rejected, match="must be a time"):
        timestamps.parse(value, "t")


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_milliseconds_and_back(milliseconds: int) -> None:
    """From the year 1 to 9999, before 1970 too."""
    instant = timestamps.from_ms(milliseconds)
    assert timestamps.to_ms(instant) == milliseconds
    assert timestamps.parse(instant, "t") == instant
    assert timestamps.from_datetime(timestamps.to_datetime(instant)) == instant


@given(st.integers(0, 253_402_300_799_999), st.integers(0, 253_402_300_799_999))
def test_instants_sort_as_text(left: int, right: int) -> None:
    assert (left < right) == (timestamps.from_ms(left) < timestamps.from_ms(right))


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(9000, 1, 1)),  # noqa: DTZ001 - zones are drawn
    st.integers(-23 * 60, 23 * 60),
)
def test_an_offset_is_taken_off(moment: datetime, minutes: int) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    expected = zoned.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    assert timestamps.parse(zoned.isoformat(), "t") == expected


def test_a_leap_second_is_the_second_before_it() -> None:
    assert timestamps.parse("2016-12-31T23:59:60Z", "t") == "2016-12-31T23:59:59.000Z"
    assert timestamps.parse("2016-12-31T18:59:60.5-05:00", "t") == "2016-12-31T23:59:59.500Z"
