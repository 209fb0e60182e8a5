"""The writer's queue: bounded, and never closed to a group for its size alone."""

from pathlib import Path

import pytest

from collector.history import TrackingPolicy
from collector.ingest import Ingest
from collector.stores.sqlite.store import SqliteStore
from contract.errors import Retryable
from contract.ingest_items import Item
from contract.timestamps import from_ms
from standalone.group_commit_writer import MAX_QUEUED, Writer
from tests.contract.examples import RECEIVED_MS


def _items(count: int, truck: str = "T1") -> list[Item]:
    return [
        Item(
            "telemetry",
            "mqtt:x",
            {"truck_id": truck, "sampled_at": from_ms(RECEIVED_MS - n)},
            RECEIVED_MS,
            truck_id=truck,
        )
        for n in range(count)
    ]


def test_a_group_larger_than_the_queue_is_taken_when_nothing_waits(tmp_path: Path) -> None:
    """Thirty trucks that come back with 2,000 samples each were refused as busy for ever."""
    store = SqliteStore(tmp_path / "milepost.db")
    with Writer(store, Ingest(store, TrackingPolicy.of())) as writer:
        receipts = writer.submit(_items(MAX_QUEUED + 1)).result(120)
    assert {receipt.status for receipt in receipts} == {"accepted"}
    store.close()


def test_a_full_queue_refuses_at_once(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "milepost.db")
    writer = Writer(store, Ingest(store, TrackingPolicy.of()))  # its thread has not begun: nothing leaves the queue
    writer.submit(_items(MAX_QUEUED))
    with pytest.raises(Retryable, match="wait to be written"):
        writer.submit(_items(1))
    store.close()


def test_a_store_that_takes_nothing_is_failing_until_it_takes_something(tmp_path: Path) -> None:
    """/healthz said `ok` while a full disk refused every record."""
    store = SqliteStore(tmp_path / "milepost.db")
    with Writer(store, Ingest(store, TrackingPolicy.of())) as writer:
        store._db.execute("PRAGMA max_page_count = 1")  # no page more than it has: what SQLite says on a full disk
        with pytest.raises(Retryable, match="full"):
            writer.submit(_items(1000)).result(60)
        assert "disk is full" in writer.stats()["failing"]
        store._db.execute("PRAGMA max_page_count = 1000000")
        writer.submit(_items(1)).result(60)
        assert "failing" not in writer.stats()
    store.close()
