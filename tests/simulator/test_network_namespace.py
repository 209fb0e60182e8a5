"""The trucks' own network: its link loses packets and comes down, TCP brings everything all the same, and it ends with
its user."""

import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from contract.errors import MilepostError
from simulator.scenario.network_namespace import NetworkNamespace

SENDER = """
import socket, sys
host, port, lines, size = sys.argv[1], *map(int, sys.argv[2:])
opened = [socket.create_connection((host, port), timeout=60) for _ in range(lines)]
for line in opened:
    line.sendall(b"x" * size)
for line in opened:
    line.close()
"""
"""On so many lines at once: what they may send before they hear anything is more than the link's queue holds."""

LIMIT_S = 60.0


@pytest.fixture
def network() -> NetworkNamespace:
    network = NetworkNamespace()
    try:
        with network:
            network.narrow(100_000)  # which a kernel may lack
    except MilepostError as error:
        pytest.skip(str(error))
    return network


def send(network: NetworkNamespace, listener: socket.socket, lines: int, size: int) -> "subprocess.Popen[bytes]":
    address = (network.address, str(listener.getsockname()[1]))
    return subprocess.Popen([*network.through, sys.executable, "-c", SENDER, *address, str(lines), str(size)])


def received(listener: socket.socket, lines: int) -> int:
    listener.settimeout(LIMIT_S)
    with ExitStack() as stack:
        return sum(map(length, [stack.enter_context(listener.accept()[0]) for _ in range(lines)]))


def length(line: socket.socket) -> int:
    line.settimeout(LIMIT_S)
    return sum(len(data) for data in iter(lambda: line.recv(65_536), b""))


def test_a_narrow_link_drops_packets_and_tcp_loses_nothing(network: NetworkNamespace) -> None:
    with network, socket.create_server((network.address, 0)) as listener:
        network.narrow(100_000)
        with send(network, listener, 8, 20_000):
            assert received(listener, 8) == 160_000
        assert network.dropped() > 0
        network.narrow(0)
        assert network.dropped() == 0
        with send(network, listener, 1, 5_000_000):
            assert received(listener, 1) == 5_000_000


def test_nothing_comes_through_while_the_cable_is_out(network: NetworkNamespace) -> None:
    with network, socket.create_server((network.address, 0)) as listener:
        network.set_up(up=False)
        with send(network, listener, 1, 1_000):
            listener.settimeout(0.5)
            with pytest.raises(TimeoutError):
                listener.accept()
            network.set_up(up=True)
            assert received(listener, 1) == 1_000


def test_it_ends_with_the_process_that_made_it(network: NetworkNamespace) -> None:
    code = (
        "import sys, time; from simulator.scenario.network_namespace import NetworkNamespace\n"
        "with NetworkNamespace() as network: print(network.through[2], flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout is not None
        holder = int(user.stdout.readline())
        link = Path(f"/sys/class/net/mp{holder}")
        assert link.exists()
        user.send_signal(signal.SIGKILL)
    until = time.monotonic() + LIMIT_S
    while link.exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert not link.exists()
