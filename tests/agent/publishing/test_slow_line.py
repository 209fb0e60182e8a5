"""A slow line, and one that cuts large packets off, deliver what waits: little is sent twice, and live samples pass."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage

from agent.buffer.sqlite import SqliteBuffer
from contract.codec import Json
from tests.agent.fakes import FastClock
from tests.agent.live import Broker, Listener
from tests.agent.slow_line import SlowLine
from tests.agent.trucks import TRUCK, Truck
from tests.waiting import until

SAMPLE: dict[str, Json] = {"sampled_at": "2026-01-31T12:00:00.000Z", "time_quality": "ntp", "note": "x" * 600}
INTERVAL_S = 60
SPEED = 4.0
"""Of the truck's clock: a live sample in 15 seconds."""


class TimedListener(Listener):
    """Notes at what time of the truck's clock each number came first."""

    def __init__(self, port: int, clock: FastClock) -> None:
        self._clock, self.came = clock, dict[int, datetime]()
        super().__init__(port)

    def _on_message(self, client: Client, data: object, message: MQTTMessage) -> None:
        super()._on_message(client, data, message)
        if "telemetry" in message.topic:
            found = json.loads(message.payload)
            for record in found.get("records", [found]):
                self.came.setdefault(record["seq"], self._clock.now())


def drain(folder: Path, broker: Broker, waiting: int, seconds: float, **line: Any) -> None:
    """All that waits arrives in time, at most 1.5 times as many bytes go up, live samples come within two intervals."""
    buffer = SqliteBuffer(folder / "waiting.db", TRUCK)
    for _ in range(waiting):
        buffer.append(SAMPLE)
    slow = SlowLine(broker.port, **line)
    clock = FastClock(SPEED)
    listener = TimedListener(broker.port, clock)
    settings = {"interval": INTERVAL_S}
    truck = Truck(folder, broker, buffer=buffer, clock=clock, port=slow.port, settings=settings)
    truck.start()
    try:
        until(lambda: set(range(1, waiting + 1)) <= listener.samples().keys(), seconds)
        until(lambda: max(listener.samples()) > waiting)
        delivered = {seq: next(iter(texts)) for seq, texts in listener.samples().items()}
        live = {seq: json.loads(text) for seq, text in delivered.items() if seq > waiting}
        late = [listener.came[seq] - datetime.fromisoformat(sample["sampled_at"]) for seq, sample in live.items()]
        ratio = slow.up / sum(map(len, delivered.values()))
        print(f"\n{line}: {waiting} samples, {slow.connections} connections, {ratio:.2f} times the bytes; {len(live)} "
              f"live, the slowest after {max(late).total_seconds() / INTERVAL_S:.2f} intervals")  # fmt: skip
        assert max(late) <= timedelta(seconds=2 * INTERVAL_S)
        assert ratio <= 1.5
    finally:
        truck.end()
        listener.close()
        slow.close()


def test_a_line_that_ends_on_packets_over_8_kb_delivers_all(broker: Broker, ram: Path) -> None:
    drain(ram, broker, 500, 40, largest=8192)


@pytest.mark.prove
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kilobits", [10, 20, 64])
def test_a_slow_line_delivers_all(broker: Broker, ram: Path, kilobits: int) -> None:
    rate = kilobits * 1000 / 8
    drain(ram, broker, 500, 1.5 * 350_000 / rate + 60, bytes_per_second=rate)
