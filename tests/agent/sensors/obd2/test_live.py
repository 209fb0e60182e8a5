"""A van's bus: what is asked, how often, and what comes of the answers."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from agent.sensors.can_frame import Frame
from agent.sensors.obd2.asker import REST, SILENCE, SPACING, TRIES, Asker
from agent.sensors.obd2.decoder import Obd2Decoder
from agent.sensors.obd2.pids import PIDS
from agent.sensors.obd2.sensor import Obd2Sensor
from tests.waiting import until

can = pytest.importorskip("can", reason="python-can is not installed: pip install 'milepost[agent-can]'")

NOW = datetime(2030, 1, 1, tzinfo=UTC)
RPM = "engine_diagnostics.engine_rpm"
HAS = {
    0x00: "BE3FA813",
    0x20: "A007B011",
    0x40: "FED00400",
    0x05: "7B",
    0x0C: "1AF8",
    0x0D: "32",
    0x2F: "80",
    0x33: "65",
    0x42: "2F6C",
}
"""What the unit at the other end answers; by its bitmaps it also has 46, which it then does not answer."""


def answer(pid: int) -> bytes:
    return bytes((len(HAS[pid]) // 2 + 2, 0x41, pid)) + bytes.fromhex(HAS[pid])


def ask_for(seconds: float, *, unit: Callable[[int], bytes | None], step: float = 0.02) -> list[tuple[float, int]]:
    """(when, which) of all mode 01 questions to a unit that answers at once by 11 bits."""
    decoder = Obd2Decoder()
    asker = Asker(decoder)
    asked, now = [], 0.0
    while now < seconds:
        frame = asker.next(now)
        if frame is not None and frame.data[1] == 1:
            assert (frame.data[0], len(frame.data)) == (2, 8)
            assert (frame.can_id, frame.extended) in ((0x7DF, False), (0x18DB33F1, True))
            assert decoder.answered is None or not frame.extended
            asked.append((now, frame.data[2]))
            data = unit(frame.data[2])
            if data is not None and not frame.extended:
                decoder.feed(now, Frame(0x7E8, data, extended=False))
        now += step
    return asked


def van(pid: int) -> bytes | None:
    return answer(pid) if pid in HAS else None


def test_questions_are_never_closer_than_their_spacing() -> None:
    times = [now for now, _ in ask_for(60, unit=van)]
    assert min(b - a for a, b in pairwise(times)) >= SPACING - 1e-9


def test_each_parameter_is_asked_at_its_period() -> None:
    counts = Counter(pid for _, pid in ask_for(60, unit=van))
    for pid in (0x05, 0x0C, 0x0D, 0x2F, 0x33, 0x42, 0x46):
        assert 60 / PIDS[pid].period - 6 <= counts[pid] <= 60 / PIDS[pid].period + 1, hex(pid)


def test_only_what_units_have_is_asked_for() -> None:
    asked = {pid for _, pid in ask_for(60, unit=van)}
    assert asked == {0x00, 0x20, 0x40, 0x01, 0x05, 0x0C, 0x0D, 0x2F, 0x33, 0x42, 0x46}


def test_what_a_unit_has_is_asked_before_anything_else() -> None:
    assert [pid for _, pid in ask_for(1, unit=van)][:3] == [0x00, 0x20, 0x40]


def test_a_unit_that_does_not_say_what_else_it_has_is_still_asked_for_the_rest() -> None:
    asked = Counter(pid for _, pid in ask_for(60, unit=lambda pid: van(pid) if pid < 0x20 else None))
    assert asked[0x20] == TRIES
    assert asked[0x0C] > 50


def test_a_parked_van_is_left_to_sleep() -> None:
    asked = [now for now, _ in ask_for(10 * REST, unit=lambda pid: None)]
    assert len([now for now in asked if now > SILENCE]) <= 10


def test_a_van_that_wakes_up_is_asked_again() -> None:
    awake = [False]
    decoder = Obd2Decoder()
    asker = Asker(decoder)
    asked = []
    for tick in range(2000):
        now = tick / 10
        awake[0] = now > 100
        frame = asker.next(now)
        if frame is not None:
            asked.append(now)
            if awake[0] and not frame.extended and frame.data[1] == 1 and frame.data[2] in HAS:
                decoder.feed(now, Frame(0x7E8, answer(frame.data[2]), extended=False))
    assert len([now for now in asked if 140 < now < 150]) > 20


@pytest.fixture
def bus(request: pytest.FixtureRequest) -> Iterator[Any]:
    one = can.Bus(request.node.name, "virtual", ignore_config=True)
    yield one
    one.shutdown()


@pytest.fixture
def unit(bus: Any) -> Iterator[list[int]]:
    """A control unit on the bus; the list is what it was asked."""
    asked: list[int] = []
    stop = Event()

    def run() -> None:
        while not stop.is_set():
            message = bus.recv(0.05)
            if message is None or message.arbitration_id != 0x7DF or message.data[1] != 1:
                continue
            asked.append(message.data[2])
            if message.data[2] in HAS:
                bus.send(can.Message(arbitration_id=0x7E8, data=answer(message.data[2]), is_extended_id=False))

    thread = Thread(target=run)
    thread.start()
    yield asked
    stop.set()
    thread.join()


def test_a_van_that_is_asked_answers(unit: list[int], request: pytest.FixtureRequest) -> None:
    sensor = Obd2Sensor(f"virtual:{request.node.name}", interval=60)
    try:
        until(lambda: len(sensor.read(NOW).values) == 6)
        assert sensor.read(NOW).values[RPM] == 1726.0
    finally:
        sensor.close()


def test_a_sensor_told_not_to_ask_only_listens(unit: list[int], bus: Any, request: pytest.FixtureRequest) -> None:
    sensor = Obd2Sensor(f"virtual:{request.node.name}?ask=no", interval=60)
    try:
        until(lambda: len(can.interfaces.virtual.channels[request.node.name]) == 2)
        bus.send(can.Message(arbitration_id=0x7E8, data=answer(0x0C), is_extended_id=False))
        until(lambda: sensor.read(NOW).values == {RPM: 1726.0})
        time.sleep(0.3)
        assert unit == []
    finally:
        sensor.close()


def test_a_recorded_drive_plays_by_its_address(recording: Callable[[str], Path]) -> None:
    path = recording("obd2/css_car_3BA199E2_0164_part1.log.gz")
    sensor = Obd2Sensor(f"capture:{path}?speed=100", interval=60)
    try:
        until(lambda: len(sensor.read(NOW).values) == 6)
    finally:
        sensor.close()
