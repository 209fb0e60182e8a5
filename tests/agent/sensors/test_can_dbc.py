"""A DBC file of the fleet on a bus: what is mapped where, what is refused, and the same numbers as our tables give."""

import math
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.sensors import open_sensor
from agent.sensors.can_frame import Frame
from agent.sensors.candump import Candump
from agent.sensors.j1939.decoder import Decoder
from contract.errors import Misconfigured

can = pytest.importorskip("can", reason="python-can is not installed: pip install 'milepost[agent-can]'")
pytest.importorskip("cantools", reason="cantools is not installed: pip install 'milepost[agent-can]'")

from agent.sensors.can_dbc import DbcDecoder, DbcSensor, _mapped  # noqa: E402 - behind the skip
from tests.waiting import until  # noqa: E402

NOW = datetime(2030, 1, 1, tzinfo=UTC)
RPM, SPEED = "engine_diagnostics.engine_rpm", "vehicle_speed"
DEMO = "j1939/CSS-Electronics-SAE-J1939-DEMO.dbc"
REEFER = """VERSION ""
BU_: X
BO_ 419 Reefer: 8 X
 SG_ CargoTemperature : 0|16@1- (0.1,0) [-60|60] "degC" X
 SG_ DoorOpen : 16|1@1+ (1,0) [0|1] "" X
 SG_ Mode : 17|3@1+ (1,0) [0|7] "" X
 SG_ AirTemperature : 24|8@1+ (1,-40) [-40|210] "degF" X
 SG_ Pressure : 32|8@1+ (1,0) [0|255] "kPa" X
BO_ 2566844926 CCVS1: 8 X
 SG_ Speed : 8|16@1+ (0.00390625,0) [0|250.996] "km/h" X
BO_ 500 Other: 8 X
 SG_ DoorOpen : 56|1@1+ (1,0) [0|1] "" X
 SG_ Kind M : 0|8@1+ (1,0) [0|255] "" X
 SG_ Axle m1 : 8|16@1+ (1,0) [0|60000] "kg" X
BO_ 501 Hot: 8 X
 SG_ Fast : 0|16@1+ (0.1,0) [0|0] "km/h" X
 SG_ Real : 32|32@1- (1,0) [0|0] "" X
BO_ 2566845438 VP: 8 X
 SG_ Latitude : 0|32@1+ (1e-07,-210) [-210|211] "deg" X
 SG_ Longitude : 32|32@1+ (1e-07,-210) [-210|211] "deg" X
BO_ 502 North: 8 X
 SG_ NorthOf : 0|32@1+ (1e-07,-210) [-210|211] "deg" X
BO_ 503 East: 8 X
 SG_ EastOf : 0|32@1+ (1e-07,-210) [-210|211] "deg" X
BO_ 2566832638 VDHR: 8 X
 SG_ Distance : 0|32@1+ (0.005,0) [0|21055406] "km" X
SIG_VALTYPE_ 501 Real : 1;
BA_DEF_ BO_ "GenMsgCycleTime" INT 0 65535;
BA_DEF_DEF_ "GenMsgCycleTime" 0;
BA_ "GenMsgCycleTime" BO_ 500 100;
VAL_ 419 Mode 0 "off" 1 "cooling" 2 "defrost" ;
"""
MAP = {
    "CargoTemperature": "custom.cargo_temperature",
    "Reefer.DoorOpen": "custom.door_open",
    "Mode": "custom.reefer_mode",
    "AirTemperature": "environmental_conditions.temperature",
    "Speed": SPEED,
    "Axle": "custom.axle_load",
}


@pytest.fixture
def dbc(tmp_path: Path) -> Path:
    path = tmp_path / "reefer.dbc"
    path.write_text(REEFER)
    return path


def _decoder(dbc: Path, names: dict[str, str] = MAP) -> DbcDecoder:
    return DbcDecoder(_mapped(dbc, names))


def _reefer(decoder: DbcDecoder, at: float, data: str) -> None:
    decoder.feed(at, Frame(419, bytes.fromhex(data), extended=False))


def test_a_number_a_switch_and_a_word_are_what_the_file_says(dbc: Path) -> None:
    decoder = _decoder(dbc)
    _reefer(decoder, 0.0, "D7FF03 48 00000000".replace(" ", ""))
    values, quality = decoder.snapshot(1.0)
    assert values == {
        "custom.cargo_temperature": -4.1,
        "custom.door_open": True,
        "custom.reefer_mode": "cooling",
        "environmental_conditions.temperature": 0.0,
    }
    assert quality == {SPEED: "not_available", "custom.axle_load": "not_available"}


