"""A truck whose clock nobody vouches for loses nothing by it: each sample is dated once, on every store."""

import itertools
from typing import Any

import pytest

from collector import queries
from collector.ingest import Ingest
from collector.stores import Store
from contract import timestamps
from contract.ingest_items import Item
from tests.promises.rivals import NOW_MS, POLICIES

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
numbers = itertools.count()


def _take(store: Store, record: dict[str, Any], received_ms: int) -> str:
    item = Item(
        "telemetry", f"mqtt:fleet/{record['truck_id']}/telemetry", record, received_ms, truck_id=record["truck_id"]
    )
    [receipt] = Ingest(store, POLICIES["every-sample"]).ingest([item])
    return receipt.status


def _sample(truck: str, seq: int, sampled_at: str) -> dict[str, Any]:
    return {
        "truck_id": truck,
        "stream_id": "s",
        "seq": seq,
        "sampled_at": sampled_at,
        "time_quality": "estimated",
        "vehicle_speed": seq,
    }


@pytest.mark.parametrize(
    ("offset_ms", "dated_by_arrival"),
    [
        (2 * HOUR_MS, True),
        (-3 * DAY_MS, False),
        (-36 * DAY_MS, True),
        (400 * DAY_MS, True),
        (-NOW_MS, True),  # 1970
        (75 * 365 * DAY_MS, True),  # 2099
    ],
)
def test_an_estimated_sample_is_never_refused_and_dated_once(
    store: Store, offset_ms: int, dated_by_arrival: bool
) -> None:
    """Also when it comes again later, when its time is no longer in the future or no longer within 35 days."""
    truck = f"E{next(numbers)}"
    record = _sample(truck, 1, timestamps.from_ms(NOW_MS + offset_ms))
    received = [NOW_MS, NOW_MS + 3 * HOUR_MS, NOW_MS + 34 * DAY_MS]
    assert [_take(store, record, at) for at in received] == ["accepted", "duplicate", "duplicate"]
    [row] = queries.history(store, truck)
    expected = timestamps.from_ms(NOW_MS) if dated_by_arrival else record["sampled_at"]
    assert row["effective_start_date"] == row["sample"]["sampled_at"] == expected
    assert row["sample"]["time_quality"] == "estimated"
    assert row["sample"].get("producer_sampled_at") == (record["sampled_at"] if dated_by_arrival else None)
    assert row["load_timestamp"] == timestamps.from_ms(NOW_MS)
    ledger = store.ledgers(truck)["s"]
    assert (ledger.received.as_lists(), ledger.missing().as_lists()) == ([[1, 1]], [])


def test_a_time_that_cannot_be_read_is_none(store: Store) -> None:
    truck = f"E{next(numbers)}"
    assert _take(store, _sample(truck, 1, "half past nine"), NOW_MS) == "accepted"
    [row] = queries.history(store, truck)
    assert row["effective_start_date"] == timestamps.from_ms(NOW_MS)


def test_a_time_that_is_vouched_for_is_judged_as_before(store: Store) -> None:
    truck = f"E{next(numbers)}"
    ahead = _sample(truck, 1, timestamps.from_ms(NOW_MS + 2 * HOUR_MS))
    for quality in ("gps", "ntp", "cloud", None):
        assert _take(store, {**ahead, "time_quality": quality}, NOW_MS) == "rejected"
