"""What a sample costs as fleet and history grow: 10 to 10,000 trucks, and a day, a month and a year of one truck.

Each size is an SQLite store that a process of its own fills, whose memory is told. Then all sizes take turns, several
times, so that what else the machine does falls on all: CPU of ingest for each further live sample, and the time of an
as-of read at a random instant on an open store (median); the best turn counts. Bytes are the store's for each sample.
Aims: cost for each sample and time of an as-of read at most 2 × those of the smallest size. The plot is growth.svg,
beside RESULTS.md.
"""

import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from agent.sampling.since_last import GROUP, group
from agent.sensors.merge import merge
from benchmarks.ingest_cpu import envelope
from collector import queries
from collector.history import TrackingPolicy
from collector.ingest import Ingest, items_of_stream_record
from collector.stores.factory import open_reader, open_store
from contract import timestamps
from contract.codec import dump
from simulator.line_plot import Series, svg
from simulator.sensor import SimulatedSensor
from simulator.vehicle import Vehicle

HERE = Path(__file__).resolve().parent
PLOT = HERE / "growth.svg"
FLEETS, DAYS = (10, 100, 1_000, 10_000), (1, 30, 365)
A_DAY, TURNS, READS, MEASURED = 1_440, 5, 400, 400
FILLING, LIVE = 5_000, 10
"""Samples committed together: as many as can be while the store is filled; ten while it is measured, no two of them of
one truck, so that every size of fleet has the same groups."""

