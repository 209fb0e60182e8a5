"""Trouble codes (modes 03 and 07), the malfunction lamp, and vehicles that speak by 29 bits: on a virtual bus."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any

import pytest

from agent.sensors.can_frame import Frame
from agent.sensors.fields import LAMPS, PENDING_CODES, TROUBLE_CODES
from agent.sensors.obd2.asker import Asker
from agent.sensors.obd2.decoder import Obd2Decoder
from agent.sensors.obd2.sensor import Obd2Sensor
from agent.sensors.obd2.trouble_codes import PENDING, PERIODS, STORED, code
from tests.waiting import until

can = pytest.importorskip("can", reason="python-can is not installed: pip install 'milepost[agent-can]'")

NOW = datetime(2030, 1, 1, tzinfo=UTC)
RPM = "engine_diagnostics.engine_rpm"
ENGINE, GEARBOX = 0x7E8, 0x7E9
LAMP = LAMPS[3]


@pytest.mark.parametrize(
    ("two", "text"),
    [("0301", "P0301"), ("0420", "P0420"), ("4123", "C0123"), ("9234", "B1234"), ("C100", "U0100"), ("3FFF", "P3FFF")],
)
def test_codes_are_written_as_they_are_printed(two: str, text: str) -> None:
    assert code(bytes.fromhex(two)) == text


def _answer(decoder: Obd2Decoder, at: float, text: str, unit: int = ENGINE) -> None:
    """One single frame of a unit."""
    payload = bytes.fromhex(text)
    data = bytes((len(payload),)) + payload
    decoder.feed(at, Frame(unit, data.ljust(8, b"\0"), extended=unit > 0x7FF))


def _codes(decoder: Obd2Decoder, at: float) -> tuple[object, object]:
    values, _ = decoder.snapshot(at)
    return values.get(TROUBLE_CODES), values.get(PENDING_CODES)


def test_stored_and_pending_codes_of_all_units_are_named_and_none_is_a_measurement() -> None:
    decoder = Obd2Decoder()
    assert _codes(decoder, 0) == (None, None)
    _answer(decoder, 1, "4300")
    _answer(decoder, 1, "470104 20".replace(" ", ""))
    assert _codes(decoder, 2) == ("none", "P0420")
    _answer(decoder, 3, "43020301C100", GEARBOX)
    assert _codes(decoder, 4) == ("P0301 U0100", "P0420")


def test_a_unit_that_fell_silent_leaves_the_codes_unknown() -> None:
    """A list without its codes would say that they have gone; without any it is forgotten after an hour."""
    decoder = Obd2Decoder()
    _answer(decoder, 0, "43010301", GEARBOX)
    for at in range(0, 4000, 30):
        _answer(decoder, at, "4300")
    assert _codes(decoder, 3971)[0] is None
    decoder = Obd2Decoder()
    _answer(decoder, 0, "4300", GEARBOX)
    for at in range(0, 4000, 30):
        _answer(decoder, at, "4300")
    assert _codes(decoder, 2000)[0] is None
    assert _codes(decoder, 3971)[0] == "none"


def test_what_is_shorter_than_it_says_is_no_list() -> None:
    decoder = Obd2Decoder()
    _answer(decoder, 0, "43030301")
    _answer(decoder, 0, "43")
    assert _codes(decoder, 1) == (None, None)


def test_the_malfunction_lamp_is_on_where_any_unit_says_so() -> None:
    decoder = Obd2Decoder()
    _answer(decoder, 0, "410100076100")
    assert decoder.snapshot(1)[0][LAMP] is False
    _answer(decoder, 2, "410182076100", GEARBOX)
    assert decoder.snapshot(3)[0][LAMP] is True
    assert LAMP not in decoder.snapshot(100)[0]


def test_both_modes_are_asked_at_their_periods_once_something_answers() -> None:
    decoder = Obd2Decoder()
    asker = Asker(decoder)
    asked: dict[int, list[float]] = {STORED: [], PENDING: []}
    for tick in range(12_000):
        now = tick / 20
        frame = asker.next(now)
        if frame is None:
            continue
        if frame.data[0] == 1:
            asked[frame.data[1]].append(now)
        elif not frame.extended and now > 20:
            _answer(decoder, now, f"41{frame.data[2]:02X}00000000")
    for mode, times in asked.items():
        assert times[0] > 20, "nothing is asked for that nobody has answered before"
        assert abs(len(times) - 580 / PERIODS[mode]) <= 2


class Vehicle:
    """A control unit at the other end of a virtual bus, by 11 or 29 bits, with ten stored codes and a lit lamp.

    Its list needs several frames, which it sends only when it is told to go on. heard: what it was asked.
    """

    CODES = bytes.fromhex("030103020303030403050306030703080309030A")

    def __init__(self, channel: str, *, extended: bool) -> None:
        self._bus: Any = can.Bus(channel, "virtual", ignore_config=True)
        self._extended, self._stop = extended, Event()
        self._listens, self._answers, self._own = (
            (0x18DB33F1, 0x18DAF110, 0x18DA10F1) if extended else (0x7DF, 0x7E8, 0x7E0)
        )
        self.heard: list[tuple[int, bytes]] = []
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            message = self._bus.recv(0.05)
            if message is not None:
                self._take(message.arbitration_id, bytes(message.data))

    def _take(self, can_id: int, data: bytes) -> None:
        self.heard.append((can_id, data))
        payload = bytes((0x43, len(self.CODES) // 2)) + self.CODES
        if can_id == self._own and data[0] == 0x30:
            for number, at in enumerate(range(6, len(payload), 7), 1):
                self._say(bytes((0x20 | number,)) + payload[at : at + 7])
        elif can_id == self._listens and data[:2] == b"\x01\x03":
            self._say(bytes((0x10, len(payload))) + payload[:6])
        elif can_id == self._listens and data[:2] == b"\x01\x07":
            self._say(b"\x02\x47\x00")
        elif can_id == self._listens and data[1] == 1:
            answers = {0: "0641008010000000"[:14], 0x0C: "04410C1AF8", 1: "06410181076100"}
            if data[2] in answers:
                self._say(bytes.fromhex("06410080100000" if data[2] == 0 else answers[data[2]]))

    def _say(self, data: bytes) -> None:
        self._bus.send(
            can.Message(arbitration_id=self._answers, data=data.ljust(8, b"\0"), is_extended_id=self._extended)
        )

    def close(self) -> None:
        """Ends it."""
        self._stop.set()
        self._thread.join()
        self._bus.shutdown()


@pytest.fixture(params=[False, True], ids=["11 bits", "29 bits"])
def vehicle(request: pytest.FixtureRequest) -> Iterator[Vehicle]:
    one = Vehicle(request.node.name, extended=request.param)
    yield one
    one.close()


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Obd2Sensor]]:
    made: list[Obd2Sensor] = []

    def make(options: str = "") -> Obd2Sensor:
        made.append(Obd2Sensor(f"virtual:{request.node.name}{options}", interval=60))
        return made[-1]

    yield make
    for sensor in made:
        sensor.close()


def test_a_long_list_is_asked_for_and_told_to_go_on(vehicle: Vehicle, opened: Callable[..., Obd2Sensor]) -> None:
    sensor = opened()
    ten = " ".join(f"P03{number:02X}" for number in range(1, 11))
    until(lambda: sensor.read(NOW).values.get(TROUBLE_CODES) == ten)
    until(lambda: sensor.read(NOW).values.get(PENDING_CODES) == "none")
    until(lambda: sensor.read(NOW).values.get(LAMP) is True)
    assert sensor.read(NOW).values[RPM] == 1726.0


def test_a_sensor_told_not_to_ask_tells_nobody_to_go_on(vehicle: Vehicle, opened: Callable[..., Obd2Sensor]) -> None:
    sensor = opened("?ask=no")
    until(lambda: sensor._link._thread.is_alive())
    vehicle._take(vehicle._listens, b"\x01\x03")
    time.sleep(0.5)
    assert [data for _, data in vehicle.heard] == [b"\x01\x03"]


@pytest.mark.parametrize(
    "lost",
    [
        "1008430301010302",  # the first of two frames: three codes, of which two are still to come
        "037F032100000000",  # busy, ask again
        "0443020101000000",  # two codes announced, one there
    ],
)
def test_none_is_not_said_while_a_unit_has_not_told_its_codes(lost: str) -> None:
    for before in (False, True):
        decoder = Obd2Decoder()
        _answer(decoder, 0, "4300")
        if before:
            _answer(decoder, 0, "4300", GEARBOX)
        decoder.feed(1, Frame(GEARBOX, bytes.fromhex(lost), extended=False))
        _answer(decoder, 30, "4300")
        assert _codes(decoder, 31)[0] is None
        _answer(decoder, 32, "43010301", GEARBOX)
        assert _codes(decoder, 33)[0] == "P0301"


def test_a_unit_that_has_no_such_service_hides_no_other_ones_codes() -> None:
    decoder = Obd2Decoder()
    _answer(decoder, 0, "4300")
    _answer(decoder, 0, "7F0311", GEARBOX)
    assert _codes(decoder, 5)[0] == "none"
