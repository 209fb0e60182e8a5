"""The lake's build beside a bare DuckDB COPY: aim ≥ 0.5 × its rows/s. A late day, 100 against 10 days: ≤ 1.5.

The COPY reads the same samples as JSON lines, takes the same fields apart and writes Parquet by day with zstd; the lake
also reads the store, keeps documents and order, makes versions, and commits. A late sample of one day is then built
into a lake of 10 days and into one of 100 with the same rows a day.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from collector.history import Point, Run, plan
from collector.rows import StoredSample
from collector.stores import Change
from collector.stores.factory import open_reader, open_store
from contract import timestamps
from tests.contract.examples import sample
from warehouse.lake.build import Lake, Sources

RATE_AIM, LATE_AIM = 0.5, 1.5
DAYS, LARGE, PER_DAY = 10, 100, 2_000
FIRST_MS = timestamps.to_ms("2026-01-01T00:00:00.000Z")
DAY_MS = 86_400_000


def _sample(day: int, number: int) -> StoredSample:
    at_ms = FIRST_MS + day * DAY_MS + number * (DAY_MS // (PER_DAY + 1))
    seq, at = day * PER_DAY + number + 1, timestamps.from_ms(at_ms)
    record = {**sample(truck_id="T1", seq=seq, sampled_at=at), "stream_id": "s1"}
    key = f"{at}#s1#{seq:019d}#{seq:064x}"
    return StoredSample(key, "[]", "s1", seq, f"{seq:064x}", at_ms + 1000, False, json.dumps(record))


def _put(url: str, samples: list[StoredSample]) -> None:
    store = open_store(url)
    head = store.head("T1")
    points = tuple(Point(each.order_key, each.key) for each in samples)
    with store.unit():
        store.put_samples("T1", samples)
        store.apply("T1", head, Change(plan([Run(head.current, points, (), None)]), points[-1].order_key))
    store.close()


def _built(folder: Path, url: str) -> float:
    """CPU seconds."""
    reader = open_reader(url)
    assert reader
    began = time.process_time()
    Lake(folder).build(Sources(reader))
    took = time.process_time() - began
    reader.close()
    return took


_FIELDS = {
    "truck_id": "VARCHAR",
    "stream_id": "VARCHAR",
    "seq": "BIGINT",
    "sampled_at": "TIMESTAMPTZ",
    "gps_location": "STRUCT(latitude DOUBLE, longitude DOUBLE, altitude DOUBLE, speed DOUBLE)",
    "vehicle_speed": "DOUBLE",
    "engine_diagnostics": "STRUCT(engine_rpm DOUBLE, fuel_level DOUBLE, engine_temperature DOUBLE, oil_pressure DOUBLE,"
    " battery_voltage DOUBLE)",
    "odometer_reading": "DOUBLE",
    "fuel_consumption": "DOUBLE",
}


def _copied(samples: list[StoredSample], folder: Path) -> float:
    lines = folder / "samples.jsonl"
    lines.write_text("\n".join(each.text for each in samples), encoding="utf-8")
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in _FIELDS.items())
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        began = time.process_time()
        db.execute(
            f"COPY (SELECT *, CAST(sampled_at AS DATE) AS day FROM read_json('{lines}', columns = {{{columns}}}))"
            f" TO '{folder / 'copied'}' (format parquet, compression zstd, partition_by (day))"
        )
        return time.process_time() - began


def _late(days: int, folder: Path) -> tuple[float, list[StoredSample], float]:
    """CPU seconds of the first build, its samples, and those of a build after one late sample (best of three)."""
    url = f"sqlite:///{folder / 'store.db'}"
    samples = [_sample(day, number) for day in range(days) for number in range(PER_DAY)]
    _put(url, samples)
    first = _built(folder / "lake", url)
    tries = []
    for attempt in range(3):
        late = list(_late_sample(days // 2, attempt))
        _put_late(url, late)
        tries.append(_built(folder / "lake", url))
    return first, samples, min(tries)


def _late_sample(day: int, attempt: int) -> Iterator[StoredSample]:
    """A sample of a stream of its own, on a day that has been built."""
    at = timestamps.from_ms(FIRST_MS + day * DAY_MS + 5_000 + attempt)
    record: dict[str, Any] = {**sample(truck_id="T1", seq=attempt + 1, sampled_at=at), "stream_id": "late"}
    key = f"{at}#late#{attempt + 1:019d}#{attempt:064x}"
    now = int(time.time() * 1000)
    yield StoredSample(key, "[]", "late", attempt + 1, f"late{attempt}", now, False, json.dumps(record))


def _put_late(url: str, samples: list[StoredSample]) -> None:
    store = open_store(url)
    with store.unit():
        store.put_samples("T1", samples)
    store.close()


def main() -> int:
    with tempfile.TemporaryDirectory() as name:  # what is imported at the first build is not its rows' cost
        _late(1, Path(name))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in ("small", "large"):
            (folder / each).mkdir()
        first, samples, small = _late(DAYS, folder / "small")
        copied = _copied(samples, folder)
        _, _, large = _late(LARGE, folder / "large")
    ratio = copied / first
    print(
        f"a first build of {len(samples):,} samples over {DAYS} days: {len(samples) / first:,.0f} rows per CPU second"
    )
    print(f"a bare COPY of the same JSON lines: {len(samples) / copied:,.0f} rows per CPU second")
    print(f"ratio: {ratio:.2f} (aim: ≥ {RATE_AIM})")
    print(f"a late sample, {PER_DAY:,} rows a day: {small:.2f} CPU s with {DAYS} days, {large:.2f} with {LARGE}")
    print(f"ratio: {large / small:.2f} (aim: ≤ {LATE_AIM})")
    return int(ratio < RATE_AIM or large / small > LATE_AIM)


if __name__ == "__main__":
    sys.exit(main())