START = datetime(2024, 6, 1, tzinfo=UTC)
AIM = 2.0
_MOMENTS = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One size. samples: in the store before those that are measured."""

    what: str
    samples: int
    cpu_us: float
    read_us: float
    bytes_each: float
    memory_mb: float


def stream(truck_ids: Sequence[str], minutes: int, first: int) -> Iterator[tuple[str, int, bytes]]:
    """truck_id, arrival and bytes: minute by minute, all trucks. What is measured are 200 moments of 50 trucks in turn,
    since making a year of ten thousand would take longer than storing it."""
    bodies = [_bodies(f"TRUCK-{number:05}") for number in range(min(len(truck_ids), 50))]
    for minute in range(first, first + minutes):
        at = timestamps.from_datetime(START + timedelta(minutes=minute))
        for number, truck_id in enumerate(truck_ids):
            own = bodies[number % len(bodies)]
            head = b'{"schema_version":1,"truck_id":"%s","stream_id":"0123456789abcdef","seq":%d,"sampled_at":"%s",' % (
                truck_id.encode(), minute + 1, at.encode()
            )  # fmt: skip
            yield truck_id, timestamps.to_ms(at) + 200, head + own[minute % len(own)]


@cache
def _bodies(truck_id: str) -> list[bytes]:
    sensor = SimulatedSensor(Vehicle(truck_id, 1))
    sensor.read(START - timedelta(minutes=1))
    made = []
    for minute in range(_MOMENTS):
        moment = START + timedelta(minutes=minute)
        reading = sensor.read(moment)
        values, quality = merge([reading])
        assert reading.interval is not None
        record = {"time_quality": "gps", **values, "quality": quality, GROUP: group(reading.interval, moment)}
        made.append(dump(record).encode()[1:])
    return made


def fill(taker: Ingest, samples: Iterator[tuple[str, int, bytes]], together: int) -> tuple[int, float]:
    """Take them in groups of that size; how many there were, and the CPU seconds of ingest alone."""
    group, count, cpu = [], 0, 0.0
    for sample in samples:
        group.append(sample)
        if len(group) == together:
            cpu += _take(taker, group)
            count, group = count + len(group), []
    if group:
        cpu, count = cpu + _take(taker, group), count + len(group)
    return count, cpu


def _take(taker: Ingest, group: list[tuple[str, int, bytes]]) -> float:
    stream_records = [envelope(*sample) for sample in group]
    before = time.process_time()
    taker.ingest([item for data in stream_records for item in items_of_stream_record(data)])
    return time.process_time() - before


SIZES = {
    **{f"{trucks:,} trucks": (trucks, max(2, 20_000 // trucks)) for trucks in FLEETS},
    **{f"{days:,} day{'s' if days > 1 else ''}": (1, days * A_DAY) for days in DAYS},
}
"""What a row is called → trucks and minutes. Of trucks each has few samples, of days one truck has all."""


class Size:
    """One size's store, filled; the turns are to come."""

    def __init__(self, what: str, folder: Path) -> None:
        self.what = what
        trucks, self._minutes = SIZES[what]
        self._truck_ids = _truck_ids(trucks)
        self._folder = folder / what
        self._folder.mkdir()
        self._url = f"sqlite:///{self._folder / 'growth.db'}"
        argv = [sys.executable, "-m", "benchmarks.growth", what, self._url]
        done = subprocess.run(argv, cwd=HERE.parent, capture_output=True, text=True, check=True)
        self.samples, self._memory_mb = json.loads(done.stdout)
        self._further = 0
        self._cpu: list[float] = []
        self._reads: list[float] = []

    def take_turn(self) -> None:
        """Ingest further live samples, then read."""
        trucks = len(self._truck_ids)
        store = open_store(self._url)
        taker = Ingest(store, TrackingPolicy.of())
        minutes = max(1, MEASURED // trucks)
        first = self._minutes + self._further // trucks
        count, cpu = fill(taker, stream(self._truck_ids, minutes, first), min(LIVE, trucks))
        store.close()
        self._further += count
        self._cpu.append(cpu / count)
        self._reads.append(self._read())

    def _read(self) -> float:
        """The median's seconds."""
        reader = open_reader(self._url)
        assert reader is not None
        chance, times = random.Random(len(self._reads)), []
        for _ in range(READS):
            at = timestamps.from_datetime(START + timedelta(seconds=chance.randrange(1, self._minutes * 60 + 1)))
            truck_id = chance.choice(self._truck_ids)
            before = time.perf_counter()
            found = queries.history(reader, truck_id, at)
            times.append(time.perf_counter() - before)
            assert len(found) == 1
        reader.close()
        return statistics.median(times)

    def row(self) -> Row:
        size = sum(each.stat().st_size for each in self._folder.iterdir())
        each = size / (self.samples + self._further)
        return Row(self.what, self.samples, min(self._cpu) * 1e6, min(self._reads) * 1e6, each, self._memory_mb)


def _filled(what: str, url: str) -> tuple[int, float]:
    """How many samples, and this process' memory in MB."""
    trucks, minutes = SIZES[what]
    store = open_store(url)
    samples, _ = fill(Ingest(store, TrackingPolicy.of()), stream(_truck_ids(trucks), minutes, 0), FILLING)
    store.close()
    return samples, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _truck_ids(trucks: int) -> list[str]:
    return [f"TRUCK-{number:05}" for number in range(trucks)]


def plot(rows: Sequence[Row]) -> str:
    """Each cost relative to the smallest size's, over the sizes in order."""
    series = [
        Series(name, [(at, getattr(each, field) / getattr(rows[0], field)) for at, each in enumerate(rows)])
        for name, field in (("ingest CPU", "cpu_us"), ("as-of read", "read_us"), ("bytes", "bytes_each"))
    ]
    between = " · ".join(each.what for each in rows[1:-1])
    ends = rows[0].what, rows[-1].what
    return svg(series, unit=between, seconds=len(rows) - 1, label="growth", ends=ends)


def main(arguments: Sequence[str]) -> int:
    """Print the table and write the plot; 1 if an aim is missed."""
    if arguments:
        print(json.dumps(_filled(*arguments)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        sizes = [Size(what, Path(folder)) for what in SIZES]
        for _ in range(TURNS):
            for size in sizes:
                size.take_turn()
        rows = [size.row() for size in sizes]
    print(f"{'size':>15}{'samples':>10}{'ingest µs':>11}{'as-of µs':>10}{'bytes':>8}{'memory MB':>11}")
    for found in rows:
        print(
            f"{found.what:>15}{found.samples:>10,}{found.cpu_us:>11.0f}{found.read_us:>10.0f}{found.bytes_each:>8.0f}"
            f"{found.memory_mb:>11.0f}"
        )
    fleets, days = rows[: len(FLEETS)], rows[len(FLEETS) :]
    met = True
    for name, some in (("trucks", fleets), ("history", days)):
        ratios = {
            field: max(getattr(each, field) for each in some) / getattr(some[0], field)
            for field in ("cpu_us", "read_us", "bytes_each")
        }
        met = met and max(ratios.values()) <= AIM
        said = ", ".join(f"{field} {ratio:.2f} ×" for field, ratio in ratios.items())
        print(f"{name}: {said} (aim ≤ {AIM:g})")
    PLOT.write_text(_drawn(fleets, days), encoding="utf-8")
    return 0 if met else 1


def _drawn(fleets: Sequence[Row], days: Sequence[Row]) -> str:
    style = (
        "text{font:13px sans-serif;fill:#444}.grid{stroke:#ddd}.series{fill:none;stroke-width:2}"
        ".s0{stroke:#0072b2}.s1{stroke:#d55e00}.s2{stroke:#009e73}"
    )
    parts = [
        plot(rows).replace("<svg ", f'<svg y="{at * 240}" height="220" width="960" ', 1)
        for at, rows in enumerate((fleets, days))
    ]
    key = (
        '<text x="70" y="24">× the smallest: ingest CPU (blue), as-of read (orange), bytes of the store (green)</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 470"><style>{style}</style>'
        f'<rect width="960" height="470" fill="#fff"/>{"".join(parts)}{key}</svg>\n'
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
