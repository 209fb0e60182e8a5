"""From a wrong clock on a truck into history: with and without the time of the cloud, on every store, none refused."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.timing.cloud_time import CloudInstant
from collector import queries
from collector.ingest import Ingest
from collector.stores import Store
from contract import timestamps
from contract.ingest_items import Item
from tests.agent.fakes import TruckClock
from tests.agent.sampling.test_recorder import Drive
from tests.promises.rivals import POLICIES

TRUTH = datetime(2026, 6, 1, 8, tzinfo=UTC)
CLOCKS = {
    "1970": datetime(1970, 1, 1, tzinfo=UTC) - TRUTH,
    "three days behind": timedelta(days=-3),
    "two hours ahead": timedelta(hours=2),
    "400 days ahead": timedelta(days=400),
    "2099": datetime(2099, 1, 1, tzinfo=UTC) - TRUTH,
}
numbers = itertools.count()


@pytest.mark.parametrize("rule", [True, False], ids=["the cloud's time", "set right by hand"])
@pytest.mark.parametrize("error", CLOCKS.values(), ids=CLOCKS)
def test_once_time_was_learnt_every_sample_stands_in_history_at_its_own_minute(
    store: Store, tmp_path: Path, error: timedelta, rule: bool
) -> None:
    """Ten samples by the wrong clock; then the rule answers, or somebody sets the clock; then fifteen more."""
    clock = TruckClock(TRUTH)
    clock.error = error
    drive = Drive(tmp_path, clock)
    drive.drive(10)
    drive.connected = True
    if rule:
        assert drive.recorder.witness_cloud(CloudInstant(clock.truth, 0.2))
    else:
        clock.error = timedelta()
    drive.drive(15)
    truck = f"W{next(numbers)}"
    received_ms = timestamps.to_ms(timestamps.from_datetime(clock.truth))
    sent = [{**json.loads(body), "truck_id": truck} for _, body in sorted(drive.final.items())]
    items = [Item("telemetry", f"mqtt:fleet/{truck}/telemetry", sample, received_ms, truck_id=truck) for sample in sent]
    assert [receipt.status for receipt in Ingest(store, POLICIES["every-sample"]).ingest(items)] == ["accepted"] * 25
    dated = {row["sample"]["seq"]: row["sample"]["sampled_at"] for row in queries.history(store, truck)}
    assert dated.keys() == drive.truth.keys()
    for seq, taken in drive.truth.items():
        assert abs(timestamps.to_datetime(dated[seq]) - taken) <= timedelta(minutes=1), seq
