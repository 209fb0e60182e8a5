"""No position older than the limit stays in a truck's files; every sample does, and the cloud takes it."""

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.buffer.sqlite import SqliteBuffer
from agent.errors import BufferDamaged
from collector.history import TrackingPolicy
from collector.ingest import Ingest
from collector.stores.factory import open_store
from contract import timestamps
from contract.ingest_items import Item

NOW_MS = 1_790_000_000_000
NOW = timestamps.to_datetime(timestamps.from_ms(NOW_MS))
LIMIT = NOW - timedelta(days=35)


def taken(days_ago: float, *, quality: str = "gps", place: float = 48.1234) -> dict[str, Any]:
    return {
        "sampled_at": timestamps.from_datetime(NOW - timedelta(days=days_ago)),
        "time_quality": quality,
        "gps_location": {"latitude": place, "longitude": 11.5678, "altitude": 500.0, "speed": 50.0},
        "vehicle_speed": 50.0,
        "site": f"{place},11.5678",
    }


def bodies(buffer: SqliteBuffer) -> list[dict[str, Any]]:
    return [json.loads(row.body) for row in buffer.pending(after=0, through=9999, limit=9999)]


def bytes_beside(path: Path) -> bytes:
    return b"".join(each.read_bytes() for each in path.parent.iterdir())


def test_old_positions_go_and_all_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    with SqliteBuffer(path, "T1") as buffer:
        for days in (60, 50, 36):
            buffer.append(taken(days))
        buffer.append(taken(1, place=52.5))
        buffer.mark_sent([1], at=timestamps.from_ms(NOW_MS))
        assert b"48.1234" in bytes_beside(path)
        assert (buffer.forget_positions(LIMIT), buffer.forget_positions(LIMIT)) == (3, 0)
        assert b"48.1234" not in bytes_beside(path)
        assert (buffer.counts().pending, buffer.counts().sent) == (3, 1)
        old, *_, new = bodies(buffer)
    assert old["gps_location"] == {"latitude": None, "longitude": None, "altitude": None, "speed": 50}
    assert (old["seq"], old["vehicle_speed"], old["quality"]) == (2, 50, {"gps_location": "not_available"})
    assert new["gps_location"]["latitude"] == 52.5


def test_what_was_pruned_before_there_was_a_limit_is_no_longer_in_the_file(tmp_path: Path) -> None:
    path, running = tmp_path / "b.db", [0.0]
    with SqliteBuffer(path, "T1", retain=10, monotonic=lambda: running[0]) as buffer:
        for _ in range(50):
            buffer.append(taken(60))
        buffer.mark_sent(range(1, 50), at=timestamps.from_ms(NOW_MS))
        running[0] = 100.0
        assert buffer.prune() == 49
    assert b"48.1234" in bytes_beside(path)
    with SqliteBuffer(path, "T1") as buffer:
        assert buffer.forget_positions(LIMIT) == 1
        assert b"48.1234" not in bytes_beside(path)


def test_a_sample_of_a_fast_clock_does_not_shield_those_after_it_and_goes_in_its_time(tmp_path: Path) -> None:
    with SqliteBuffer(tmp_path / "b.db", "T1") as buffer:
        for days, quality in ((60, "gps"), (20, "estimated"), (50, "gps"), (10, "gps"), (40, "gps")):
            buffer.append(taken(days, quality=quality))
        assert buffer.forget_positions(LIMIT) == 2  # a witnessed time that is newer ends the search
        assert buffer.forget_positions(NOW - timedelta(days=15)) == 1
        assert buffer.forget_positions(NOW) == 2


def test_many_are_found_from_where_the_last_search_ended(tmp_path: Path) -> None:
    with SqliteBuffer(tmp_path / "b.db", "T1") as buffer:
        for number in range(450):
            buffer.append(taken(100 - number / 10))
        assert buffer.forget_positions(NOW - timedelta(days=90)) == 100
        assert buffer.forget_positions(NOW - timedelta(days=60)) == 300
        assert [sample["gps_location"]["latitude"] is None for sample in bodies(buffer)].index(False) == 400


def test_a_damaged_sample_is_damage_and_no_error_of_ours(tmp_path: Path) -> None:
    with SqliteBuffer(tmp_path / "b.db", "T1") as buffer:
        buffer.append(taken(60))
        buffer._file.db.execute("UPDATE samples SET body = x'ff'")
        with pytest.raises(BufferDamaged):
            buffer.forget_positions(LIMIT)


def test_set_aside_files_and_copies_end_too(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    names = ("b.db.damaged-20260101T000000-0001", "b.db.damaged-20260101T000000-0001-wal", "b.db.version-1", "other")
    for name in names:
        (tmp_path / name).write_bytes(b"48.1234")
        os.utime(tmp_path / name, (LIMIT.timestamp() - 1,) * 2)
    (tmp_path / "b.db.damaged-20260101T000000-0002").touch()
    with SqliteBuffer(path, "T1") as buffer:
        buffer.forget_positions(LIMIT)
    left = {each.name for each in tmp_path.iterdir()}
    assert left >= {"other", "b.db.damaged-20260101T000000-0002"}
    assert not left & set(names[:3])


def test_the_cloud_takes_a_sample_without_its_position(tmp_path: Path) -> None:
    with SqliteBuffer(tmp_path / "b.db", "T1") as buffer:
        buffer.append(taken(30))
        buffer.forget_positions(NOW)
        (sample,) = bodies(buffer)
    store = open_store(f"sqlite:///{tmp_path}/milepost.db")
    (receipt,) = Ingest(store, TrackingPolicy.of(None)).ingest([Item("telemetry", "http:telemetry", sample, NOW_MS)])
    store.close()
    assert (receipt.status, receipt.warnings) == ("accepted", {})
