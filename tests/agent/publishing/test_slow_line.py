"""A slow line, and one that cuts large packets off, deliver what waits: little is sent twice, and live samples pass."""

import time
from pathlib import Path
from typing import Any

import pytest

from agent.buffer.sqlite import SqliteBuffer
from contract.codec import Json
from tests.agent.live import Broker, Listener, wait_for
from tests.agent.slow_line import SlowLine
from tests.agent.trucks import TRUCK, Truck

SAMPLE: dict[str, Json] = {"sampled_at": "2026-01-31T12:00:00.000Z", "time_quality": "ntp", "note": "x" * 600}


def drain(folder: Path, broker: Broker, waiting: int, seconds: float, **line: Any) -> None:
    """All that waits arrives in time, at most 1.5 times as many bytes go up, and live samples come meanwhile."""
    buffer = SqliteBuffer(folder / "waiting.db", TRUCK)
    for _ in range(waiting):
        buffer.append(SAMPLE)
    size = sum(len(row.body) for row in buffer.pending(after=0, through=waiting, limit=waiting))
    slow = SlowLine(broker.port, **line)
    listener = Listener(broker.port)
    truck = Truck(folder, broker, buffer=buffer, speed=60 / 15, port=slow.port)  # a live sample in 15 s
    truck.start()
    try:
        wait_for(lambda: set(range(1, waiting + 1)) <= listener.samples().keys(), seconds)
        wait_for(lambda: max(listener.samples()) > waiting, 30)
        time.sleep(0.5)
        live = sum(len(str(one)) for seq in listener.samples() if seq > waiting for one in listener.samples()[seq])
        assert slow.up <= 1.5 * size + 2 * live + 20_000
    finally:
        truck.end()
        slow.close()


def test_a_line_that_ends_on_packets_over_8_kb_delivers_all(broker: Broker, ram: Path) -> None:
    drain(ram, broker, 500, 40, largest=8192)


@pytest.mark.prove
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kilobits", [10, 20, 64])
def test_a_slow_line_delivers_all(broker: Broker, ram: Path, kilobits: int) -> None:
    rate = kilobits * 1000 / 8
    drain(ram, broker, 500, 1.5 * 350_000 / rate + 60, bytes_per_second=rate)
