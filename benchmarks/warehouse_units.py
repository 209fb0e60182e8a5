"""What the scheduled build of lake and marts takes a sample and a truck-day; rewrites deploy/cost/warehouse_units.json.

Simulated trucks' records as Firehose's archive has them are ingested twice (new, then repeats); lake and marts are
those of benchmarks/warehouse.py. CPU is this machine's. `--write` stores the result; without it it is only printed.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks._trucks import A_DAY, NOW, simulated
from benchmarks.warehouse import FIRST, grow
from contract import timestamps
from contract.codec import dump

FILE = Path(__file__).parent.parent / "deploy" / "cost" / "warehouse_units.json"
TRUCKS, MINUTES = 6, A_DAY
MART_TRUCKS, MART_DAYS = 20, 30
ASSUMED = {
    "start_seconds": 45, "task_vcpus": 2, "task_gb": 8, "days_read_again": 2.5, "part_of_a_day_written_anew": 0.5,
    "days_of_history": 365, "queries_a_day": 100, "part_of_the_marts_a_query_scans": 0.02, "image_bytes": 500_000_000,
}  # fmt: skip
"""What is not measured: the container's start, deploy/warehouse.yaml's size, what deploy/warehouse_build.py reads
again, how long history is, and what analysts ask."""


def _run(folder: Path, *arguments: str) -> float:
    """CPU seconds of a command of `milepost` in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-P", "-m", "milepost", *arguments, "--data-dir", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _bytes(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern))


def _taken(folder: Path) -> dict[str, float]:
    """Samples: into the store, again, and into the lake."""
    archive, one = folder / "archive.jsonl", folder / "one.jsonl"
    records = [json.loads(payload) for own in simulated(TRUCKS, MINUTES).values() for _, payload in own]
    received = int(NOW.timestamp() * 1000)
    lines = [
        dump({"received_at": timestamps.from_ms(received), "source": "archive", "record": each}) for each in records
    ]
    archive.write_text("\n".join(lines) + "\n", encoding="utf-8")
    one.write_text(lines[0] + "\n", encoding="utf-8")
    small = folder / "small"
    start = _run(small, "ingest", "--stream", "telemetry", str(one))
    empty = _run(small, "lake", "build")
    new = _run(folder, "ingest", "--stream", "telemetry", str(archive))
    again = _run(folder, "ingest", "--stream", "telemetry", str(archive))
    lake = _run(folder, "lake", "build")
    count = len(records)
    for each in (small, folder):
        _run(each, "warehouse", "build")
        _run(each, "warehouse", "export", str(each / "marts"))
    exported, least = (_bytes(each, "marts/*/*.parquet") for each in (folder, small))
    return {
        "exported_bytes_per_truck_day": (exported - least) / (TRUCKS * MINUTES / A_DAY),
        "exported_bytes_of_no_truck": least,
        # `build/` is none: it says of which lake build they are.
        "marts": len({path.parent for path in (folder / "marts").glob("*/*.parquet")}) - 1,
        "fixed_cpu_seconds": start + empty,
        "take_cpu_seconds_per_sample": (new - start) / count,
        "repeat_cpu_seconds_per_sample": (again - start) / count,
        "lake_cpu_seconds_per_sample": (lake - empty) / count,
        "store_bytes_per_sample": _bytes(folder, "milepost.db*") / count,
        "lake_bytes_per_sample": _bytes(folder, "lake/telemetry/data/**/*.parquet") / count,
    }


def _made(folder: Path) -> dict[str, float]:
    """Marts of some trucks' months, after a day was added: what one more build takes of each truck-day."""
    small = folder / "small"
    grow(small / "lake", 1, FIRST, 1)
    fixed = _run(small, "warehouse", "build") + _run(small, "warehouse", "export", str(small / "marts"))
    grow(folder / "lake", MART_TRUCKS, FIRST, MART_DAYS - 1)
    _run(folder, "warehouse", "build")
    last: date = FIRST + timedelta(days=MART_DAYS - 1)
    grow(folder / "lake", MART_TRUCKS, last, 1)
    made = _run(folder, "warehouse", "build") + _run(folder, "warehouse", "export", str(folder / "marts"))
    truck_days = MART_TRUCKS * MART_DAYS
    return {
        "fixed_cpu_seconds": fixed,
        "marts_cpu_seconds_per_truck_day": (made - fixed) / truck_days,
        "marts_bytes_per_truck_day": _bytes(folder, "warehouse.duckdb") / truck_days,
    }


def measured() -> dict[str, Any]:
    """warehouse_units.json."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        taken, made = _taken(Path(one)), _made(Path(other))
    fixed = taken.pop("fixed_cpu_seconds") + made.pop("fixed_cpu_seconds")
    found = {**taken, **made, "fixed_cpu_seconds": fixed}
    return {
        "measured_at": datetime.now(UTC).date().isoformat(),
        "measured_by": "benchmarks/warehouse_units.py",
        "assumed": ASSUMED,
        **{name: float(f"{value:.3g}") for name, value in found.items()},
    }


def main(arguments: Sequence[str]) -> int:
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    text = json.dumps(measured(), indent=2) + "\n"
    print(f"{text}no aim: what stands is in deploy/cost/{FILE.name}")
    if "--write" in arguments:
        FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
