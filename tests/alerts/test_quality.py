"""Alerts of quality rules: of a real warehouse, and kept over builds, starts and files that are no warehouse."""

import json
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest

from alerts.evaluation import Evaluation
from alerts.fact_watch import FactSources, FactWatch
from alerts.queries import kept_alerts
from alerts.rules import load_rules
from alerts.settings import Receiver
from alerts.writing import Writing
from contract import timestamps
from standalone.alert_loops import QualityRun
from tests.collector.stores_on_disk import Collector
from tests.warehouse.fleet import Fleet, drive
from warehouse import read
from warehouse.engines.building import QualityStopped
from warehouse.quality import QualityRule
from warehouse.settings import WarehouseSettings
from warehouse.sources import Terms

RULES = load_rules()
OPS = Receiver(name="ops", kind="webhook", url="http://127.0.0.1:1", secret="x" * 24, wait_seconds=0)
FIRST, SECOND, THIRD = (f"2024-06-0{day}T00:00:00.000Z" for day in (1, 2, 3))


class Service:
    """Who judges beside a data folder's warehouse; it may be started again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._collector = folder, Collector(folder / "alerts.db")
        self.start()

    def start(self) -> None:
        store = self._collector.store
        evaluation = Evaluation(RULES, [OPS], Writing(lambda act: act(store)))
        source = QualityRun(self.folder, WarehouseSettings())
        self._watch = FactWatch(RULES, evaluation, FactSources(quality=source))

    def look(self, now: str) -> list[tuple[str, str, str | None]]:
        """(subject, start, end) of the alerts."""
        self._watch.step(self._collector.store, timestamps.to_ms(now))
        return [(each["subject"], each["start"], each["end"]) for each in self.alerts]

    @property
    def alerts(self) -> list[dict[str, Any]]:
        return kept_alerts(self._collector.store)

    @property
    def told(self) -> list[str]:
        due = self._collector.store.outbox("ops", timestamps.to_ms("9000-01-01T00:00:00.000Z"), 100)
        return [json.loads(each.text)["event"] for each in due]

    def close(self) -> None:
        self._collector.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    yield made
    made.close()


def write_mart(folder: Path, run_at: str, failed: int) -> None:
    """A warehouse of this one mart, put in the place of the one before as a build does it."""
    with duckdb.connect(str(folder / "new")) as db:
        db.execute("CREATE SCHEMA base; CREATE SCHEMA marts")
        db.execute(
            "CREATE TABLE marts.quality_run AS SELECT CAST(? AS TIMESTAMP) AS run_at, 'speedy' AS rule,"
            " 'telemetry' AS table_name, 400 AS rows, CAST(? AS BIGINT) AS failed, 0.05 AS threshold,"
            " 'warn' AS action, CASE WHEN failed > 20 THEN 'warn' ELSE 'ok' END AS verdict",
            [run_at.removesuffix("Z"), failed],
        )
    (folder / "new").replace(folder / "warehouse.duckdb")


def test_a_rule_that_fails_on_a_lake_is_told_from_its_build_on(tmp_path: Path, service: Service) -> None:
    assert service.look(FIRST) == []  # no warehouse yet
    fleet = Fleet(tmp_path)
    fleet.take(drive("T1", "2024-06-01T12:00:00.000Z", [None] * 10))
    fleet.build()
    fleet.build_marts()
    fleet.close()
    built = fleet.query("SELECT DISTINCT run_at FROM quality_run")[0]["run_at"]
    assert service.look(built) == [("telemetry_has_a_speed", built, None)]
    [alert] = service.alerts
    assert alert["evidence"] == "telemetry: 10 of 10 rows, more than 20%"
    assert (alert["rule"], alert["severity"]) == ("quality_failed", "warning")
    assert service.told == ["opening"]


def test_a_rule_that_stops_a_build_is_told_too(tmp_path: Path, service: Service) -> None:
    fleet = Fleet(tmp_path)
    fleet.take(drive("T1", "2024-06-01T12:00:00.000Z", [60] * 10))
    fleet.build()
    fleet.build_marts()
    strict = QualityRule(name="never_over_50", table="telemetry", bad="vehicle_speed > 50", action="stop")
    with pytest.raises(QualityStopped):
        fleet.build_marts(terms=Terms(warehouse=WarehouseSettings(quality=(strict,))))
    built = fleet.query("SELECT DISTINCT run_at FROM quality_run")[0]["run_at"]
    assert service.look(built) == [("never_over_50", built, None)]
    fleet.build_marts()
    fleet.close()
    assert service.look(THIRD) == [("never_over_50", built, built)]


def test_an_alert_keeps_its_start_over_builds_and_starts_and_without_a_warehouse(
    tmp_path: Path, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    write_mart(tmp_path, FIRST, failed=30)
    going_on = [("speedy", FIRST, None)]
    assert service.look(FIRST) == going_on
    service.start()
    write_mart(tmp_path, SECOND, failed=31)
    assert service.look(SECOND) == going_on
    assert [each[0] for each in service.alerts[0]["samples"]] == [FIRST, SECOND]
    for broken in (b"no warehouse", b""):
        caplog.clear()
        (tmp_path / "warehouse.duckdb").write_bytes(broken)
        with caplog.at_level(logging.WARNING):
            assert [service.look(SECOND) for _ in range(3)] == [going_on] * 3
        assert [each.getMessage().split()[0] for each in caplog.records] == ["quality_not_read"]
    (tmp_path / "warehouse.duckdb").unlink()
    service.start()
    assert service.look(SECOND) == going_on
    write_mart(tmp_path, THIRD, failed=3)
    assert service.look(THIRD) == [("speedy", FIRST, THIRD)]
    assert service.told == ["opening", "end"]


def test_a_build_that_comes_while_a_page_reads_the_one_before_is_seen(tmp_path: Path, service: Service) -> None:
    write_mart(tmp_path, FIRST, failed=30)
    service.look(FIRST)
    with read.one_build(tmp_path):
        read.query("SELECT * FROM quality_run", tmp_path)
        write_mart(tmp_path, SECOND, failed=3)
        with ThreadPoolExecutor() as another:
            assert another.submit(service.look, SECOND).result() == [("speedy", FIRST, SECOND)]


def test_a_file_is_not_read_again_while_it_is_the_same(tmp_path: Path) -> None:
    write_mart(tmp_path, FIRST, failed=30)
    run = QualityRun(tmp_path, WarehouseSettings())
    rows = run()
    assert (rows, rows[0]["verdict"]) == (run(), "warn")
    file = tmp_path / "warehouse.duckdb"
    changed = file.stat().st_mtime_ns
    with file.open("r+b") as opened:
        opened.write(bytes(8192))
    os.utime(file, ns=(changed, changed))
    assert run() == rows
    os.utime(file, ns=(changed, changed + 1_000_000_000))
    assert run() == []


def test_marts_of_another_engine_are_not_asked_for(tmp_path: Path) -> None:
    """Nothing listens there."""
    write_mart(tmp_path, FIRST, failed=30)
    assert QualityRun(tmp_path, WarehouseSettings(engine="postgresql://x@127.0.0.1:1/x"))() == []
