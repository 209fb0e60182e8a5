"""DynamoDB write units per truck-day on recorded trips, from ReturnConsumedCapacity on ministack.

The drives of tests/recordings, one sample a minute as the agent takes them: alone as they arrive, and ten together as a
backlog comes. What version changes cost is printed apart: the rest must be 2.0 a sample alone and 1.1 with ten. Run by
the default policy, and by one under which a car's rpm and speed make many versions. Scaled to a day of 1,440 samples.
"""

import csv
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from collector.history import TrackingPolicy  # noqa: E402
from collector.ingest import Ingest, vouch_for_policy  # noqa: E402
from collector.stores.dynamodb import DynamoDbStore, create_tables  # noqa: E402
from contract import timestamps  # noqa: E402
from contract.ingest_items import Item  # noqa: E402
from tests import ministack  # noqa: E402
from tests.recordings import recording  # noqa: E402

TABLE = recording("trips/driveplotr_nds_drives.csv")
POLICIES: dict[str, Any] = {
    "default policy": None,
    "rpm by 250, speed in 6 bands": {
        "engine_diagnostics.engine_rpm": {"step": 250},
        "vehicle_speed": {"bands": [1, 30, 50, 70, 90]},
    },
}
A_DAY = 1_440
_numbers = count()


def drives() -> dict[str, list[dict[str, Any]]]:
    """truck_id → its records, a minute apart."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with TABLE.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            records = found[f"DRIVE-{row['drive']}"]
            at = int(row["time_utc"])
            if not records or at * 1000 - timestamps.to_ms(records[-1]["sampled_at"]) >= 60_000:
                records.append(_record(f"DRIVE-{row['drive']}", len(records) + 1, row))
    return found


def _record(truck: str, seq: int, row: dict[str, str]) -> dict[str, Any]:
    rpm = {"engine_rpm": float(row["engine_rpm"])} if row["engine_rpm"] else None
    return {
        "schema_version": 1,
        "truck_id": truck,
        "stream_id": "0123456789abcdef0123456789abcdef",
        "seq": seq,
        "sampled_at": timestamps.from_ms(int(row["time_utc"]) * 1000),
        "time_quality": "gps",
        "gps_location": {"latitude": float(row["gps_lat"]), "longitude": float(row["gps_long"])},
        "vehicle_speed": round(float(row["speed_mph"]) * 1.609344, 3),
        "engine_diagnostics": rpm,
    }


def batches(records: list[dict[str, Any]], size: int) -> Iterator[list[Item]]:
    for first in range(0, len(records), size):
        some = records[first : first + size]
        arrived = timestamps.to_ms(some[-1]["sampled_at"]) + 1_000
        yield [Item("telemetry", "mqtt:fleet/x/telemetry", each, arrived) for each in some]


def measure(client: Any, track: Any, size: int) -> tuple[float, float, int, int]:
    """Write units without and for version changes, samples, version changes; first samples of trucks apart."""
    meter = ministack.Metered(client)
    prefix = f"units-{next(_numbers)}"
    create_tables(client, prefix, expiring=False)
    store = DynamoDbStore(prefix, meter, clock=lambda: 0.0)
    policy = TrackingPolicy.of(track)
    vouch_for_policy(store, policy)
    plain = changing = 0.0
    samples = changes = 0
    for truck, records in drives().items():
        ingest = Ingest(store, policy)
        ingest.ingest(next(batches(records, 1)))
        for batch in batches(records[1:], size):
            if len(batch) < size:
                continue
            before = store.version_count(truck)
            meter.take()
            ingest.ingest(batch)
            written, _ = meter.take()
            opened = store.version_count(truck) - before
            steady = len(batch) + 1
            plain, changing = (
                plain + (written if not opened else steady),
                changing + (written - steady if opened else 0),
            )
            samples, changes = samples + len(batch), changes + opened
    store.close()
    return plain, changing, samples, changes


def main() -> int:
    wrong = 0
    with tempfile.TemporaryDirectory() as folder, ministack.running(Path(folder)) as url:
        client = ministack.client(url)
        for name, track in POLICIES.items():
            for size, aim in ((1, 2.0), (10, 1.1)):
                plain, changing, samples, changes = measure(client, track, size)
                each = changing / changes if changes else 0
                print(
                    f"{name}, {size} together: {plain / samples:.2f} units a sample (aim {aim}), {each:.2f} a version"
                    f" change; a truck-day: {plain / samples * A_DAY:,.0f} + {changing / samples * A_DAY:,.0f} for"
                    f" {changes / samples * A_DAY:,.0f} changes ({samples} samples, {changes} changes measured)"
                )
                wrong += plain / samples > aim + 0.005
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
