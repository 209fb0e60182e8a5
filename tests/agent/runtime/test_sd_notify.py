"""What systemd hears, on a real socket."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.runtime.sd_notify import Progress, Pulse


class Systemd:
    """The manager's end, and a clock to turn."""

    def __init__(self, address: str) -> None:
        self.now = 0.0
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        """All that came since the last time."""
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return found


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Both kinds that systemd uses."""
    return str(tmp_path / "notify") if request.param == "path" else f"@milepost-test-{tmp_path.name}"


@pytest.fixture
def systemd(address: str) -> Iterator[Systemd]:
    """Listening."""
    one = Systemd(address)
    yield one
    one.socket.close()


def _progress(stored_at: float, line: str = "well") -> Progress:
    return Progress(stored_at, 150, line)


def test_ready_once_then_alive_only_while_samples_are_stored(systemd: Systemd, address: str) -> None:
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "120000000"}
    pulse = Pulse.from_environment(environ, lambda: systemd.now)
    pulse.beat(_progress(0))
    assert systemd.heard() == ["READY=1", "WATCHDOG=1", "STATUS=well"]
    systemd.now = 1
    pulse.beat(_progress(0))
    assert systemd.heard() == []
    systemd.now = 41
    pulse.beat(_progress(0))
    assert systemd.heard() == ["WATCHDOG=1"]
    systemd.now = 200
    pulse.beat(_progress(0))
    assert systemd.heard() == []
    systemd.now = 210
    pulse.beat(_progress(205, "again"))
    assert systemd.heard() == ["WATCHDOG=1", "STATUS=again"]
    pulse.stopping()
    assert systemd.heard() == ["STOPPING=1\nSTATUS=stopping"]
    pulse.close()


def test_not_ready_before_the_buffer_has_taken_a_write(systemd: Systemd, address: str) -> None:
    pulse = Pulse(address, None, lambda: systemd.now)
    pulse.beat(_progress(float("-inf")))
    assert "READY=1" not in systemd.heard()
    pulse.beat(_progress(0))
    assert "READY=1" in systemd.heard()
    pulse.close()


def test_without_systemd_nothing_is_said_and_a_lost_socket_is_no_end(systemd: Systemd, address: str) -> None:
    silent = Pulse.from_environment({}, lambda: 0.0)
    silent.beat(_progress(0))
    other = Pulse.from_environment(
        {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, lambda: 0.0
    )
    other.beat(_progress(0))
    assert "WATCHDOG=1" not in systemd.heard()
    systemd.socket.close()
    other.stopping()
    other.close()
