"""A truck's bus end to end: a real capture on a virtual bus, at its own pace × n, through the live sensor."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.sensors import Reading
from agent.sensors.can_address import CanAddress
from agent.sensors.can_frame import Frame
from agent.sensors.device_thread import Link
from agent.sensors.fields import ACTIVE_FAULTS, Reason
from agent.sensors.j1939.faults import DM1_TURN
from agent.sensors.j1939.sensor import J1939Sensor
from agent.sensors.merge import merge
from agent.sensors.odometer import OdometerBelief
from agent.sensors.plausibility import Disagreement
from contract.telemetry import Telemetry

can = pytest.importorskip("can", reason="python-can is not installed: pip install 'milepost[agent-can]'")

from agent.sensors.can_playback import CaptureBus  # noqa: E402
from agent.sensors.can_sensor import BUS_OFF, BusSensor  # noqa: E402 - behind the skip
from tests.waiting import until  # noqa: E402

TRUCK = "j1939/css_truck_idle_11111111.log"
KEY_ON = "j1939/css_24v_keyon_FCBF0606_2058.log"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
RPM = "engine_diagnostics.engine_rpm"
PACE = 30


@pytest.fixture
def bus(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The other end of a virtual bus of the test's own."""
    one = can.Bus(request.node.name, "virtual", ignore_config=True)
    yield one
    one.shutdown()


@pytest.fixture
def sensor(bus: Any, request: pytest.FixtureRequest) -> Iterator[J1939Sensor]:
    one = J1939Sensor(f"virtual:{request.node.name}", interval=60)
    until(lambda: len(can.interfaces.virtual.channels[request.node.name]) == 2)
    yield one
    one.close()


def engine_speed(rpm: int, source: int = 0) -> Any:
    data = b"\xff\xff\xff" + (rpm * 8).to_bytes(2, "little") + b"\xff\xff\xff"
    return can.Message(arbitration_id=0x0CF00400 | source, data=data, is_extended_id=True)


def odometer(km: int) -> Any:
    return can.Message(arbitration_id=0x18FEE000, data=b"\xff" * 4 + (km * 8).to_bytes(4, "little"))


def test_a_capture_at_pace_decodes_to_its_figures(
    recording: Callable[[str], Path], capture_stats: dict[str, Any], bus: Any, sensor: J1939Sensor
) -> None:
    """A third of the truck's two minutes, 30 times as fast: 13,600 frames a second on the bus."""
    stats = capture_stats[TRUCK]["signals"]
    play = CaptureBus(str(recording(TRUCK)), speed=PACE)
    end, sent, readings = time.monotonic() + DM1_TURN + 0.5, 0, list[Reading]()
    while time.monotonic() < end or not readings or ACTIVE_FAULTS not in readings[-1].values:
        message = play.recv(0.1)
        if message is not None:
            bus.send(message)
            sent += 1
        if sent % 2000 == 1999:
            readings.append(sensor.read(NOW))
    play.shutdown()
    until(lambda: sensor.counts["frames"] == sent)
    reading = readings[-1]  # while it plays: what stops in the middle of a long list of faults leaves it unknown
    for leaf, title in (
        (RPM, "PGN 61444 SA 0 rpm"),
        ("vehicle_speed", "PGN 65265 SA 0 kmh"),
        ("fuel_consumption", "PGN 65266 SA 0 Lph"),
        ("odometer_reading", "PGN 65248 SA 0 odokm"),
        ("engine_diagnostics.engine_temperature", "PGN 65262 SA 0 coolC"),
        ("engine_diagnostics.battery_voltage", "PGN 65271 SA 0 battV"),
        ("engine_diagnostics.fuel_level", "PGN 65276 SA 0 fuel%"),
    ):
        for each in (*readings[2:], reading, sensor.read(NOW)):
            assert stats[title]["min"] - 0.01 <= each.values[leaf] <= stats[title]["max"] + 0.01, title
    assert [fault["spn"] for fault in reading.values[ACTIVE_FAULTS]] == [980, 3216, 609, 609]
    assert sent > 1000
    document, quality = merge([reading])
    Telemetry.model_validate({"truck_id": "t1", "quality": quality, **document})


def test_a_recording_by_its_own_address_needs_no_bus(
    recording: Callable[[str], Path], capture_stats: dict[str, Any]
) -> None:
    """A stopped engine's key-on; its trouble codes come in 56 packets."""
    (codes,) = capture_stats[KEY_ON]["dm1_multipacket"]
    one = J1939Sensor(f"capture:{recording(KEY_ON)}?speed=20", interval=60)
    try:
        until(lambda: one.read(NOW).values.get(RPM) == 0.0)
        until(lambda: one.read(NOW).values.get("engine_diagnostics.battery_voltage") == 22.35)
        until(lambda: len(one.read(NOW).values.get(ACTIVE_FAULTS, ())) == codes.count("SPN"))
        assert one.read(NOW).quality["engine_diagnostics.oil_pressure"] == "error"
    finally:
        one.close()


def test_before_anything_is_heard_nothing_is_available(sensor: J1939Sensor) -> None:
    reading = sensor.read(NOW)
    assert (reading.values, set(reading.quality.values())) == ({}, {"not_available"})


def test_what_is_heard_is_read(bus: Any, sensor: J1939Sensor) -> None:
    bus.send(engine_speed(700))
    until(lambda: sensor.read(NOW).values == {RPM: 700.0})


