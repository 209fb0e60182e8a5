"""What the judge of a run sees in a store: every row, and a latency only where the truck knew the time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.ingest_cpu import envelope
from collector.history import TrackingPolicy
from collector.ingest import Ingest, items_of_stream_record
from collector.stores.factory import open_store
from contract import timestamps
from contract.codec import dump
from simulator.scenario.observer import NEVER
from simulator.scenario.store_watch import StoreWatch

STREAM = "0123456789abcdef"


def test_a_wrong_clock_is_no_latency(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    path = tmp_path / "milepost.db"
    store = open_store(f"sqlite:///{path}")
    ingest = Ingest(store, TrackingPolicy.of())
    watch, backlog = StoreWatch(path), StoreWatch(path, live_from=NEVER)
    clocks = [("gps", timedelta()), ("estimated", timedelta(hours=-3)), ("ntp", timedelta(seconds=-40))]
    for seq, (quality, off) in enumerate(clocks, start=1):
        at = timestamps.from_datetime(now + off)
        head = {"schema_version": 1, "truck_id": "T1", "stream_id": STREAM, "seq": seq}
        sample = {**head, "sampled_at": at, "time_quality": quality, "vehicle_speed": 50.0}
        received = envelope("T1", timestamps.to_ms(timestamps.from_datetime(now)), dump(sample).encode())
        ingest.ingest(items_of_stream_record(received))
    found = watch.look()
    assert found.count == 3
    quick, late = sorted(found.latencies)
    assert late - quick > 39
    assert quick < 3600
    assert (backlog.look().count, backlog.look().count) == (3, 0)
    watch.close()
    backlog.close()
    store.close()
