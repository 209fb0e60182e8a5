"""The installed service under a real systemd: made ready, reloaded, watched over, stopped, taken away."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.operations.systemd_unit import NAME
from tests.agent.gateway import Gateway, Unbootable
from tests.agent.live import MOSQUITTO, Broker, Listener
from tests.agent.trucks import TRUCK, write_candump
from tests.waiting import until

pytestmark = pytest.mark.skipif(not MOSQUITTO, reason="mosquitto is not installed: apt-get install mosquitto")

ROOT = Path(__file__).resolve().parents[3]
BUFFER = "/var/lib/milepost/buffer.db"
GLANCE = (
    "import sys; from agent.buffer.inspection import glance; from pathlib import Path; s = glance(Path(sys.argv[1]))"
)
SETTINGS = """[agent]
truck_id = "{truck}"
broker = "{broker}"
buffer = "{buffer}"
interval = {interval}
time_patience = 0
[[agent.sensors]]
type = "replay"
path = "/etc/milepost/engine.log"
"""


class Installed:
    """A gateway on which `milepost agent install` was run; its watchdog is impatient."""

    def __init__(self, gateway: Gateway, folder: Path, broker: Broker) -> None:
        self.gateway, self.broker = gateway, broker
        write_candump(folder / "engine.log")
        gateway.write("/etc/milepost/engine.log", (folder / "engine.log").read_text())
        for path in (ROOT, Path(sys.prefix), Path(sys.base_prefix)):
            for each in (path, *path.parents):
                gateway.run("chmod", "o+x", str(each))
        gateway.write(f"/etc/systemd/system/{NAME}.d/test.conf", "[Service]\nWatchdogSec=10\nRestartSec=1\n")
        self.configure(0.2)
        self.installing = self.milepost("install")

    def configure(self, interval: float) -> None:
        """Write the settings."""
        text = SETTINGS.format(truck=TRUCK, broker=self.broker.url, buffer=BUFFER, interval=interval)
        self.gateway.write("/etc/milepost/milepost.toml", text)

    def milepost(self, *words: str) -> str:
        """What `milepost agent …` prints there."""
        return self.gateway.run(sys.executable, str(ROOT / "milepost.py"), "agent", *words).stdout

    def show(self) -> dict[str, str]:
        """systemd's word on the service."""
        return self.gateway.show(NAME)

    def seen(self) -> tuple[str, int]:
        """The buffer's stream and its highest number."""
        print_it = f"{GLANCE}; print(s.stream_id, s.highest_seq)"
        stream, highest = self.gateway.run(
            "env", f"PYTHONPATH={ROOT}", sys.executable, "-c", print_it, BUFFER
        ).stdout.split()
        return stream, int(highest)

    def runs(self) -> dict[str, str]:
        """Wait until it does, and has sampled in this life."""
        until(lambda: (said := self.show())["ActiveState"] == "active" and "sampled" in said["StatusText"])
        return self.show()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A mosquitto on this machine, whose network is the gateway's."""
    made = Broker(tmp_path_factory.mktemp("broker"))
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, broker: Broker) -> Iterator[Installed]:
    """The one gateway of these tests."""
    folder = tmp_path_factory.mktemp("gateway")
    try:
        gateway = Gateway(folder)
    except Unbootable as error:
        pytest.skip(f"no systemd can be booted here: {error}")
    try:
        yield Installed(gateway, folder, broker)
    finally:
        gateway.switch_off()


def _process(said: dict[str, Any], installed: Installed) -> int:
    """The service's process by this machine's number."""
    wanted = said["MainPID"]
    for status in Path("/proc").glob("[0-9]*/status"):
        lines = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
        if lines["NSpid"].split()[1:] == [wanted] and "python" in lines["Name"]:
            return int(lines["Pid"])
    raise AssertionError(f"no process {wanted}")


def test_an_installed_service_gets_ready_samples_and_sends_as_a_user_of_its_own(
    installed: Installed, broker: Broker
) -> None:
    """With every fence of the unit in force; and doctor and status know of it."""
    said = installed.runs()
    assert (said["SubState"], said["UnitFileState"], said["User"], said["NRestarts"]) == (
        "running",
        "enabled",
        "milepost",
        "0",
    )
    listener = Listener(broker.port)
    try:
        until(lambda: len(listener.samples()) >= 3)
    finally:
        listener.close()
    assert "have it start at every boot" in installed.installing
    assert "connected" in installed.milepost("status")
    checks = installed.gateway.run(sys.executable, str(ROOT / "milepost.py"), "agent", "doctor", check=False).stdout
    assert "service         active (running)" in checks


def test_reload_reads_the_settings_again_and_keeps_the_process(installed: Installed) -> None:
    """A sample an hour, then five a second again."""
    before = installed.runs()["MainPID"]
    installed.configure(3600)
    installed.gateway.run("systemctl", "reload", NAME)
    time.sleep(1)
    _, highest = installed.seen()
    time.sleep(2)
    assert installed.seen()[1] == highest
    installed.configure(0.2)
    installed.gateway.run("systemctl", "reload", NAME)
    until(lambda: installed.seen()[1] > highest + 3)
    assert installed.show()["MainPID"] == before


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_an_agent_that_stops_or_dies_is_started_anew_and_goes_on_with_its_numbers(
    installed: Installed, how: signal.Signals
) -> None:
    """Stopped, it is the watchdog that ends it."""
    before = installed.runs()
    stream, highest = installed.seen()
    os.kill(_process(before, installed), how)
    until(lambda: int(installed.show()["NRestarts"]) > int(before["NRestarts"]))
    assert installed.runs()["MainPID"] != before["MainPID"]
    until(lambda: installed.seen()[1] > highest)
    assert installed.seen()[0] == stream


def test_stop_is_quick_and_clean_and_a_start_goes_on(installed: Installed, broker: Broker) -> None:
    """It says goodbye to the broker, and exits 0."""
    installed.runs()
    began = time.monotonic()
    installed.gateway.run("systemctl", "stop", NAME)
    assert time.monotonic() - began < 60
    said = installed.show()
    assert (said["ActiveState"], said["Result"], said["ExecMainStatus"]) == ("inactive", "success", "0")
    stream, highest = installed.seen()
    listener = Listener(broker.port, client_id="after")
    try:
        until(lambda: [each["state"] for each in listener.of("status")] == ["offline"])
    finally:
        listener.close()
    installed.gateway.run("systemctl", "start", NAME)
    until(lambda: installed.seen()[1] > highest)
    assert installed.seen()[0] == stream


def test_uninstall_takes_the_service_away_and_leaves_the_samples(installed: Installed) -> None:
    """Installed again, it goes on where it was."""
    installed.runs()
    installed.milepost("uninstall")
    said = installed.show()
    assert (said["ActiveState"], said.get("FragmentPath")) == ("inactive", None)
    stream, highest = installed.seen()
    installed.milepost("install")
    until(lambda: installed.seen()[1] > highest)
    assert installed.seen()[0] == stream
