"""What of a receiver's reports is true at a moment; and all of gpsd's own regression logs, second by second."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.sensors import Reading
from agent.sensors.gpsd.receiver import ALTITUDE, LATITUDE, LEAVES, LIMIT, LONGITUDE, SPEED, GpsReceiver
from agent.sensors.gpsd.report import GpsReport, parse
from agent.timing.trusted_time import EARLIEST

TRUTH = datetime(2026, 11, 21, 10, tzinfo=UTC)
UNSET = datetime(1970, 1, 1, 0, 2, tzinfo=UTC)
PARKED = GpsReport("gps", 3, TRUTH, 52.1, 5.2, 15.5, 36.0)
FIX = {LATITUDE: 52.1, LONGITUDE: 5.2, ALTITUDE: 15.5, SPEED: 36.0}


def receiver(*reports: GpsReport, step: float = 0.0) -> GpsReceiver:
    one = GpsReceiver()
    for number, report in enumerate(reports):
        one.add_report(number * step, report)
    return one


def test_a_fix_with_altitude_gives_all_four() -> None:
    assert receiver(PARKED).snapshot(0) == (FIX, {})


def test_a_flat_fix_gives_no_altitude() -> None:
    values, quality = receiver(PARKED, PARKED._replace(mode=2)).snapshot(0)
    assert (set(values), quality) == ({LATITUDE, LONGITUDE, SPEED}, {ALTITUDE: "not_available"})


@pytest.mark.parametrize("mode", [0, 1])
def test_without_a_fix_there_is_no_position_at_once(mode: int) -> None:
    assert receiver(PARKED, PARKED._replace(mode=mode)).snapshot(0) == ({}, dict.fromkeys(LEAVES, "not_available"))


def test_a_report_without_speed_keeps_the_one_before_until_it_is_stale() -> None:
    one = receiver(PARKED)
    for second in range(1, 8):
        one.add_report(second, at(second)._replace(speed=None))
    assert SPEED in one.snapshot(LIMIT)[0]
    assert one.snapshot(7)[1] == {SPEED: "stale"}


def test_a_receiver_that_falls_silent_is_stale() -> None:
    assert receiver(PARKED).snapshot(LIMIT)[0] == FIX
    assert receiver(PARKED).snapshot(LIMIT + 0.1) == ({}, dict.fromkeys(LEAVES, "stale"))


def test_half_a_position_is_none() -> None:
    values, quality = receiver(PARKED._replace(latitude=None)).snapshot(0)
    assert (LONGITUDE in values, quality) == (False, {LATITUDE: "not_available", LONGITUDE: "not_available"})


@pytest.mark.parametrize("place", [(0.0, 0.0), (90.1, 5.0), (52.0, -180.1)])
def test_a_place_that_cannot_be_is_implausible(place: tuple[float, float]) -> None:
    _, quality = receiver(PARKED._replace(latitude=place[0], longitude=place[1])).snapshot(0)
    assert quality == {LATITUDE: "implausible", LONGITUDE: "implausible"}


def test_a_leap_across_the_country_is_implausible_until_it_stays() -> None:
    one, seen = receiver(PARKED), []
    one.snapshot(0)
    for second in range(1, 100):
        one.add_report(second, at(second)._replace(latitude=48.0))
        seen.append(one.snapshot(second)[1].get(LATITUDE))
    assert set(seen[:60]) == {"implausible"}
    assert seen[61:] == [None] * len(seen[61:])


LOGS = [
    "GPSmap-76S",
    "ait250",
    "beidou-bd",
    "blumax-gps009",
    "bt451",
    "bu303-climbing",
    "bu303-nofix",
    "bu353-glonass",
    "bundg_zeus_9",
    "ch-4711",
    "et-332",
    "garmin-geko201",
    "gp-320fw-2019-04-06-overflow",
    "haicom-305N",
    "isync",
    "mt3339",
    "mtk-3301",
    "neo-m8n",
    "nl551e",
    "sirfstarv-nmea",
    "skytraq",
    "sl869",
    "telit-he910",
    "tn200",
    "tr737A+",
    "venus634lp",
]
NO_FIX = {"bu303-nofix", "skytraq", "tn200", "GPSmap-76S"}
"""The last was switched to its simulator mode: gpsd gives it status 8."""


def reports(path: Path) -> Iterator[GpsReport]:
    for line in path.read_bytes().splitlines():
        report = parse(line)
        if report is not None:
            yield report


def played(path: Path, clock: datetime, *, laps: int = 3, earliest: datetime = EARLIEST) -> Iterator[Reading]:
    """A log round and round as gpsfake does it, at the very pace of its own times: the most credible it can be."""
    one, now, before = GpsReceiver(earliest=earliest), 0.0, None
    for _ in range(laps):
        for report in reports(path):
            if report.time is not None:
                step = (report.time - before).total_seconds() if before else 0.0
                now, before = now + (step if 0 < step < 10 else 0.001), report.time
            one.add_report(now, report)
            time = one.trust.time(now, clock + timedelta(seconds=now), synchronised=False) if one.fixed(now) else None
            yield Reading(*one.snapshot(now), time)


@pytest.mark.parametrize("clock", [UNSET, TRUTH, TRUTH + 30 * timedelta(days=1)], ids=["unset", "right", "a month on"])
@pytest.mark.parametrize("name", LOGS)
def test_no_recorded_date_is_ever_believed(recording: Callable[[str], Path], name: str, clock: datetime) -> None:
    """All are old; gpsd moved those before 2017 by 1,024 weeks, to 2026 (one to tomorrow) up to 2035."""
    path = recording(f"gps/gpsd/{name}.log.chk")
    assert [reading.time for reading in played(path, clock) if reading.time is not None] == []


@pytest.mark.parametrize("name", LOGS)
def test_every_position_is_one_that_was_reported_with_a_fix(recording: Callable[[str], Path], name: str) -> None:
    path = recording(f"gps/gpsd/{name}.log.chk")
    lines = [json.loads(line) for line in path.read_bytes().splitlines() if line.startswith(b'{"class":"TPV"')]
    known = {(round(line["lat"], 7), round(line["lon"], 7)) for line in lines if line["mode"] >= 2 and "lat" in line}
    found = {
        (reading.values[LATITUDE], reading.values[LONGITUDE])
        for reading in played(path, TRUTH)
        if LATITUDE in reading.values
    }
    assert found <= known
    assert bool(found) == (name not in NO_FIX)


@pytest.mark.parametrize("name", ["sirfstarv-nmea", "bundg_zeus_9", "haicom-305N"])
def test_an_honest_receiver_is_believed_in_its_own_time(recording: Callable[[str], Path], name: str) -> None:
    """The same logs where the machine's clock is that of the recording: dated, to the second."""
    path = recording(f"gps/gpsd/{name}.log.chk")
    start = next(report.time for report in reports(path) if report.time is not None)
    earliest = start - timedelta(days=1)
    readings = [*played(path, start, laps=1, earliest=earliest)]
    dated = [reading.time for reading in readings if reading.time is not None]
    assert len(dated) > len(readings) / 2
    assert all(timedelta(0) <= time - start < timedelta(seconds=200) for time in dated)


