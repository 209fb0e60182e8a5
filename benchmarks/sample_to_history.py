"""Seconds from a sample's tick on the truck to its being queryable in the box, p50 and p99, with 50 trucks.

Everything is real: 50 agents in one process (each with a buffer file, fsync included, and a connection of its own),
the supervised mosquitto, the rules, the writer, and a reader of the store that polls as a query would. Then the same
while another process keeps a core busy. Aim: p99 < 1 s in both.
"""

import json
import os
import signal
import sqlite3
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from contract import leashed_process

TRUCKS, SECONDS = 50, 30
MILEPOST = (sys.executable, "-m", "milepost")


def drive(broker: str, folder: Path) -> None:
    """50 agents that sample once a second until SIGTERM."""
    import threading

    from agent.runtime.bootstrap import open_buffer, open_transport
    from agent.runtime.service import Agent
    from agent.settings import AgentSettings
    from agent.timing.clock import SystemClock
    from simulator.sensor import SimulatedSensor
    from simulator.vehicle import Vehicle

    stop = threading.Event()
    threads = []
    for number in range(TRUCKS):
        truck_id = f"BENCH-{number:02}"
        settings = AgentSettings(truck_id=truck_id, broker=broker, buffer=folder / f"{truck_id}.db", interval=1)
        agent = Agent(
            settings=settings,
            sensors=[SimulatedSensor(Vehicle(truck_id, 1))],
            clock=SystemClock(),
            buffer=open_buffer(settings),
            transport=open_transport(settings),
        )
        threads.append(threading.Thread(target=agent.run, args=(stop,), daemon=True))
    for thread in threads:
        thread.start()
    signal.sigwait({signal.SIGTERM})
    stop.set()
    for thread in threads:
        thread.join(10)


def watch(store: Path, seconds: float) -> list[float]:
    """Latencies of the samples that appear within `seconds`."""
    latencies: list[float] = []
    with sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True) as reader:
        (seen,) = reader.execute("SELECT max(rowid) FROM samples").fetchone()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            rows = reader.execute(
                "SELECT rowid, order_key FROM samples WHERE rowid > ? ORDER BY rowid", [seen]
            ).fetchall()
            now = datetime.now(UTC)
            for seen, order_key in rows:  # noqa: B007 - the highest rowid seen
                latencies.append((now - datetime.fromisoformat(order_key[:24])).total_seconds())
            time.sleep(0.002)
    return latencies


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "data"
        options = ["--trucks", "0", "--shoppers", "0", "--port", "0", "--data-dir", str(data), "--json"]
        box = leashed_process.start([*MILEPOST, "up", *options], death_signal=signal.SIGKILL)
        while not (data / "up.json").exists():
            time.sleep(0.05)
        broker = json.loads((data / "up.json").read_text())["mqtt"]
        fleet = leashed_process.start([sys.executable, __file__, broker, str(folder)], death_signal=signal.SIGKILL)
        time.sleep(5)  # all connected, caches warm
        print(f"{TRUCKS} trucks, 1 sample/s each, on {os.cpu_count()} cores")
        worst = told("sample to queryable history", watch(data / "milepost.db", SECONDS))
        busy = leashed_process.start([sys.executable, "-c", "while True: pass"], death_signal=signal.SIGKILL)
        worst = max(worst, told("with a core kept busy", watch(data / "milepost.db", SECONDS)))
        busy.kill()
        for process in (fleet, box):
            process.send_signal(signal.SIGTERM)
            process.wait(20)
    if worst >= 1:
        sys.exit(1)


def told(what: str, latencies: list[float]) -> float:
    """Prints a line; the 99th percentile, seconds."""
    ranked = sorted(latencies)
    p50, p99 = ranked[len(ranked) // 2], ranked[int(len(ranked) * 0.99)]
    print(f"{what}: p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms (aim < 1000 ms), {len(ranked)} samples")
    return p99


if __name__ == "__main__":
    if len(sys.argv) == 3:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        drive(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
