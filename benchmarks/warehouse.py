"""The marts of a fleet, and of one more day; what dashboards ask. Aims: one more day ≤ 1/10; each query < 0.3 s.

Samples are made as Parquet straight in the lake: a sample a minute of each truck, driving, idling and standing. Rows
and days are those that are printed; `python -m benchmarks.warehouse 1000 30` makes the fleet of the design. A second
lake has one year of two trucks.
"""

import resource
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from warehouse.build import build
from warehouse.engines.duckdb import DuckDbEngine
from warehouse.lake.catalog import LakeCatalog
from warehouse.lake.schema import TELEMETRY
from warehouse.lake.writing import TableWriter, connection, relation
from warehouse.read import query
from warehouse.sources import Terms

DAY_AIM, QUERY_AIM = 0.1, 0.3
FIRST = date(2026, 1, 1)
TRUCKS, DAYS = 100, 30  # of fewer trucks a build of one more day is mostly the start of its process


def _samples(trucks: int, first: date, days: int) -> str:
    """Of each two hours 80 minutes are driven, 15 idled, 25 stood; a refuel every second night."""
    start = (first - FIRST).days * 1440
    return f"""
        SELECT 'TRUCK-' || lpad(CAST(truck AS VARCHAR), 5, '0') AS truck_id, moment AS sampled_at,
            moment + INTERVAL 2 SECOND AS received_at, 's1' AS stream_id, minute + 1 AS seq,
            strftime(moment, '%Y-%m-%dT%H:%M:%S.000Z') || '#s1#' || lpad(CAST(minute + 1 AS VARCHAR), 19, '0')
                AS order_key,
            md5(truck || '-' || minute) AS content_hash, '[]' AS tracked_key, false AS dated_by_arrival,
            'gps' AS time_quality, 48 + (minute % 5000) / 1e4 AS gps_latitude, 11 + truck / 1e3 AS gps_longitude,
            CASE WHEN phase < 80 THEN 60 + 20 * sin(minute) ELSE 0 END AS vehicle_speed,
            CASE WHEN phase < 80 THEN 1400 WHEN phase < 95 THEN 650 ELSE 0 END AS engine_rpm,
            95 - (minute % 2880) / 40.0 AS fuel_level, minute * 0.66 AS odometer_reading,
            CASE WHEN phase < 80 THEN 22.5 WHEN phase < 95 THEN 2 ELSE 0 END AS fuel_consumption,
            85 + sin(minute) AS engine_temperature, 40.0 AS oil_pressure, 13.8 AS battery_voltage,
            CAST(moment AT TIME ZONE 'UTC' AS DATE) AS day
        FROM (
            SELECT truck, minute, (minute + truck) % 120 AS phase,
                TIMESTAMPTZ '{FIRST} 00:00:00+00' + minute * INTERVAL 1 MINUTE AS moment
            FROM range({trucks}) AS t (truck), range({start}, {start + days * 1440}) AS m (minute))"""


def grow(folder: Path, trucks: int, first: date, days: int) -> None:
    """A build of the lake that adds days of telemetry to those it has."""
    catalog = LakeCatalog(folder)
    last = catalog.newest()
    held = catalog.files(TELEMETRY, last.snapshots["telemetry"]) if last else {}
    db = connection(folder / ".stage", "2GB")
    made = {}
    writer = TableWriter(db, TELEMETRY, folder, held=held, ids=catalog.field_ids(TELEMETRY))
    for number in range(days):
        day = first + timedelta(days=number)
        rows = f"SELECT * FROM {relation(TELEMETRY, [])} UNION ALL BY NAME {_samples(trucks, day, 1)}"
        made[day.isoformat()] = writer.write(day.isoformat(), rows)
    paths = [path for group in (*held.values(), *made.values()) for path in group]
    snapshots = {"telemetry": catalog.commit(TELEMETRY, paths)}
    marks = {"folder": str(catalog.folder)}
    catalog.record("2026-06-01T00:00:00.000Z", snapshots=snapshots, marks=marks, days={"telemetry": sorted(made)})


def _build(folder: Path) -> tuple[float, float]:
    """CPU seconds, and the peak memory in MB, of a build in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "benchmarks.warehouse", "--build", str(folder)], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return took, after.ru_maxrss / 1024


def _asked(folder: Path, sql: str) -> float:
    """Seconds of the fastest of five as a dashboard asks, from the opening of the file to rows of plain values."""
    tries = []
    for _ in range(5):
        began = time.perf_counter()
        rows = query(sql, folder)
        tries.append(time.perf_counter() - began)
        assert rows
    return min(tries)


def main(trucks: int, days: int) -> int:
    with tempfile.TemporaryDirectory() as name:
        fleet, year = Path(name, "fleet"), Path(name, "year")
        grow(fleet / "lake", trucks, FIRST, days)
        first, peak = _build(fleet)
        print(f"first build: {trucks} trucks × {days} days = {trucks * days * 1440:,} rows in {first:.1f} CPU s")
        print(f"peak memory: {peak:,.0f} MB (DuckDB may use 1,000)")
        grow(fleet / "lake", trucks, FIRST + timedelta(days=days), 1)
        more, _ = _build(fleet)
        share = more / first
        print(f"one more day: {trucks * 1440:,} rows in {more:.1f} CPU s, {share:.2f} of the first (aim: ≤ {DAY_AIM})")
        grow(year / "lake", 2, FIRST, 365)
        _build(year)
        asked = {
            f"a day of {trucks} trucks": _asked(fleet, f"SELECT * FROM truck_day WHERE day = DATE '{FIRST}'"),
            "a year of one truck, by day": _asked(
                year, "SELECT day, distance_km, fuel_l, idle_min FROM truck_day WHERE truck_id = 'TRUCK-00001'"
            ),
            "a year of one truck, by hour": _asked(year, "SELECT * FROM truck_hour WHERE truck_id = 'TRUCK-00001'"),
        }
        for what, seconds in asked.items():
            print(f"query of {what}: {seconds:.3f} s (aim: < {QUERY_AIM})")
    return int(more / first > DAY_AIM or max(asked.values()) >= QUERY_AIM)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--build"]:
        where = Path(sys.argv[2])
        build(where / "lake", DuckDbEngine(where / "warehouse.duckdb"), Terms())
        sys.exit(0)
    sys.exit(main(*map(int, sys.argv[1:3])) if len(sys.argv) > 2 else main(TRUCKS, DAYS))
