"""`milepost agent once` with sensors that must be listened to: a real gpsd, a CAN bus, and some that stay silent."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.cli import app
from tests.agent.sensors.gpsd.daemon import GPSFAKE, WHY, Gpsfake, Server
from tests.agent.sensors.gpsd.test_gpsd import drive
from tests.agent.trucks import TRUCK
from tests.processes import free_port
from tests.waiting import until

can = pytest.importorskip("can", reason="python-can is not installed: pip install 'milepost[agent-can]'")

Once = Callable[[dict[str, str]], dict[str, Any]]


@pytest.fixture
def once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Once:
    """The sample that `once` takes of these sensors (type → path); nobody is there to send it to."""
    monkeypatch.setattr("agent.runtime.once.CONNECT_SECONDS", 0.1)
    config = tmp_path / "milepost.toml"

    def take(sensors: dict[str, str]) -> dict[str, Any]:
        tables = "".join(f'[[agent.sensors]]\ntype = "{kind}"\npath = "{path}"\n' for kind, path in sensors.items())
        config.write_text(
            f'[agent]\ntruck_id = "{TRUCK}"\nbroker = "mqtt://127.0.0.1:1"\nbuffer = "{tmp_path / "b.db"}"\n{tables}'
        )
        result = CliRunner().invoke(app, ["once", "--config", str(config), "--json"])
        assert result.exit_code == 0, result.stderr
        sample: dict[str, Any] = json.loads(result.stdout)["sample"]
        return sample

    return take


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """The path of a bus on which an engine begins to speak after a second: speed often, voltage once a second."""
    bus = can.Bus(request.node.name, "virtual", ignore_config=True)
    stop = threading.Event()

    def speak() -> None:
        for turn in range(1000):
            if stop.wait(0.1 if turn else 1.0):
                return
            bus.send(can.Message(arbitration_id=0x0CF00400, data=bytes.fromhex("FFFFFF5014FFFFFF")))
            if turn % 10 == 9:
                bus.send(can.Message(arbitration_id=0x18FEF700, data=bytes.fromhex("FFFFFFFF1802FFFF")))

    thread = threading.Thread(target=speak)
    thread.start()
    yield f"virtual:{request.node.name}"
    stop.set()
    thread.join()
    bus.shutdown()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 10):
        return True
    return False


@pytest.mark.skipif(GPSFAKE is None, reason=WHY)
def test_a_sample_has_what_the_bus_and_the_receiver_say(once: Once, engine: str, tmp_path: Path) -> None:
    log = tmp_path / "now.log"
    log.write_text("".join(drive(datetime.now(UTC).replace(microsecond=0), 60)))
    fake = Gpsfake(log, pause=1 / 30)
    try:
        until(lambda: fake.urge() or _listens(fake.port))  # a gpsd takes its time to start, and `once` waits 6 s
        sample = once({"j1939": engine, "gpsd": f"127.0.0.1:{fake.port}"})
    finally:
        fake.close()
    assert sample["engine_diagnostics"]["engine_rpm"] == 650
    assert sample["engine_diagnostics"]["battery_voltage"] == 26.8
    assert (sample["gps_location"]["latitude"], sample["gps_location"]["longitude"]) == (52.1, 5.2)


def test_who_stays_silent_is_waited_for_and_then_left_out_with_the_reason(
    once: Once, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gpsd that has no receiver and one that is not there say nothing; the bus beside them is heard."""
    monkeypatch.setattr("agent.runtime.once.LISTEN_SECONDS", 2.5)
    server = Server()
    try:
        sample = once({"gpsd": f"127.0.0.1:{server.port}", "j1939": engine})
    finally:
        server.close()
    assert sample["quality"]["gps_location"] == "not_available"
    assert sample["engine_diagnostics"]["engine_rpm"] == 650
    assert once({"gpsd": f"127.0.0.1:{free_port()}"})["quality"]["gps_location"] == "error"


def test_who_is_asked_and_not_listened_to_is_not_waited_for(
    once: Once, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thermometer; else this test would not end."""
    monkeypatch.setattr("agent.runtime.once.LISTEN_SECONDS", 3600)
    (tmp_path / "temp1_input").write_text("21000\n")
    assert once({"environment": str(tmp_path)})["environmental_conditions"]["temperature"] == 21
