"""The door to all sensors: what it opens, what it refuses and how."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.sensors import KINDS, open_sensor
from agent.sensors.replay import ReplaySensor
from contract.errors import Misconfigured
from tests.waiting import until


def test_replay_opens_a_recording(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("(1.0) can0 18FEF100#FFFFFFFFFFFFFFFF\n")
    assert isinstance(open_sensor("replay", str(log), interval=60), ReplaySensor)


def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Misconfigured) as refusal:
        open_sensor("telepathy", None, interval=60)
    assert "telepathy" in str(refusal.value)
    assert all(kind in str(refusal.value) for kind in KINDS)


@pytest.mark.parametrize("path", [None, "", "no/such/file.log", "."], ids=["none", "empty", "absent", "a folder"])
def test_a_path_that_cannot_be_read_is_refused(
    path: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Misconfigured, match="path"):
        open_sensor("replay", path, interval=60)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.touch(mode=0)
    with pytest.raises(Misconfigured, match="permission"):
        open_sensor("replay", str(log), interval=60)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello\nworld\n", b"a,b,c\n1,2,3\n", b"\x1f\x8bnot gzip", bytes(range(256)) * 100],
    ids=["empty", "prose", "another table", "broken gzip", "binary"],
)
def test_a_file_that_is_no_recording_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(content)
    with pytest.raises(Misconfigured, match=r"a\.log"):
        open_sensor("replay", str(path), interval=60)


@pytest.mark.parametrize(
    ("kind", "path", "told"),
    [
        ("j1939", None, "socketcan:can0"),
        ("obd2", "", "socketcan:can0"),
        ("j1939", "sockercan:can0", "socketcan"),
        ("j1939", "socketcan:", "interface:channel"),
        ("j1939", "can0?bitrate", "name=value"),
        ("j1939", "capture:a.log?speed=fast", "speed"),
        ("obd2", "can0?ask=maybe", "ask"),
        ("gpsd", "127.0.0.1:gps", "host:port"),
        ("gpsd", "127.0.0.1:99999", "host:port"),
        ("gpsd", ":2947", "host:port"),
        ("environment", None, "hwmon"),
    ],
)
def test_a_path_that_names_no_device_is_refused_with_what_would(kind: str, path: str | None, told: str) -> None:
    with pytest.raises(Misconfigured, match=told):
        open_sensor(kind, path, interval=60)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("j1939", "socketcan:milepost-no-such"),
        ("obd2", "milepost-no-such"),
        ("gpsd", "127.0.0.1:9"),
        ("environment", "/no/such/device"),
    ],
)
def test_a_device_that_is_not_there_yet_is_no_reason_not_to_start(kind: str, path: str) -> None:
    sensor = open_sensor(kind, path, interval=60)
    try:
        until(lambda: set(sensor.read(datetime.now(UTC)).quality.values()) == {"error"})
        assert sensor.read(datetime.now(UTC)).values == {}
    finally:
        sensor.close()
        sensor.close()


def test_without_python_can_a_bus_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "can", None)
    with pytest.raises(Misconfigured, match="agent-can"):
        open_sensor("j1939", "can0", interval=60)


def test_an_interval_of_nothing_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("(1.0) can0 18FEF100#FFFFFFFFFFFFFFFF\n")
    with pytest.raises(Misconfigured, match="interval"):
        open_sensor("replay", str(log), interval=0)


def test_importing_the_sensors_loads_no_heavy_library() -> None:
    code = (
        "import sys, agent.sensors, agent.sensors.replay, agent.sensors.gpsd.sensor, agent.sensors.environment; "
        "import agent.sensors.j1939.sensor, agent.sensors.obd2.sensor; "
        "print({'can', 'typer', 'rich', 'paho', 'sqlite_utils'} & set(sys.modules))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == "set()"