def test_a_unit_that_claims_another_address_goes_on_being_the_preferred_one(bus: Any, sensor: J1939Sensor) -> None:
    """Where a kernel filters the bus, claims pass."""
    engine = bytes.fromhex("0D03A90100000010")
    for source in (0, 128):
        bus.send(can.Message(arbitration_id=0x18EEFF00 | source, data=engine))
    bus.send(engine_speed(1500, source=3))
    bus.send(engine_speed(700, source=128))
    until(lambda: sensor.read(NOW).values == {RPM: 700.0})


def test_remote_and_fd_frames_are_passed_over(bus: Any, sensor: J1939Sensor) -> None:
    bus.send(can.Message(arbitration_id=0x0CF00400, is_remote_frame=True, dlc=8))
    bus.send(can.Message(arbitration_id=0x0CF00400, is_fd=True, data=bytes(8)))
    until(lambda: sensor.counts["skipped"] == 2)
    assert sensor.read(NOW).values == {}


def test_error_frames_are_counted_and_bus_off_is_an_error_until_a_frame_comes(bus: Any, sensor: J1939Sensor) -> None:
    bus.send(can.Message(arbitration_id=BUS_OFF, is_error_frame=True))
    until(lambda: set(sensor.read(NOW).quality.values()) == {"error"})
    assert sensor.counts["bus_errors"] == 1
    bus.send(engine_speed(700))
    until(lambda: "error" not in sensor.read(NOW).quality.values())


def test_two_units_that_contradict_each_other_are_logged_once(
    bus: Any, sensor: J1939Sensor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for _ in range(3):
        bus.send(engine_speed(700))
        bus.send(engine_speed(1500, source=3))
        until(lambda: sensor.read(NOW).values.get(RPM) == 700.0)
    until(lambda: sensor.counts["frames"] == 6)
    sensor.read(NOW)
    told = [record.message for record in caplog.records if "sources_disagree" in record.message]
    assert len(told) == 1
    assert "preferred=0 other=3" in told[0]


def test_an_odometer_that_leaps_is_implausible(bus: Any, sensor: J1939Sensor) -> None:
    bus.send(odometer(1000))
    until(lambda: sensor.read(NOW).values.get("odometer_reading") == 1000.0)
    bus.send(odometer(900_000))
    until(lambda: sensor.read(NOW).quality.get("odometer_reading") == "implausible")


def test_close_leaves_no_thread_and_no_bus(bus: Any, sensor: J1939Sensor, request: pytest.FixtureRequest) -> None:
    sensor.close()
    assert len(can.interfaces.virtual.channels[request.node.name]) == 1


class Flaky:
    """A bus that hands out the frames of one life, then vanishes."""

    def __init__(self, *frames: Any) -> None:
        self._frames = [*frames]

    def recv(self, timeout: float | None = None) -> Any:
        if not self._frames:
            raise can.CanOperationError("Network is down", 100)
        return self._frames.pop(0)

    def send(self, message: Any, timeout: float | None = None, /) -> None: ...

    def shutdown(self) -> None: ...


class Recorder:
    """A decoder that keeps everything."""

    def __init__(self) -> None:
        self.disagreements: Counter[Disagreement] = Counter()
        self.beliefs: dict[str, OdometerBelief] = {}
        self.heard: list[Frame] = []

    def feed(self, now: float, frame: Frame) -> None:
        self.heard.append(frame)

    def end_interval(self, now: float) -> None:
        """Nothing is accounted for."""

    def snapshot(self, now: float) -> tuple[dict[str, object], dict[str, Reason]]:
        return {}, {RPM: "stale"}


def test_an_interface_that_vanishes_is_an_error_and_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    lives = [Flaky(engine_speed(1)), Flaky(), Flaky(engine_speed(2), engine_speed(3))]

    def open_bus(self: CanAddress, filters: object = None) -> Flaky:
        if not lives:
            raise OSError(19, "No such device")
        return lives.pop(0)

    monkeypatch.setattr(CanAddress, "open", open_bus)
    monkeypatch.setattr("agent.sensors.device_thread.FIRST_WAIT", 0.01)
    recorder = Recorder()
    one = BusSensor(CanAddress("socketcan", "can0"), recorder)
    try:
        until(lambda: len(recorder.heard) == 3 and not lives)
        until(lambda: one.read(NOW).quality == {RPM: "error"})
    finally:
        one.close()


def test_a_read_does_not_wait_for_a_bus_that_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_bus(self: CanAddress, filters: object = None) -> Flaky:
        assert let.wait(90)
        return Flaky()

    let = threading.Event()

    monkeypatch.setattr(CanAddress, "open", open_bus)
    one = J1939Sensor("virtual:x", interval=60)
    assert one.read(NOW).values == {}
    assert not let.is_set()
    let.set()
    one.close()


def test_filters_pass_every_frame_of_ours(recording: Callable[[str], Path]) -> None:
    """The kernel's rule, (id & mask) == (filter & mask), on a real capture: nothing that the decoder reads is lost."""
    from agent.sensors.candump import Candump
    from agent.sensors.j1939.decoder import Decoder
    from agent.sensors.j1939.sensor import _filters
    from agent.sensors.replay import open_recording

    filters = [(each["can_id"], each["can_mask"]) for each in _filters()]
    every, passed, kept = Decoder(), Decoder(), 0
    with open_recording(recording(TRUCK)) as lines:
        for now, frame in Candump(lines):
            every.feed(now, frame)
            if frame.extended and any(frame.can_id & mask == wanted & mask for wanted, mask in filters):
                passed.feed(now, frame)
                kept += 1
    assert passed.snapshot(now) == every.snapshot(now)
    assert kept < 20_000


def test_links_are_named_for_people() -> None:
    assert str(CanAddress("socketcan", "can0")) == "socketcan:can0"
    assert isinstance(Link("x", lambda _: None).failing, bool)
