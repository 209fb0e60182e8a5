"""Clicks and samples a second and core through Kafka and workers, against a bare consumer of the same records.

One broker on this machine, topics of six partitions, filled before anything reads them. A core's second is CPU time of
the worker, its start left out (measured on empty topics), without the broker's. Growth: the same records with 1, 2 and
3 workers on one SQLite, by the wall from the first record that is finished to the last; the broker and the workers
share this machine's cores. No aim; without Kafka's jars it says so and ends.
"""

import os
import resource
import tempfile
import time
from pathlib import Path

from benchmarks._kafka_feed import CLICKS, SAMPLES, TRUCKS, bare, fill, of_each_kind
from collector.streams.kafka import KafkaAddress, lag
from deploy import local_kafka
from tests.collector.handlers.kafka_feed import Workers


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _workers(address: KafkaAddress, count: int, folder: Path) -> tuple[float, float]:
    """CPU seconds of so many workers, and wall seconds from the first record that is finished to the last."""
    (folder / "data").mkdir(parents=True)
    before, all_of_it = _children(), sum(lag(address).values())
    workers = Workers(address, folder / "data")
    for _ in range(count):
        workers.start()
    began: float | None = None
    left = all_of_it
    while left:
        time.sleep(0.1)
        left = sum(lag(address).values())
        if left < all_of_it and began is None:
            began = time.monotonic()
    wall = time.monotonic() - (began or time.monotonic())
    workers.stop()
    return _children() - before, wall


def main() -> None:
    if why := local_kafka.missing():
        print(f"not measured: {why}")
        return
    print("no aim: docs/scale.md plans with these", flush=True)
    with tempfile.TemporaryDirectory(prefix="milepost-bench-") as name:
        folder = Path(name)
        with local_kafka.LocalKafka(folder / "kafka") as broker:
            idle = _workers(fill(broker.address), 1, folder / "idle")[0]
            for what, (count, address) in of_each_kind(broker.address).items():
                cpu, _ = _workers(address, 1, folder / what)
                rate, dropped = count / (cpu - idle), count / bare(address)
                ratio = f"{rate / dropped:.4f} of a bare consumer ({dropped:,.0f}/s)"
                print(f"{what}: {rate:,.0f}/s and core through Kafka and a worker; {ratio}", flush=True)
            walls = []
            for workers in (1, 2, 3):
                both = fill(broker.address, events=CLICKS, trucks=TRUCKS)
                walls.append(_workers(both, workers, folder / f"grow{workers}")[1])
            growth = ", ".join(
                f"{n}: {(CLICKS + SAMPLES) / wall:,.0f}/s ({walls[0] / wall:.2f} x)" for n, wall in enumerate(walls, 1)
            )
            print(f"workers on one store, {os.cpu_count()} cores with the broker's: {growth}", flush=True)


if __name__ == "__main__":
    main()
