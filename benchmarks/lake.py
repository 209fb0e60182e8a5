"""The lake's build beside a bare DuckDB COPY: aim ≥ 0.5 × its rows/s. A late day, 100 against 10 days: ≤ 1.5.

The COPY has the same rows in one uncompressed file, types them by the lake's own SQL and writes the same columns by day
with zstd; the lake also reads the store, sorts, makes versions, and commits. A late sample of one day is then built
into a lake of 10 days and into one of 100 with the same rows a day.
"""

import json
import resource
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
from contract import machine_clock, timestamps
from tests.contract.examples import sample
from warehouse.lake import store_rows
from warehouse.lake.build import Lake, LakeSources
from warehouse.lake.tables import telemetry_select

RATE_AIM, LATE_AIM = 0.5, 1.5
DAYS, LARGE, PER_DAY, MANY = 10, 100, 2_000, 20_000
FIRST_MS = timestamps.to_ms("2026-01-01T00:00:00.000Z")
DAY_MS = 86_400_000


def _sample(day: int, number: int, per_day: int = PER_DAY) -> StoredSample:
    at_ms = FIRST_MS + day * DAY_MS + number * (DAY_MS // (per_day + 1))
    seq, at = day * per_day + number + 1, timestamps.from_ms(at_ms)
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
    Lake(folder).build(LakeSources(reader))
    took = time.process_time() - began
    reader.close()
    return took


def _copied(samples: list[StoredSample], folder: Path) -> float:
    """CPU seconds of a bare COPY: the same rows typed by the same SQL, into Parquet by day."""
    raw = folder / "raw.parquet"
    rows = store_rows.samples(("T1", each) for each in samples)
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        db.register("samples", store_rows.batches(store_rows.SAMPLE, rows))
        db.execute(f"COPY (SELECT * FROM samples) TO '{raw}' (format parquet, compression uncompressed)")
        db.unregister("samples")
        db.execute(f"CREATE VIEW samples AS SELECT * FROM '{raw}'")
        options = "format parquet, compression zstd, partition_by (day)"
        began = time.process_time()
        db.execute(f"COPY ({telemetry_select('samples')}) TO '{folder / 'copied'}' ({options})")
        return time.process_time() - began


def _first(folder: Path) -> tuple[float, float, int]:
    """CPU seconds of a first build and of a bare COPY of the same samples, and how many they are."""
    url = f"sqlite:///{folder / 'store.db'}"
    samples = [_sample(day, number, MANY) for day in range(DAYS) for number in range(MANY)]
    _put(url, samples)
    return _built(folder / "lake", url), _copied(samples, folder), len(samples)


def _late(days: int, folder: Path) -> float:
    """CPU seconds of a build after one late sample (best of three)."""
    url = f"sqlite:///{folder / 'store.db'}"
    samples = [_sample(day, number) for day in range(days) for number in range(PER_DAY)]
    _put(url, samples)
    _built(folder / "lake", url)
    tries = []
    for attempt in range(3):
        late = list(_late_sample(days // 2, attempt))
        _put_late(url, late)
        tries.append(_built(folder / "lake", url))
    return min(tries)


def _late_sample(day: int, attempt: int) -> Iterator[StoredSample]:
    """A sample of a stream of its own, on a day that has been built."""
    at = timestamps.from_ms(FIRST_MS + day * DAY_MS + 5_000 + attempt)
    record: dict[str, Any] = {**sample(truck_id="T1", seq=attempt + 1, sampled_at=at), "stream_id": "late"}
    key = f"{at}#late#{attempt + 1:019d}#{attempt:064x}"
    now = machine_clock.now_ms()
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
        for each in ("many", "small", "large"):
            (folder / each).mkdir()
        first, copied, rows = _first(folder / "many")
        small, large = _late(DAYS, folder / "small"), _late(LARGE, folder / "large")
    ratio = copied / first
    print(f"a first build of {rows:,} samples over {DAYS} days: {rows / first:,.0f} rows per CPU second")
    print(f"a bare COPY of the same rows and columns: {rows / copied:,.0f} rows per CPU second")
    print(f"ratio: {ratio:.2f} (aim: ≥ {RATE_AIM})")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB (DuckDB may use 1,000)")
    print(f"a late sample, {PER_DAY:,} rows a day: {small:.2f} CPU s with {DAYS} days, {large:.2f} with {LARGE}")
    print(f"ratio: {large / small:.2f} (aim: ≤ {LATE_AIM})")
    return int(ratio < RATE_AIM or large / small > LATE_AIM)


if __name__ == "__main__":
    sys.exit(main())
