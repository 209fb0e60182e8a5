"""How fast a full buffer drains to a real broker at QoS 1, against a bare paho loop in the same run.

    python -m benchmarks.drain [--samples 20000] [--window 100] [--json]

The agent's own path is measured whole: rows read from SQLite, the lanes, the transport, PUBACKs, rows marked as sent;
until nothing is pending. The bare loop publishes the same bytes from memory with the same window and does nothing with
the PUBACKs but send the next. Both as one sample a message and as batches of 100. The rates that the agent keeps
towards IoT Core (100 publishes/s, 512 KiB/s) are lifted by `Limits.of_own_broker`, since this broker is all our own.
Aim: one a message ≥ 0.9 of the bare loop.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from itertools import islice
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agent.buffer import join_batch
from agent.buffer.schema import checksum
from agent.buffer.sqlite import SqliteBuffer
from agent.publishing.publisher import Publisher
from agent.settings import AgentSettings
from agent.timing.clock import SystemClock
from agent.transport import BrokerLimits
from agent.transport.endpoint import EndpointLine
from agent.transport.paho import PahoTransport
from contract import topics
from tests.agent.live import Broker

TRUCK = "BENCH"
AIM = 0.9
DOCUMENT = {
    "sampled_at": "2026-01-31T12:00:00.000Z",
    "time_quality": "gps",
    "gps_location": {"latitude": 47.3768866, "longitude": 8.541694, "altitude": 408.25, "speed": 81.5},
    "vehicle_speed": 81.2,
    "engine_diagnostics": {
        "engine_rpm": 1450.125,
        "fuel_level": 62.4,
        "engine_temperature": 88.0,
        "oil_pressure": 45.21,
        "battery_voltage": 27.9,
    },
    "odometer_reading": 132_457.125,
    "fuel_consumption": 24.35,
    "vehicle_health_and_maintenance": {
        "brake_status": "ok",
        "tire_pressure": {"front_left": 101.2, "front_right": 100.8, "rear_left": 98.4, "rear_right": 99.0},
        "transmission_status": "ok",
        "active_faults": [],
    },
    "environmental_conditions": {"temperature": 4.5, "humidity": 71.0, "atmospheric_pressure": 961.2},
    "quality": {},
}


def main() -> int:
    """Measure and print a table, or JSON; 1 if the aim is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--window", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3, help="the median counts")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="drain-") as name:
        folder = Path(name)
        broker = Broker(folder, "log_type error\n")
        broker.start()
        port = broker.port
        try:
            figures = {
                "one a message": _compare(folder, port, options, 1),
                "100 a message": _compare(folder, port, options, 100),
            }
        finally:
            broker.kill()
    if options.json:
        print(json.dumps(figures))
        return 0
    print(f"{options.samples} samples, window {options.window}, median of {options.rounds}; samples/s")
    print(f"{'':16}{'agent':>10}{'bare paho':>12}{'ratio':>8}")
    for label, (agent, bare) in figures.items():
        print(f"{label:16}{agent:10.0f}{bare:12.0f}{agent / bare:8.2f}")
    lane, single = figures["100 a message"][0], figures["one a message"][1]
    print(f"the backlog lane (100 a message) against the bare loop with one a message: {lane / single:.1f}")
    ratio = figures["one a message"][0] / single
    print(f"one a message: {ratio:.2f} of the bare loop (aim ≥ {AIM})")
    return 0 if ratio >= AIM else 1


def _compare(folder: Path, port: int, options: argparse.Namespace, records: int) -> tuple[float, float]:
    """(agent, bare) in samples a second, measured in turns."""
    agent, bare = [], []
    for _ in range(options.rounds):
        path = folder / "buffer.db"
        with SqliteBuffer(path, TRUCK) as buffer:
            _fill(path, buffer, options.samples)
            rows = buffer.pending(after=0, through=options.samples, limit=options.samples)
            groups = [rows[at : at + records] for at in range(0, len(rows), records)]
            payloads = [join_batch(group) if records > 1 else group[0].body for group in groups]
            bare.append(options.samples / _bare(port, payloads, options.window))
            agent.append(options.samples / _drain(buffer, port, BrokerLimits(records=records, window=options.window)))
        for part in folder.glob("buffer.db*"):
            part.unlink()
    middle = options.rounds // 2
    return sorted(agent)[middle], sorted(bare)[middle]


def _fill(path: Path, buffer: SqliteBuffer, count: int) -> None:
    """`count` samples as the agent stores them; the disk's speed in storing is not what is measured."""
    body = buffer.append(DOCUMENT).body.decode()
    rows = [(seq, body.replace('"seq":1,', f'"seq":{seq},').encode()) for seq in range(2, count + 1)]
    stored = [(seq, body, 0, checksum(seq, body)) for seq, body in rows]
    with buffer._file.transaction() as database:
        database.executemany("INSERT INTO samples (seq, body, flags, crc) VALUES (?, ?, ?, ?)", stored)
    buffer._highest = count


def _drain(buffer: SqliteBuffer, port: int, limits: BrokerLimits) -> float:
    transport = PahoTransport(EndpointLine("127.0.0.1", port, TRUCK), limits=limits.of_own_broker())
    settings = AgentSettings(truck_id=TRUCK, buffer=buffer._path)
    uplink = Publisher(settings, buffer, transport, SystemClock())
    uplink.start()
    while not uplink.connected:
        uplink.turn(0.001)
    began = time.perf_counter()
    while not uplink.idle():
        uplink.turn(1.0)
    elapsed = time.perf_counter() - began
    uplink.close()
    if buffer.counts().pending:
        raise SystemExit("the agent says that it is done and is not")
    return elapsed


def _bare(port: int, payloads: list[bytes], window: int) -> float:
    """The same bytes at the same window from memory, in paho's own loop."""
    client = Client(CallbackAPIVersion.VERSION2, client_id="bare", protocol=MQTTProtocolVersion.MQTTv5)
    client.max_inflight_messages_set(0)
    connected, done = threading.Event(), threading.Event()
    waiting = iter(payloads)
    left = len(payloads)
    topic = topics.batch(TRUCK) if payloads[0].startswith(b'{"records"') else topics.telemetry(TRUCK)

    def on_publish(*_: object) -> None:
        nonlocal left
        left -= 1
        if (payload := next(waiting, None)) is not None:
            client.publish(topic, payload, qos=1)
        elif left == 0:
            done.set()

    client.on_publish = on_publish
    client.on_connect = lambda *_: connected.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    connected.wait(10)
    began = time.perf_counter()
    for payload in list(islice(waiting, window)):
        client.publish(topic, payload, qos=1)
    if not done.wait(120):
        raise SystemExit("the bare loop did not end")
    elapsed = time.perf_counter() - began
    client.disconnect()
    client.loop_stop()
    return elapsed


if __name__ == "__main__":
    sys.exit(main())