def test_a_value_grows_stale_after_five_cycles_and_one_out_of_its_range_is_none(dbc: Path) -> None:
    decoder = _decoder(dbc)
    _reefer(decoder, 0.0, "D7FF034800000000")
    _reefer(decoder, 10.0, "FF7F034800000000")
    values, quality = decoder.snapshot(11.0)
    assert quality["custom.cargo_temperature"] == "implausible"
    assert values["custom.door_open"] is True
    assert decoder.snapshot(59.0)[0]["custom.door_open"] is True
    assert decoder.snapshot(61.0)[1]["custom.door_open"] == "stale"


def test_a_multiplexed_signal_is_read_where_its_switch_says_so(dbc: Path) -> None:
    decoder = _decoder(dbc)
    for data in ("02FFFF0000000000", "0110270000000000", "0300000000000000"):
        decoder.feed(0.0, Frame(500, bytes.fromhex(data), extended=False))
    assert decoder.snapshot(1.0)[0]["custom.axle_load"] == 10_000.0


def test_a_j1939_message_is_known_by_its_group_whoever_sends_it(dbc: Path) -> None:
    """Another priority and sender than the file's; the codes of J1939 that are no values are none."""
    decoder = _decoder(dbc)
    decoder.feed(0.0, Frame(0x0CFEF100, bytes.fromhex("FF0032FFFFFFFFFF")))
    assert decoder.snapshot(1.0)[0][SPEED] == 50.0
    decoder.feed(2.0, Frame(0x0CFEF100, bytes.fromhex("FFFFFFFFFFFFFFFF")))
    assert decoder.snapshot(3.0)[1][SPEED] == "not_available"
    decoder.feed(4.0, Frame(0x0CFEF100, bytes.fromhex("FF00FEFFFFFFFFFF")))
    assert decoder.snapshot(5.0)[1][SPEED] == "error"


def test_the_recorded_truck_says_the_same_as_by_our_own_table(recording: Callable[[str], Path]) -> None:
    ours, theirs = Decoder(), _decoder(recording(DEMO), {"EngineSpeed": RPM, "WheelBasedVehicleSpeed": SPEED})
    compared = 0
    with recording("j1939/css_truck_idle_11111111.log").open() as file:
        for number, (at, frame) in enumerate(Candump(file)):
            ours.feed(at, frame)
            theirs.feed(at, frame)
            if number % 500 == 0:
                known = {leaf: value for leaf, value in ours.snapshot(at)[0].items() if leaf in (RPM, SPEED)}
                assert theirs.snapshot(at)[0] == pytest.approx(known)
                compared += len(known)
    assert compared > 20
    mine, other = ours.end_interval(at), theirs.end_interval(at)
    assert mine
    assert other
    assert other.spreads[RPM] == pytest.approx(mine.spreads[RPM])


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({"CargoTemp": "custom.t"}, "CargoTemperature"),
        ({"DoorOpen": "custom.door"}, r"Reefer\.DoorOpen, Other\.DoorOpen"),
        ({"Mode": "custom.Mode"}, "a-z"),
        ({"Mode": "reefer_mode"}, r"custom\.NAME"),
        ({"Pressure": "engine_diagnostics.engine_temperature"}, "kPa"),
        ({"Mode": "vehicle_health_and_maintenance.active_faults"}, "no field"),
        ({}, "needs dbc"),
    ],
)
def test_a_map_that_cannot_be_is_refused_with_what_would(dbc: Path, names: dict[str, str], told: str) -> None:
    with pytest.raises(Misconfigured, match=told):
        open_sensor("can", "virtual:none", interval=60, options={"dbc": dbc, "map": names})


@pytest.mark.parametrize("content", [None, "no dbc at all", 'VERSION ""\nBO_ x'])
def test_a_file_that_is_no_dbc_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "a.dbc"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Misconfigured, match=r"a\.dbc"):
        open_sensor("can", "virtual:none", interval=60, options={"dbc": path, "map": MAP})


@pytest.fixture
def bus(request: pytest.FixtureRequest) -> Iterator[Any]:
    one = can.Bus(request.node.name, "virtual", ignore_config=True)
    yield one
    one.shutdown()


def test_a_live_bus_is_read_and_accounted_for(dbc: Path, bus: Any, request: pytest.FixtureRequest) -> None:
    sensor = DbcSensor(f"virtual:{request.node.name}", interval=60, dbc=dbc, map=MAP)
    try:
        until(lambda: len(can.interfaces.virtual.channels[request.node.name]) == 2)
        for tenths in (20, -30, 10):
            data = tenths.to_bytes(2, "little", signed=True) + bytes(6)
            bus.send(can.Message(arbitration_id=419, data=data, is_extended_id=False))
        until(lambda: sensor.counts["frames"] == 3)
        reading = sensor.read(NOW)
        assert reading.values["custom.cargo_temperature"] == 1.0
        assert reading.interval
        spread = reading.interval.spreads["custom.cargo_temperature"]
        assert (spread.low, spread.high) == (-3.0, 2.0)
        assert reading.values["custom.reefer_mode"] == "off"
    finally:
        sensor.close()


