"""The connection to gpsd: a stand-in that says what it is told to, and hangs up."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.sensors import Reading
from agent.sensors.gpsd import sensor as module
from agent.sensors.gpsd.receiver import LATITUDE, LEAVES, SPEED
from agent.sensors.gpsd.sensor import GpsdSensor
from agent.sensors.merge import merge
from contract.telemetry import Telemetry
from tests.agent.sensors.gpsd.daemon import Server
from tests.processes import free_port
from tests.waiting import until


def now() -> datetime:
    return datetime.now(UTC)


def tpv(**fields: object) -> bytes:
    return json.dumps({"class": "TPV", "device": "gps", "mode": 3, "lat": 52.1, "lon": 5.2, **fields}).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.close()


@pytest.fixture
def make() -> Iterator[Callable[..., GpsdSensor]]:
    made: list[GpsdSensor] = []

    def make_one(port: int, **settings: object) -> GpsdSensor:
        made.append(GpsdSensor(f"127.0.0.1:{port}", interval=60, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield make_one
    for each in made:
        each.close()


def test_before_a_report_nothing_is_available(server: Server, make: Callable[..., GpsdSensor]) -> None:
    sensor = make(server.port)
    until(lambda: server.watches)
    assert sensor.read(now()) == Reading({}, dict.fromkeys(LEAVES, "not_available"))


def test_what_is_reported_is_read(server: Server, make: Callable[..., GpsdSensor]) -> None:
    server.lines = [tpv(speed=10.0, altMSL=5.0)]
    sensor = make(server.port)
    until(lambda: sensor.read(now()).values.get(SPEED) == 36.0)
    document, quality = merge([sensor.read(now())])
    Telemetry.model_validate({"truck_id": "t1", "quality": quality, **document})


def test_garbage_between_reports_does_no_harm(server: Server, make: Callable[..., GpsdSensor]) -> None:
    server.lines = [b"\xff\xfe", b"{" * 5000, b"x" * 200_000, b'{"class":"ERROR","message":"?"}', b"[]", tpv()]
    sensor = make(server.port)
    until(lambda: sensor.read(now()).values.get(LATITUDE) == 52.1)


def test_a_gpsd_that_hangs_up_is_asked_again(server: Server, make: Callable[..., GpsdSensor]) -> None:
    server.lines = [tpv()]
    sensor = make(server.port)
    for life in range(1, 4):
        until(lambda life=life: server.watches == life)
        until(lambda: LATITUDE in sensor.read(now()).values)
        server.hang_up()


def test_without_gpsd_everything_is_an_error_until_it_is_there(make: Callable[..., GpsdSensor]) -> None:
    port = free_port()
    sensor = make(port)
    until(lambda: sensor.read(now()) == Reading({}, dict.fromkeys(LEAVES, "error")))
    late = Server([tpv()], port=port)
    until(lambda: LATITUDE in sensor.read(now()).values)
    late.close()


def test_a_gpsd_that_is_silent_is_probed_and_given_up(
    server: Server, make: Callable[..., GpsdSensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUIET", 0.2)
    monkeypatch.setattr(module, "_POLL", 0.05)
    make(server.port)
    until(lambda: server.watches >= 2)


def test_of_two_receivers_the_one_with_a_fix_is_taken_and_kept(server: Server, make: Callable[..., GpsdSensor]) -> None:
    sensor = make(server.port)
    until(lambda: server.watches)
    server.say(tpv(device="b", mode=1), tpv(device="a"), tpv(device="b", mode=1))
    until(lambda: sensor.read(now()).values.get(LATITUDE) == 52.1)
    server.say(tpv(device="b", lat=52.2))
    until(lambda: len(sensor._receivers) == 2)
    assert sensor.read(now()).values[LATITUDE] == 52.1
    server.say(tpv(device="a", mode=1))
    until(lambda: sensor.read(now()).values.get(LATITUDE) == 52.2)


def test_however_many_receivers_there_seem_to_be_few_are_kept(server: Server, make: Callable[..., GpsdSensor]) -> None:
    server.lines = [tpv(device=f"gps{number}") for number in range(1000)] + [tpv(device="last", lat=1.0)]
    sensor = make(server.port)
    until(lambda: "last" in sensor._receivers)
    assert len(sensor._receivers) <= module.MAX_RECEIVERS


def test_a_date_that_the_clock_backs_comes_with_the_reading(server: Server, make: Callable[..., GpsdSensor]) -> None:
    """Reports four times a second, each dated now, for as long as it takes to be believed."""
    sensor = make(server.port)
    until(lambda: server.watches)
    stop = threading.Event()

    def drive() -> None:
        while not stop.wait(0.25):
            server.say(tpv(time=now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")))

    thread = threading.Thread(target=drive)
    thread.start()
    try:
        assert sensor.read(now()).time is None
        until(lambda: sensor.read(now()).time is not None)
        found = sensor.read(now()).time
        assert found is not None
        assert abs(found - now()) < timedelta(seconds=1)
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("name", ["haicom-305N", "tn200", "mtk-3301", "gp-320fw-2019-04-06-overflow", "bt451"])
def test_a_recorded_log_brings_no_date_through_the_socket(
    recording: Callable[[str], Path], server: Server, make: Callable[..., GpsdSensor], name: str
) -> None:
    """All of gpsd's output at once, the raw sentences between the reports included."""
    server.lines = [*recording(f"gps/gpsd/{name}.log.chk").read_bytes().splitlines(), tpv(device="end", mode=1)]
    sensor = make(server.port)
    end = time.monotonic() + 90
    while "end" not in sensor._receivers and time.monotonic() < end:
        assert sensor.read(now()).time is None
    assert sensor.read(now()).time is None


def test_a_fix_of_an_hour_ago_is_no_position_and_no_distance(server: Server, make: Callable[..., GpsdSensor]) -> None:
    old = (now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    server.lines = [tpv(speed=20.0, time=old), tpv(speed=20.0, time=old)]
    sensor = make(server.port)
    until(lambda: sensor.heard is not None)
    until(lambda: server.watches)
    reading = sensor.read(now())
    assert (dict(reading.values), reading.interval) == ({}, None)
    server.say(tpv(speed=20.0, time=(now() - timedelta(minutes=59)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")))
    until(lambda: sensor.read(now()).values.get(SPEED) == 72.0)
