"""The lake holds exactly what the store holds, whatever was built before and wherever a build was killed."""

import contextlib
import datetime
import fcntl
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.stores.factory import open_reader, open_store
from contract.errors import Misconfigured, Retryable, Unreachable
from tests.milepost_process import REPOSITORY, environment
from tests.warehouse.fleet import Fleet, drive
from warehouse.lake import catalog, schema
from warehouse.lake.build import Lake
from warehouse.lake.schema import LakeColumn, LakeTable

START = "2024-06-01T23:50:00.000Z"
SPEEDS = [0, 50, 60, 0, 0, 0, 70, 30, 0, 0, 40, 50, 60, 0, 0, 0, 0, 0, 0, 20]


def _clicks(count: int) -> list[dict[str, Any]]:
    kinds = ("page_view", "view", "add_to_cart", "purchase")
    return [
        {
            "event_id": f"e{n}",
            "event_type": kinds[n % 4],
            "timestamp": f"2024-06-0{1 + n % 3}T12:{n % 60:02d}:00.000Z",
            "session_id": f"v{n % 5}",
            "price": 1.5,
            "title": "\ud800 half",
        }
        for n in range(count)
    ]


def test_every_row_once_typed_and_whole(fleet: Fleet) -> None:
    fleet.take([*drive("T1", START, SPEEDS), *drive("T2", START, SPEEDS[::-1], brakes="worn")])
    fleet.take(
        [{"truck_id": "T3", "timestamp": "2024-05-01T00:00:00Z", "engine_diagnostics": {"temperature": 80}}],
        received=START,
    )
    fleet.take([{"truck_id": "T1", "sampled_at": "no time"}], received=START)
    fleet.click(_clicks(10))
    made = fleet.build()
    assert {name: table["rows"] for name, table in made["tables"].items()}["telemetry"] == 2 * len(SPEEDS) + 1
    rows = fleet.lake_rows()
    columns = [column.name for column in schema.TELEMETRY.columns]
    legacy = dict(zip(columns, next(row for row in rows["telemetry"] if row[0] == "T3"), strict=True))
    assert (legacy["engine_temperature"], legacy["stream_id"], legacy["day"]) == (80, None, datetime.date(2024, 5, 1))
    assert [len(rows[name]) for name in ("click", "dead_letter")] == [10, 1]
    assert fleet.check()["ok"]


def test_a_late_day_writes_only_its_day_and_where_versions_ended(fleet: Fleet) -> None:
    fleet.take(drive("T1", "2024-06-01T12:00:00.000Z", SPEEDS))
    fleet.take(drive("T1", "2024-06-05T12:00:00.000Z", SPEEDS, seq=100))
    fleet.build()
    assert fleet.build()["tables"]["telemetry"]["days"] == []
    fleet.take(drive("T1", "2024-06-03T12:00:00.000Z", [50], seq=50, brakes="worn"))
    made = fleet.build()["tables"]
    assert made["telemetry"]["days"] == ["2024-06-03"]
    # the version of the 1st now ends on the 3rd; that of the 5th did not begin a version before
    assert made["truck_version"]["days"] == ["2024-06-01", "2024-06-03", "2024-06-05"]
    assert fleet.check()["ok"]


def test_a_click_that_moves_to_another_day_leaves_its_old_one(fleet: Fleet) -> None:
    """What ingest keeps of an event may be replaced by an earlier delivery: the lake follows the store."""
    import sqlite3

    fleet.click(_clicks(6))
    fleet.build()
    with sqlite3.connect(fleet.folder / "milepost.db") as store:
        now = int(time.time() * 1000)
        store.execute(
            "UPDATE clicks SET timestamp = '2024-06-09T00:00:00.000Z', received_ms = ? WHERE event_id='e1'", [now]
        )
    assert fleet.build()["tables"]["click"]["days"] == ["2024-06-02", "2024-06-09"]
    assert sorted(row[0] for row in fleet.lake_rows()["click"]) == [f"e{n}" for n in range(6)]
    assert fleet.check()["ok"]


