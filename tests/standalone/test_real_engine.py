"""A real engine's CAN recording through the agent process, mosquitto, the rules and the collector, into history."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.recordings import recording
from tests.standalone.up import MILEPOST, Up, running

CAPTURE = "j1939/css_truck_idle_11111111.log"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The current version's sample after a few seconds of replay."""
    folder = tmp_path_factory.mktemp("engine")
    with running(folder, "--trucks", "0", "--shoppers", "0") as up:
        yield replayed(up, folder)


def replayed(up: Up, folder: Path) -> dict[str, Any]:
    ready = up.ready()
    assert ready
    config = folder / "milepost.toml"
    config.write_text(
        f'[agent]\ntruck_id = "IDLE-1"\nbroker = "{ready["mqtt"]}"\nbuffer = "{folder}/buffer.db"\ninterval = 0.5\n'
        f'[[agent.sensors]]\ntype = "replay"\npath = "{recording(CAPTURE)}"\n'
    )
    agent = subprocess.Popen([*MILEPOST, "agent", "run", "--config", str(config)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 90
        while not up.ask("history", "IDLE-1"):
            assert time.monotonic() < deadline, "no history from the replay"
            time.sleep(0.2)
        time.sleep(2)
    finally:
        agent.terminate()
        assert agent.wait(60) == 0
    assert up.ask("audit")["trucks"][0]["holes"] == []
    found: dict[str, Any] = up.ask("history", "IDLE-1")[-1]["sample"]
    return found


def test_history_says_what_the_recording_holds(sample: dict[str, Any]) -> None:
    """As can_capture_stats.json beside the recording states; 1 kPa is 0.1450377 psi."""
    stats = json.loads(recording("can_capture_stats.json").read_text())[CAPTURE]["signals"]
    engine = sample["engine_diagnostics"]
    read = {
        "PGN 61444 SA 0 rpm": engine["engine_rpm"],
        "PGN 65276 SA 0 fuel%": engine["fuel_level"],
        "PGN 65262 SA 0 coolC": engine["engine_temperature"],
        "PGN 65263 SA 0 oilkPa": engine["oil_pressure"] / 0.1450377377,
        "PGN 65271 SA 0 battV": engine["battery_voltage"],
        "PGN 65266 SA 0 Lph": sample["fuel_consumption"],
        "PGN 65248 SA 0 odokm": sample["odometer_reading"],
        "PGN 65265 SA 0 kmh": sample["vehicle_speed"],
    }
    for name, value in read.items():
        assert stats[name]["min"] - 0.05 <= value <= stats[name]["max"] + 0.05, name
    faults = {(fault["spn"], fault["fmi"]) for fault in sample["vehicle_health_and_maintenance"]["active_faults"]}
    assert faults == {(980, 9), (3216, 20), (609, 9), (609, 12)}


def test_what_the_recording_lacks_is_null_with_its_reason(sample: dict[str, Any]) -> None:
    tyres = "vehicle_health_and_maintenance.tire_pressure"
    assert sample["quality"][tyres] == "not_available"
    assert set(sample["vehicle_health_and_maintenance"]["tire_pressure"].values()) == {None}
    assert sample["quality"]["environmental_conditions.humidity"] == "not_available"
    assert sample["environmental_conditions"]["humidity"] is None
