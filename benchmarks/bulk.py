"""CPU of `milepost ingest` on a file, per 1,000 rows, in any order and with holes. Aim: ≤ 0.1 s per 1,000 rows.

Rows of one truck, as its agent sends them, into a new SQLite store by the command's own path, without its start-up: in
order, shuffled, with every second number missing in order, and shuffled with a third missing at random. Beside each
stands how many times the CPU of json.loads of the same lines that is. `--profile` prints where the time of the shuffled
rows goes.
"""

import cProfile
import json
import pstats
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.ingest_cpu import START
from collector.history import TrackingPolicy
from collector.ingest import Ingest, vouch_for_policy
from collector.ingest.jsonl import ingest_lines
from collector.stores.sqlite.store import SqliteStore
from contract import timestamps
from contract.codec import dump

ROWS, AIM = 20_000, 0.1


def rows() -> list[bytes]:
    """A truck's samples, a minute apart: speed and temperature vary, a tracked value changes every 40 minutes."""
    made = []
    for number in range(ROWS):
        record = {
            "schema_version": 1,
            "truck_id": "BULK",
            "stream_id": "0123456789abcdef",
            "seq": number + 1,
            "sampled_at": timestamps.from_ms(int(START.timestamp() * 1000) + number * 60_000),
            "time_quality": "gps",
            "gps_location": {
                "latitude": 41.0 + number % 997 / 1000,
                "longitude": -96.0,
                "altitude": 340.5,
                "speed": 51.0,
            },
            "vehicle_speed": number % 90,
            "engine_diagnostics": {"engine_rpm": 1400 + number % 300, "engine_temperature": 80 + number // 40 % 2 * 30},
            "odometer_reading": 120_000 + number,
            "vehicle_health_and_maintenance": {"brake_status": "ok", "active_faults": []},
        }
        made.append(dump(record).encode() + b"\n")
    return made


def orders() -> dict[str, list[bytes]]:
    """How the rows come."""
    chance, whole = random.Random(1), rows()
    kept = [row for row in whole if chance.random() > 1 / 3]
    return {
        "in order": whole,
        "shuffled": chance.sample(whole, len(whole)),
        "every second missing": whole[::2],
        "a third missing, shuffled": chance.sample(kept, len(kept)),
    }


def load(lines: list[bytes]) -> None:
    """All of it into a store of its own."""
    with tempfile.TemporaryDirectory() as folder:
        store, policy = SqliteStore(Path(folder) / "milepost.db"), TrackingPolicy.of()
        vouch_for_policy(store, policy)
        done: dict[str, int] = {}
        for sums in ingest_lines(Ingest(store, policy), lines, "telemetry", clock_ms=lambda: 1_900_000_000_000):
            done = sums
        store.close()
        assert done == {"accepted": len(lines), "duplicate": 0, "rejected": 0}


def _cpu(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def main() -> int:
    """Print a line for each order; 0 if each meets the aim."""
    if "--profile" in sys.argv:
        profile = cProfile.Profile()
        profile.runcall(load, orders()["shuffled"])
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return 0
    worst = 0.0
    for name, lines in orders().items():
        took = _cpu(lambda: load(lines)) / len(lines) * 1000  # noqa: B023
        base = _cpu(lambda: [json.loads(line) for line in lines]) / len(lines) * 1000  # noqa: B023
        worst = max(worst, took)
        print(f"{name:26} {took:.3f} CPU s per 1,000 rows, {took / base:5.1f} x json.loads")
    print(f"aim: at most {AIM} in any order: {'met' if worst <= AIM else 'missed'}")
    return 0 if worst <= AIM else 1


if __name__ == "__main__":
    sys.exit(main())
