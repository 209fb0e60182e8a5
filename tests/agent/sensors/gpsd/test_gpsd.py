"""Debian's gpsd for real, fed by gpsfake with recorded receivers: no wrong position, no wrong date in any sample."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from agent.sampling.sampler import Sampler, Taken
from agent.sensors.gpsd.receiver import LATITUDE, LONGITUDE
from agent.sensors.gpsd.sensor import GpsdSensor
from agent.timing.clock import SystemClock
from tests.agent.sensors.gpsd.daemon import GPSFAKE, WHY, Gpsfake
from tests.processes import free_port
from tests.waiting import until

pytestmark = pytest.mark.skipif(GPSFAKE is None, reason=WHY)

SECONDS = 4.0
LOGS = {
    "bu303-nofix": "never has a fix",
    "tn200": "no fix, two days of January 2020",
    "mtk-3301": "from January 1980 to 2008 in one log; gpsd makes it 2028",
    "haicom-305N": "of April 2007; gpsd makes it November 2026",
    "bt451": "of 2009; gpsd makes it 2029",
    "gp-320fw-2019-04-06-overflow": "around the roll-over of 2019",
    "bu303-climbing": "SiRF binary of 2005",
}
NO_FIX = {"bu303-nofix", "tn200"}


@pytest.fixture(scope="module")
def samples(recording: Callable[[str], Path]) -> dict[str, list[Taken]]:
    """Ten samples a second of each log, all at once, each from a gpsd of its own."""
    fakes = {name: Gpsfake(recording(f"gps/gpsd/{name}.log")) for name in LOGS}
    sensors = {name: GpsdSensor(f"127.0.0.1:{fake.port}", interval=1) for name, fake in fakes.items()}
    samplers = {name: Sampler("t1", [sensor], SystemClock()) for name, sensor in sensors.items()}
    taken: dict[str, list[Taken]] = {name: [] for name in LOGS}
    try:
        until(lambda: not [fakes[name].urge() for name, sensor in sensors.items() if not sensor._receivers])
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for name, sampler in samplers.items():
                taken[name].append(sampler.sample())
            time.sleep(0.1)
    finally:
        for closing in (*sensors.values(), *fakes.values()):
            closing.close()
    return taken


def position(sample: Taken) -> tuple[float, float] | None:
    place: Any = sample.document["gps_location"]
    return None if place["latitude"] is None else (place["latitude"], place["longitude"])


@pytest.mark.parametrize("name", LOGS)
def test_no_sample_is_dated_by_a_recording(samples: dict[str, list[Taken]], name: str) -> None:
    """Nor before 2000, nor a day ahead, nor in 2029: no log's date reaches the timekeeper at all."""
    assert [sample.fix for sample in samples[name] if sample.fix is not None] == []
    assert len(samples[name]) > 10


@pytest.mark.parametrize("name", sorted(NO_FIX))
def test_without_a_fix_no_sample_has_a_position(samples: dict[str, list[Taken]], name: str) -> None:
    for sample in samples[name]:
        assert set(sample.document["gps_location"].values()) == {None}
        assert sample.document["quality"]["gps_location"] == "not_available"


@pytest.mark.parametrize("name", sorted(LOGS.keys() - NO_FIX))
def test_every_position_is_near_what_gpsd_prints_for_the_log(
    recording: Callable[[str], Path], samples: dict[str, list[Taken]], name: str
) -> None:
    lines = [
        json.loads(line) for line in recording(f"gps/gpsd/{name}.log.chk").read_bytes().splitlines() if line[:1] == b"{"
    ]
    known = [(line["lat"], line["lon"]) for line in lines if line["class"] == "TPV" and "lat" in line]
    found = [place for sample in samples[name] if (place := position(sample)) is not None]
    assert found
    for latitude, longitude in found:
        assert any(abs(latitude - a) < 1e-4 and abs(longitude - b) < 1e-4 for a, b in known)


def nmea(body: str) -> str:
    return f"${body}*{reduce(lambda total, char: total ^ ord(char), body, 0):02X}\r\n"


def drive(start: datetime, seconds: int) -> Iterator[str]:
    """A receiver that has a fix and the right date, three sentences a second."""
    for second in range(seconds):
        at = start + timedelta(seconds=second)
        clock = f"{at:%H%M%S}.00"
        yield nmea(f"GPRMC,{clock},A,5206.0000,N,00512.0000,E,019.4,090.0,{at:%d%m%y},,,A")
        yield nmea("GPGSA,A,3,01,02,03,04,05,06,07,08,,,,,1.5,1.0,1.1")
        yield nmea(f"GPGGA,{clock},5206.0000,N,00512.0000,E,1,08,1.0,15.5,M,46.0,M,,")


def test_a_receiver_with_the_right_date_dates_the_samples(tmp_path: Path) -> None:
    log = tmp_path / "now.log"
    log.write_text("".join(drive(datetime.now(UTC).replace(microsecond=0), 60)))
    fake = Gpsfake(log, pause=1 / 3)
    sensor = GpsdSensor(f"127.0.0.1:{fake.port}", interval=1)
    sampler = Sampler("t1", [sensor], SystemClock())
    try:
        until(lambda: sampler.sample().fix is not None)
        sample = sampler.sample()
        assert sample.fix is not None
        assert abs(sample.fix - datetime.now(UTC)) < timedelta(seconds=30)
        assert sample.document["gps_location"] == {"latitude": 52.1, "longitude": 5.2, "altitude": 15.5, "speed": 35.93}
    finally:
        sensor.close()
        fake.close()


def test_a_gpsd_that_is_killed_and_started_again_is_found_again(
    recording: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.sensors.device_thread.LONGEST_WAIT", 0.5)
    log, port = recording("gps/gpsd/bu303-climbing.log"), free_port()
    sensor = GpsdSensor(f"127.0.0.1:{port}", interval=1)
    try:
        for _ in range(2):
            fake = Gpsfake(log, port=port)
            try:
                until(lambda: {LATITUDE, LONGITUDE} <= sensor.read(datetime.now(UTC)).values.keys())
            finally:
                fake.close()
            until(lambda: sensor._link.failing)
    finally:
        sensor.close()
