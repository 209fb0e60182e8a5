"""Clicks and samples a second and core through Kafka and the Spark jobs, against a bare consumer of the same records.

Topics of six partitions, filled before the jobs read them: all seven jobs, from an empty checkpoint to the end of what
lies in Kafka, into a PostgreSQL of their own. A core's second is CPU time of the driver, its JVM and its Python
workers, their start left out (measured on empty topics), without the broker's and PostgreSQL's. No aim; without Kafka,
PostgreSQL or the Spark environment it says so and ends.
"""

import os
import tempfile
import threading
import time
from pathlib import Path

from benchmarks._kafka_feed import bare, fill, of_each_kind
from collector.streams.kafka import KafkaAddress
from deploy import local_kafka, local_postgresql
from tests.streaming import spark


def _jobs(address: KafkaAddress, database: str, folder: Path) -> tuple[float, float]:
    """CPU and wall seconds of all jobs, from nothing to the end of what lies in Kafka."""
    folder.mkdir()
    began = time.monotonic()
    process = spark.start(address, database, folder)
    used: dict[int, float] = {}
    reader = threading.Thread(target=spark.finish, args=(process, folder))
    reader.start()
    while reader.is_alive():
        used.update(_of_session(process.pid))
        time.sleep(0.2)
    reader.join()
    assert process.returncode == 0
    return sum(used.values()), time.monotonic() - began


def _of_session(leader: int) -> dict[int, float]:
    """Process id → CPU seconds of the driver, its JVM and its Python workers, which are one session."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) == leader:
            found[int(stat.parent.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


def main() -> None:
    no_environment = None if spark.PYTHON.exists() else "make .venv-spark/ready"
    if why := local_kafka.missing() or local_postgresql.missing() or no_environment:
        print(f"not measured: {why}")
        return
    print("no aim: docs/scale.md plans with these", flush=True)
    with tempfile.TemporaryDirectory(prefix="milepost-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL may run as another user
        with (
            local_kafka.LocalKafka(folder / "kafka") as broker,
            local_postgresql.LocalPostgresql(folder / "postgresql") as database,
        ):
            cpu_idle, wall_idle = _jobs(fill(broker.address), database.url, folder / "idle")
            for what, (count, address) in of_each_kind(broker.address).items():
                cpu, wall = _jobs(address, database.url, folder / what)
                rate, dropped = count / max(0.001, cpu - cpu_idle), count / bare(address)
                ratio = f"{rate / dropped:.5f} of a bare consumer ({dropped:,.0f}/s)"
                start = f"{wall - wall_idle:.1f} s on top of the {wall_idle:.0f} s ({cpu_idle:.0f} CPU s) of the start"
                print(f"{what}: {rate:,.0f}/s and core through Spark, seven jobs; {ratio}; {start}", flush=True)


if __name__ == "__main__":
    main()