@settings(max_examples=20 if "MILEPOST_PROVE" in os.environ else 1)
@given(st.randoms(use_true_random=False), st.integers(1, 4))
def test_any_order_any_batches_one_lake(order: random.Random, builds: int) -> None:
    samples = [*drive("T1", START, SPEEDS), *drive("T2", "2024-06-02T00:05:00.000Z", SPEEDS, brakes="worn")]
    events = _clicks(12)
    with tempfile.TemporaryDirectory() as folder:
        one, other = Fleet(Path(folder, "one")), Fleet(Path(folder, "other"))
        one.take(samples)
        one.click(events)
        one.build()
        shuffled = [*samples, *order.sample(samples, 10)]
        order.shuffle(shuffled)
        order.shuffle(events)
        for part in range(builds):
            other.take(shuffled[part::builds])
            other.click(events[part::builds])
            other.build()
        assert other.lake_rows() == one.lake_rows()
        assert other.check()["ok"]
        one.close()
        other.close()


@pytest.mark.parametrize("kills", [3, pytest.param(25, marks=pytest.mark.prove)])
def test_killed_anywhere_and_run_again(fleet: Fleet, kills: int) -> None:
    fleet.take(drive("T1", START, SPEEDS))
    fleet.click(_clicks(12))
    fleet.build()
    held = fleet.lake_rows()
    fleet.take(drive("T1", "2024-06-01T20:00:00.000Z", SPEEDS, stream="s2", brakes="worn"))
    command = [sys.executable, "-m", "milepost", "lake", "build", "--data-dir", str(fleet.folder)]
    dice = random.Random(kills)
    for _ in range(kills):
        build = subprocess.Popen(
            command, env=environment(), cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 90
        stage = fleet.folder / "lake" / ".stage"
        while build.poll() is None and not stage.exists() and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(dice.random() * 0.4)
        build.send_signal(signal.SIGKILL)
        build.communicate()
        seen = fleet.lake_rows()
        assert seen == held or len(seen["telemetry"]) == 2 * len(SPEEDS)
    fleet.build()
    assert len(fleet.lake_rows()["telemetry"]) == 2 * len(SPEEDS)
    assert fleet.check()["ok"]


def test_a_second_build_is_refused(fleet: Fleet) -> None:
    fleet.build()
    with (fleet.folder / "lake" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Retryable, match="another build"):
            fleet.build()


@pytest.mark.parametrize("later", ["2024-06-01T20:00:00.000Z", "2024-06-02T20:00:00.000Z"], ids=["day", "another"])
def test_a_damaged_file_is_named_and_the_next_build_heals_it(later: str, fleet: Fleet) -> None:
    """Also where nothing came for its day."""
    fleet.take(drive("T1", "2024-06-01T12:00:00.000Z", SPEEDS))
    fleet.build()
    (path,) = (fleet.folder / "lake" / "telemetry").rglob("*.parquet")
    path.write_bytes(b"PAR1 nonsense PAR1")
    found = fleet.check()
    assert not found["ok"]
    assert str(path) in found["checks"][0]["problem"]
    fleet.take(drive("T1", later, SPEEDS, seq=100))
    fleet.build()
    assert fleet.check()["ok"]
    assert len(fleet.lake_rows()["telemetry"]) == 2 * len(SPEEDS)


def test_a_column_of_another_type_is_named_and_the_next_build_heals_it(fleet: Fleet) -> None:
    """A text in place of a number would turn sums and comparisons of the column into those of texts."""
    fleet.take(drive("T1", "2024-06-01T12:00:00.000Z", SPEEDS))
    fleet.build()
    (path,) = (fleet.folder / "lake" / "telemetry").rglob("*.parquet")
    with duckdb.connect() as db:
        other = path.with_suffix(".other")
        rows = f"SELECT * REPLACE (CAST(odometer_reading AS VARCHAR) AS odometer_reading) FROM '{path}'"
        db.execute(f"COPY ({rows}) TO '{other}' (format parquet)")
    other.replace(path)
    named = f"{path}: column odometer_reading is VARCHAR, not DOUBLE; run `milepost lake build --whole`"
    assert fleet.check()["checks"][0]["problem"] == named
    with pytest.raises(Unreachable, match=re.escape(named)):
        fleet.build_marts()
    fleet.build()
    assert fleet.check()["ok"]
    fleet.build_marts()


def _limited() -> None:
    """No file may grow over 24 KB, as on a disk that is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (24_000, 24_000))


def test_a_full_disk_is_said_and_the_next_build_goes_on(fleet: Fleet) -> None:
    fleet.take(drive("T1", "2024-06-01T12:00:00.000Z", SPEEDS))
    fleet.build()
    held = fleet.lake_rows()
    many = [{**sample, "note": random.Random(n).randbytes(400).hex()} for n, sample in enumerate(_two_hundred())]
    fleet.take(many)
    command = [sys.executable, "-m", "milepost", "lake", "build", "--data-dir", str(fleet.folder)]
    done = subprocess.run(
        command, env=environment(), cwd=REPOSITORY, capture_output=True, text=True, check=False, preexec_fn=_limited
    )
    assert done.returncode != 0
    assert "is full" in done.stderr
    assert "make room" in done.stderr
    assert "Traceback" not in done.stderr
    assert fleet.lake_rows() == held
    fleet.build()
    assert fleet.check()["ok"]
    assert len(fleet.lake_rows()["telemetry"]) == len(SPEEDS) + 200


def test_a_full_disk_is_said_by_a_build_of_the_marts_and_readers_keep_theirs(fleet: Fleet) -> None:
    fleet.take(drive("T1", "2024-06-01T12:00:00.000Z", SPEEDS))
    fleet.build()
    fleet.build_marts()
    held = fleet.query("SELECT * FROM truck_day")
    fleet.take(_two_hundred())
    fleet.build()
    command = [sys.executable, "-m", "milepost", "warehouse", "build", "--data-dir", str(fleet.folder)]
    done = subprocess.run(
        command, env=environment(), cwd=REPOSITORY, capture_output=True, text=True, check=False, preexec_fn=_limited
    )
    assert done.returncode != 0
    assert "make room and run `milepost warehouse build` again" in done.stderr
    assert "Traceback" not in done.stderr
    assert fleet.query("SELECT * FROM truck_day") == held
    fleet.build_marts()
    assert len(fleet.query("SELECT * FROM truck_day")) == 2


def _two_hundred() -> list[dict[str, Any]]:
    return drive("T1", "2024-06-02T12:00:00.000Z", [50] * 200, seq=100)


def test_a_write_that_fails_leaves_the_lake_as_it_was(fleet: Fleet) -> None:
    fleet.take(drive("T1", "2024-06-01T12:00:00.000Z", SPEEDS))
    fleet.build()
    held = fleet.lake_rows()
    fleet.take(drive("T1", "2024-06-02T12:00:00.000Z", SPEEDS, seq=100))
    in_the_way = fleet.folder / "lake" / "telemetry" / "data" / "day=2024-06-02"
    in_the_way.write_text("a file where the day's folder should be")
    with pytest.raises((Unreachable, OSError)):
        fleet.build()
    assert fleet.lake_rows() == held
    in_the_way.unlink()
    fleet.build()
    assert fleet.check()["ok"]


def test_a_lake_that_was_moved_is_settled_over_its_files(fleet: Fleet, tmp_path: Path) -> None:
    fleet.take(drive("T1", START, SPEEDS))
    fleet.click(_clicks(10))
    fleet.build()
    held = fleet.lake_rows()
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (tmp_path / "lake").rename(moved / "lake")
    for name in ("milepost.db", "milepost.db-wal", "milepost.db-shm"):
        if (tmp_path / name).exists():
            (moved / name).write_bytes((tmp_path / name).read_bytes())
    files = sorted((moved / "lake").rglob("*.parquet"))
    other = Fleet(moved)
    other.lake.adapt_location()
    assert other.lake_rows() == held
    assert other.check()["ok"]
    assert sorted((moved / "lake").rglob("*.parquet")) == files  # none was written anew
    other.take(drive("T2", START, SPEEDS))
    assert other.build()["tables"]["telemetry"]["rows"] == 2 * len(SPEEDS)
    assert other.check()["ok"]
    other.close()


def test_a_moved_lake_that_lacks_a_file_says_so(fleet: Fleet, tmp_path: Path) -> None:
    fleet.take(drive("T1", START, SPEEDS))
    fleet.build()
    (tmp_path / "lake").rename(tmp_path / "moved")
    next((tmp_path / "moved").rglob("telemetry/**/*.parquet")).unlink()
    with pytest.raises(Misconfigured, match="lacks a file"):
        Lake(tmp_path / "moved").adapt_location()


def test_events_that_the_store_dropped_stay_in_the_lake(fleet: Fleet) -> None:
    fleet.click(_clicks(30), received="2024-06-04T00:00:00.000Z")
    fleet.build()
    held = fleet.lake_rows()["click"]
    with contextlib.closing(open_store(fleet.url)) as store:
        while store.drop_clicks("2024-06-03T00:00:00.000Z", 100):
            pass
        assert len(list(store.clicks())) == 10
    for options in ({}, {"whole": True}):
        fleet.build(**options)
        assert fleet.lake_rows()["click"] == held
        assert fleet.check()["ok"]
    (late,) = fleet.click([{**_clicks(1)[0], "event_id": "late"}], received="2024-06-04T00:00:00.000Z")
    assert (late.status, late.field) == ("rejected", "timestamp")


def test_a_damaged_file_takes_no_dropped_event_of_another_with_it(fleet: Fleet) -> None:
    fleet.click(_clicks(30), received="2024-06-04T00:00:00.000Z")
    fleet.take(drive("T1", START, SPEEDS))
    fleet.build()
    held = fleet.lake_rows()["click"]
    with contextlib.closing(open_store(fleet.url)) as store:
        while store.drop_clicks("2024-06-03T00:00:00.000Z", 100):
            pass
    next((fleet.folder / "lake" / "telemetry").rglob("*.parquet")).write_bytes(b"PAR1 nonsense PAR1")
    fleet.build()
    assert fleet.lake_rows()["click"] == held
    damaged = min((fleet.folder / "lake" / "click").rglob("day=*/*.parquet"))
    with duckdb.connect() as db:
        lost = db.execute(f"SELECT count(*) FROM '{damaged}'").fetchone()
    assert lost
    assert 0 < lost[0] < 20
    damaged.write_bytes(b"PAR1 nonsense PAR1")
    fleet.build()
    left = fleet.lake_rows()["click"]
    assert set(left) < set(held)
    assert len(left) == len(held) - lost[0]


def test_a_column_that_is_new_is_null_in_older_files(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.take(drive("T1", "2024-06-01T12:00:00.000Z", SPEEDS))
    fleet.build()
    older = schema.TELEMETRY
    cargo = LakeColumn("cargo_temperature", "double", "cargo temperature, °C", ("cargo_temperature",))
    newer = LakeTable(older.name, older.comment, (*older.columns, cargo), older.key, older.sort)
    for module in ("build.schema", "tables"):
        monkeypatch.setattr(f"warehouse.lake.{module}.TELEMETRY", newer)
    monkeypatch.setattr("warehouse.lake.tables.TABLES", (newer,))
    fleet.take(
        [{**record, "cargo_temperature": -18.5} for record in drive("T1", "2024-06-02T12:00:00.000Z", [50], seq=100)]
    )
    fleet.build()
    lake = catalog.LakeCatalog(fleet.folder / "lake")
    assert lake.table(newer).schema().find_field("cargo_temperature").doc == "cargo temperature, °C"
    build = lake.newest()
    assert build
    values = (
        lake.table(newer).scan(snapshot_id=build.snapshots["telemetry"]).to_arrow()["cargo_temperature"].to_pylist()
    )
    assert sorted(values, key=lambda value: value is None) == [-18.5, *[None] * len(SPEEDS)]


def test_duckdb_and_pyiceberg_read_it_as_iceberg(fleet: Fleet) -> None:
    import duckdb
    from duckdb_extensions import import_extension

    fleet.take(drive("T1", START, SPEEDS))
    fleet.build()
    table = fleet.lake.catalog.table(schema.TELEMETRY)
    assert table.scan().to_arrow().num_rows == len(SPEEDS)
    with duckdb.connect() as db:
        for name in ("avro", "iceberg"):
            import_extension(name)
            db.execute(f"LOAD {name}")
        scan = f"iceberg_scan('{table.metadata_location}')"
        query = f"SELECT count(*), max(vehicle_speed) FROM {scan} WHERE day = '2024-06-02'"
        assert db.execute(query).fetchone() == (len(SPEEDS) - 10, 60.0)


def test_no_store_makes_empty_tables(tmp_path: Path) -> None:
    from warehouse.lake.build import Lake, LakeSources

    assert open_reader(f"sqlite:///{tmp_path / 'none.db'}") is None
    made = Lake(tmp_path / "lake").build(LakeSources())
    assert made["build"] == 1