def at(second: float) -> GpsReport:
    """PARKED, so many seconds later."""
    assert PARKED.time is not None
    return PARKED._replace(time=PARKED.time + timedelta(seconds=second))


def test_a_fix_that_is_repeated_ages_from_when_it_was_first_heard() -> None:
    one = receiver(PARKED)
    for second in range(1, 10):
        one.add_report(second, PARKED)
    assert set(one.snapshot(9)[1].values()) == {"stale"}


def test_without_a_time_a_place_that_stands_while_the_truck_moves_is_an_old_one() -> None:
    moving = PARKED._replace(time=None, speed=47.0)
    one = receiver(moving)
    for second in range(1, 10):
        one.add_report(second, moving)
    assert one.snapshot(9)[1][LATITUDE] == "stale"


@pytest.mark.parametrize("error", [5000.0, 120_000.0])
def test_a_place_that_may_be_kilometres_off_is_implausible(error: float) -> None:
    one = receiver(PARKED._replace(error=error))
    values, quality = one.snapshot(0)
    assert LATITUDE not in values
    assert quality[LATITUDE] == "implausible"


def test_the_first_fix_of_another_time_is_believed_once_that_time_moves() -> None:
    """A receiver whose weeks rolled over is right about the place; one that is stuck since an hour says the same."""
    one = GpsReceiver()
    assert [one.add_report(second, PARKED, timely=False) for second in range(3)] == [False] * 3
    assert one.snapshot(2) == ({}, dict.fromkeys(LEAVES, "not_available"))
    assert one.add_report(3, at(3), timely=False)
    assert one.snapshot(3)[0] == FIX


def test_a_fix_that_is_only_repeated_is_none_of_now() -> None:
    one = receiver(PARKED)
    assert one.add_report(LIMIT, PARKED)
    assert not one.add_report(LIMIT + 0.1, PARKED)
    assert one.add_report(LIMIT + 1, at(LIMIT + 1))