def test_a_number_without_a_word_of_its_own_is_a_text_too(dbc: Path) -> None:
    decoder = _decoder(dbc)
    _reefer(decoder, 0.0, "0000" + "0A" + "0000000000")
    assert decoder.snapshot(1.0)[0]["custom.reefer_mode"] == "5"


def test_what_is_no_value_is_in_no_account_of_the_interval_either(dbc: Path) -> None:
    decoder = _decoder(dbc, {"Fast": SPEED, "Real": "custom.real"})
    for at, (speed, real) in enumerate([(800, 1.5), (60_000, math.nan), (900, math.inf), (820, 2.5)]):
        decoder.feed(at, Frame(501, struct.pack("<HHf", speed, 0, real), extended=False))
    interval = decoder.end_interval(3.5)
    assert interval
    assert interval.spreads[SPEED][:2] == (80, 90)
    assert interval.spreads["custom.real"][:2] == (1.5, 2.5)


def test_a_position_has_both_halves_of_one_sender(dbc: Path) -> None:
    decoder = _decoder(dbc, {"Latitude": "gps_location.latitude", "Longitude": "gps_location.longitude"})
    half, whole = ((52.5 + 210) * 1e7, 0xFFFFFFFF), ((48.1 + 210) * 1e7, (11.5 + 210) * 1e7)
    decoder.feed(0, Frame(0x18FEF301, struct.pack("<II", *map(int, half))))
    assert decoder.snapshot(1) == (
        {},
        dict.fromkeys(("gps_location.latitude", "gps_location.longitude"), "not_available"),
    )
    decoder.feed(1, Frame(0x18FEF31C, struct.pack("<II", *map(int, whole))))
    values, _ = decoder.snapshot(2)
    assert values == {"gps_location.latitude": 48.1, "gps_location.longitude": 11.5}


def test_a_multiplexed_signal_is_due_when_its_turn_comes_and_not_with_each_message(dbc: Path) -> None:
    decoder = _decoder(dbc)
    for second in range(0, 25, 8):  # a message each 100 ms, of which every eightieth has the signal
        decoder.feed(second, Frame(500, bytes.fromhex("0110270000000000"), extended=False))
    assert decoder.snapshot(24 + 7.9)[0]["custom.axle_load"] == 10_000


def test_a_pause_is_no_cycle(dbc: Path) -> None:
    decoder = _decoder(dbc)
    for at in (0.0, 1.0, 2.0, 3600.0):
        _reefer(decoder, at, "D7FF034800000000")
    assert decoder.snapshot(3606.0)[1]["custom.cargo_temperature"] == "stale"


def test_the_odometer_by_a_dbc_is_the_better_units_also_while_that_is_silent(dbc: Path) -> None:
    decoder = _decoder(dbc, {"Distance": "odometer_reading"})
    engine, cluster = 0x18FEC100, 0x18FEC117

    def say(at: float, sender: int, km: float) -> object:
        decoder.feed(at, Frame(sender, struct.pack("<II", round(km / 0.005), 0xFFFFFFFF)))
        values, quality = decoder.snapshot(at)
        return values.get("odometer_reading", quality.get("odometer_reading"))

    say(0, cluster, 438_978)
    assert say(1, engine, 537_152) == 438_978
    assert say(120, engine, 537_153) == "implausible"
    assert say(121, cluster, 438_979) == 438_979


def test_halves_of_two_messages_are_of_one_moment_or_no_place(dbc: Path) -> None:
    decoder = _decoder(dbc, {"NorthOf": "gps_location.latitude", "EastOf": "gps_location.longitude"})

    def say(at: float, number: int, degrees: float) -> None:
        decoder.feed(at, Frame(number, struct.pack("<II", round((degrees + 210) * 1e7), 0), extended=False))

    say(0.0, 502, 52.5)
    say(0.1, 503, 13.4)
    assert decoder.snapshot(0.2)[0] == {"gps_location.latitude": 52.5, "gps_location.longitude": 13.4}
    say(4.0, 502, 52.501)
    assert decoder.snapshot(4.1) == ({}, dict.fromkeys(("gps_location.latitude", "gps_location.longitude"), "stale"))
