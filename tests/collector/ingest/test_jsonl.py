"""Ingest of files: what a batch does to the process that reads it."""

import gc
import json
from pathlib import Path

import pytest

from collector.history import TrackingPolicy
from collector.ingest import Ingest
from collector.ingest.jsonl import ingest_lines
from collector.stores.sqlite.store import SqliteStore
from contract.errors import Retryable
from tests.contract.examples import RECEIVED_MS, sample


def test_cycles_are_searched_for_again_after_a_batch_and_after_a_failure(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "milepost.db")
    taker = Ingest(store, TrackingPolicy.of())
    lines = [json.dumps(sample(seq=1)).encode(), b"not JSON"]
    [sums] = ingest_lines(taker, lines, "telemetry", clock_ms=lambda: RECEIVED_MS)
    assert sums == {"accepted": 1, "duplicate": 0, "rejected": 1}
    assert gc.isenabled()
    with store.unit():
        store.remember_policy(TrackingPolicy.of("every-sample").text)
    with pytest.raises(Retryable):
        list(ingest_lines(taker, lines, "telemetry", clock_ms=lambda: RECEIVED_MS))
    assert gc.isenabled()
    store.close()
