"""One line of gpsd's JSON, as it is and as it should not be."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sensors.gpsd.report import GpsReport, parse
from agent.sensors.gpsd.sensor import MAX_LINE, Lines

TPV = {
    "class": "TPV",
    "device": "/dev/ttyACM0",
    "mode": 3,
    "time": "2026-11-21T10:00:00.250Z",
    "lat": 52.1,
    "lon": 5.2,
    "altHAE": 60.5,
    "altMSL": 15.5,
    "alt": 15.5,
    "speed": 10.0,
}


def report(**changed: object) -> GpsReport | None:
    return parse(json.dumps(TPV | changed).encode())


def test_a_report_in_the_units_of_the_wire() -> None:
    time = datetime(2026, 11, 21, 10, 0, 0, 250_000, tzinfo=UTC)
    assert report() == GpsReport("/dev/ttyACM0", 3, time, 52.1, 5.2, 15.5, 36.0)


def test_the_first_reports_of_a_fix_lack_speed_and_time() -> None:
    """As gpsd 3.22 printed it for gp-320fw-2019-04-06-overflow.log."""
    line = b'{"class":"TPV","mode":2,"lat":48.149961667,"lon":11.584666667,"magvar":3.3}'
    assert parse(line) == GpsReport("", 2, None, 48.149961667, 11.584666667, None, None)


def test_the_height_above_the_ellipsoid_is_no_altitude() -> None:
    found = parse(b'{"class":"TPV","mode":3,"altHAE":510.6}')
    assert found is not None
    assert found.altitude is None


@pytest.mark.parametrize("mode", [-1, 4, 99, "3", True, None, 2.0, 2.5])
def test_a_mode_that_gpsd_does_not_have_is_no_fix(mode: object) -> None:
    found = report(mode=mode)
    assert found is not None
    assert found.mode == 0


def test_a_simulated_fix_is_no_fix() -> None:
    found = report(status=8)
    assert found is not None
    assert found.mode == 0


@pytest.mark.parametrize("value", [True, "52.1", None, [], {}, 10**400])
def test_what_is_no_number_is_nothing(value: object) -> None:
    found = report(lat=value, speed=value)
    assert found is not None
    assert (found.latitude, found.speed) == (None, None)


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_what_is_not_finite_is_nothing(literal: bytes) -> None:
    found = parse(b'{"class":"TPV","mode":2,"lat":%s,"lon":5}' % literal)
    assert found is not None
    assert found.latitude is None


@pytest.mark.parametrize(
    "time", ["", "2026", "2026-13-01T00:00:00Z", "2026-11-21T10:00:00", "0000-00-00T00:00:00Z", 1.5, None, "Z"]
)
def test_a_time_that_is_none_is_nothing(time: object) -> None:
    found = report(time=time)
    assert found is not None
    assert found.time is None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\r",
        b"$GPRMC,1,A*00",
        b"[]",
        b"1",
        b'"TPV"',
        b"{",
        b'{"class":"SKY"}',
        b'{"class":["TPV"]}',
        b"[" * 100_000,
    ],
)
def test_every_other_line_is_none(line: bytes) -> None:
    assert parse(line) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["device", "mode", "time", "lat", "lon", "alt", "altMSL", "speed", "status", "class"])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_raising(line: bytes) -> None:
    parse(line)


@given(st.dictionaries(FIELDS, JSON))
def test_any_object_is_read_without_raising(fields: dict[str, object]) -> None:
    found = parse(json.dumps({"class": "TPV", **fields}).encode())
    assert found is None or found.mode in (0, 1, 2, 3)


@given(st.lists(st.binary(max_size=50).filter(lambda line: b"\n" not in line), max_size=20), st.integers(1, 40))
def test_lines_are_cut_right_however_they_arrive(lines: list[bytes], size: int) -> None:
    stream, cutter = b"".join(line + b"\n" for line in lines), Lines()
    found = [line for at in range(0, len(stream), size) for line in cutter.feed(stream[at : at + size])]
    assert found == lines


def test_a_line_without_end_is_passed_over_and_holds_no_memory() -> None:
    cutter = Lines()
    for _ in range(100):
        assert cutter.feed(b"x" * 16_384) == []
        assert len(cutter._rest) <= MAX_LINE
    assert cutter.feed(b"x\nnext\n") == [b"next"]
