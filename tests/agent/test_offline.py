"""Two days without a network at one sample a minute: then live first, the backlog behind it, within the limits."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.buffer.sqlite import SqliteBuffer
from agent.transport import BrokerLimits, Message
from contract.codec import Json
from tests.agent.live import Broker, Listener
from tests.agent.trucks import TRUCK, Truck
from tests.waiting import until

TWO_DAYS = 2880
SAMPLE: dict[str, Json] = {
    "sampled_at": "2026-01-31T12:00:00.000Z",
    "time_quality": "ntp",
    "vehicle_speed": 80,
    "note": "x" * 700,  # a whole sample has about 800 bytes
}


@pytest.fixture
def truck(broker: Broker, ram: Path) -> Iterator[Truck]:
    """Two days' samples in its buffer, a sample a second from now on, and nobody there."""
    buffer = SqliteBuffer(ram / "two-days.db", TRUCK)
    for _ in range(TWO_DAYS):
        buffer.append(SAMPLE)
    broker.kill()
    one = Truck(ram, broker, buffer=buffer, speed=60)
    yield one
    if one._thread.is_alive():
        one.stop()


def _busiest(sent: list[tuple[float, int]], seconds: float = 1.0) -> tuple[int, int]:
    """The most messages, and the most bytes, of any second."""
    windows = [[size for at, size in sent if start <= at < start + seconds] for start, _ in sent]
    return max(len(window) for window in windows), max(sum(window) for window in windows)


def test_live_within_seconds_and_the_backlog_within_the_limits(broker: Broker, truck: Truck) -> None:
    transport = truck.agent._uplink._transport
    publish, sent = transport.publish, list[tuple[float, int]]()

    def record(message: Message) -> None:
        sent.append((time.monotonic(), len(message.payload)))
        publish(message)

    transport.publish = record  # type: ignore[method-assign]
    broker.start()
    listener = Listener(broker.port)
    broker.stop()
    truck.start()
    until(lambda: truck.tally.sampled >= 2)
    broker.start()
    until(lambda: truck.tally.connections == 1)
    connected, newest = time.monotonic(), truck.buffer.highest_seq
    until(lambda: [one for one in listener.of("telemetry") if one["seq"] > newest])
    live = time.monotonic() - connected
    until(lambda: truck.tally.sent >= TWO_DAYS + 2)
    drained = time.monotonic() - connected
    highest = truck.stop().sampled + TWO_DAYS
    until(lambda: sorted(listener.samples()) == list(range(1, highest + 1)))
    data = [json.loads(body) for topic, body, _ in listener.messages if "/telemetry" in topic]
    batches = [message for message in data if "records" in message]
    busiest = _busiest(sent)
    limits = BrokerLimits()
    print(
        f"\n{highest} samples of two days drained in {drained:.2f} s in {len(batches)} batches; a sample taken after"
        f" reconnecting arrived {live:.2f} s after it; busiest second {busiest[0]} messages, {busiest[1] // 1024} KiB"
    )
    assert live < 30
    assert data[0]["seq"] > TWO_DAYS, "the newest goes first"
    assert busiest[0] <= limits.publishes_per_second
    assert busiest[1] <= limits.bytes_per_second + limits.payload
    assert all(len(batch["records"]) <= limits.records for batch in batches)
    listener.close()
