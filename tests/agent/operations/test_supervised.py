"""The service process as systemd sees it: a real process, a real notify socket, signals."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.buffer.inspection import glance
from tests.agent.live import Broker, Listener
from tests.agent.trucks import TRUCK, write_candump
from tests.waiting import until


class Service:
    """`python -m agent` with a socket for what it tells systemd."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.folder, self.buffer, self.config = folder, folder / "buffer.db", folder / "milepost.toml"
        write_candump(folder / "engine.log")
        self.broker = broker
        self.write_settings(interval=0.1)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(folder / "notify"))
        self.notify.settimeout(10)
        self.heard: list[str] = []
        self.log = folder / "agent.log"
        self.process: subprocess.Popen[bytes] | None = None

    def write_settings(self, **more: object) -> None:
        """The file's `[agent]` table, beside what is needed."""
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in more.items())
        self.config.write_text(
            f'[agent]\ntruck_id = "{TRUCK}"\nbroker = "{self.broker.url}"\nbuffer = "{self.buffer}"\n'
            f"time_patience = 0\n{lines}"
            f'[[agent.sensors]]\ntype = "replay"\npath = "{self.folder / "engine.log"}"\n'
        )

    def start(self) -> "Service":
        """Run it, and wait until it says that it is ready."""
        environment = {**os.environ, "NOTIFY_SOCKET": str(self.folder / "notify"), "WATCHDOG_USEC": "300000"}
        command = [sys.executable, "-m", "agent", "--config", str(self.config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.hear("READY=1")
        return self

    def hear(self, expected: str) -> None:
        """Wait for a message that begins so."""
        while not (text := self.notify.recv(4096).decode()).startswith(expected):
            self.heard.append(text)

    def signal(self, number: signal.Signals) -> None:
        """Send one."""
        assert self.process
        self.process.send_signal(number)

    def logged(self, text: str) -> None:
        """Wait for a line of the log."""
        until(lambda: text in self.log.read_text())


@pytest.fixture
def service(tmp_path: Path, broker: Broker) -> Iterator[Service]:
    """Started, dead at the end."""
    one = Service(tmp_path, broker).start()
    yield one
    if one.process and one.process.poll() is None:
        one.process.kill()
        one.process.wait()
    one.notify.close()


def test_the_other_transport_does_the_same(tmp_path: Path, broker: Broker, listener: Listener) -> None:
    pytest.importorskip("awscrt", reason="pip install 'milepost[agent-aws]'")
    service = Service(tmp_path, broker)
    service.write_settings(interval=0.1, transport="aws")
    service.start()
    test_ready_alive_and_a_quick_clean_end(service, listener)
    service.notify.close()


def test_ready_alive_and_a_quick_clean_end(service: Service, listener: Listener) -> None:
    service.hear("WATCHDOG=1")
    until(lambda: len(listener.of("telemetry")) > 3)
    began = time.monotonic()
    service.signal(signal.SIGTERM)
    service.hear("STOPPING=1")
    assert service.process
    assert service.process.wait(60) == 0
    assert time.monotonic() - began < 60
    assert until(lambda: listener.of("status")[-1]["state"] == "offline")
    assert "WARNING" not in service.log.read_text().replace("WARNING agent.timing.trusted_time", "")
    seen = glance(service.buffer)
    assert seen.pending == 0
    assert seen.notes["stopped_at"]


def test_sighup_takes_over_what_may_change_and_names_the_rest(service: Service, listener: Listener) -> None:
    service.write_settings(interval=3600, buffer_limit=128)
    service.signal(signal.SIGHUP)
    service.logged("settings_read changed=interval")
    service.logged("settings_need_a_restart keys=buffer_limit")
    seen = glance(service.buffer).highest_seq
    time.sleep(0.5)
    assert glance(service.buffer).highest_seq <= seen + 1
    service.write_settings(interval=0)
    service.signal(signal.SIGHUP)
    service.logged("settings_not_read")
    service.write_settings(interval=0.1)
    service.signal(signal.SIGHUP)
    until(lambda: glance(service.buffer).highest_seq > seen + 5)


def test_the_watchdog_is_fed_as_often_as_systemd_wants(service: Service) -> None:
    """When it is not fed is tested in test_notify."""
    began = time.monotonic()
    for _ in range(5):
        service.hear("WATCHDOG=1")
    assert time.monotonic() - began < 5 * 0.3
