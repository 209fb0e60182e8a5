"""Ports of this machine for processes that Milepost starts itself: brokers, databases, ministacks."""

import random
import socket
from pathlib import Path

from contract.errors import Misconfigured

_LOOPBACK = "127.0.0.1"


def can_listen(port: int) -> bool:
    """Whether 127.0.0.1 has that port free now. Nothing is reserved.

    Args:
        port: 1 to 65535.

    Returns:
        False also for a port that needs rights which this process lacks.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A free port of 127.0.0.1 below the range for outgoing connections.

    While a broker is down, a client on this machine that tries to reconnect could otherwise be given the very port as
    its own, and the broker could not come back.

    Returns:
        A port that was free a moment ago; another process may take it before it is listened on.

    Raises:
        Misconfigured: a hundred ports tried at random are all taken.
    """
    try:
        lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        lowest = 32768
    ports = range(max(1024, lowest - 16_000), max(lowest, 2048))
    for port in random.sample(ports, 100):
        if can_listen(port):
            return port
    raise Misconfigured(f"no free port between {ports[0]} and {ports[-1]}: choose one")
