"""Every mart on every engine that runs here, on one lake: the same rows."""

import contextlib
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
import sqlglot

from contract.errors import MilepostError, Misconfigured
from dashboards.panels import MART_TIME
from tests.milepost_process import REPOSITORY
from tests.postgresql import cluster
from tests.processes import end, free_port
from tests.warehouse import example
from tests.warehouse.fleet import Fleet, at, drive
from warehouse.engines import Engine, LakeView
from warehouse.engines.handover import model_steps, write_sources
from warehouse.engines.postgresql import PostgresEngine
from warehouse.engines.snowflake import SnowflakeEngine
from warehouse.engines.spark import SparkEngine
from warehouse.quality import QualityRule
from warehouse.read import plain_rows
from warehouse.settings import WarehouseSettings
from warehouse.sources import Terms

Marts = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with cluster() as address:
        yield address


@pytest.fixture(scope="module")
def filled() -> Iterator[Fleet]:
    with tempfile.TemporaryDirectory() as folder:
        fleet = Fleet(Path(folder))
        example.fill(fleet)
        fleet.build_marts(terms=example.TERMS)
        yield fleet
        fleet.close()


@pytest.fixture(scope="module")
def ours(filled: Fleet) -> Marts:
    rows = example.rows_of(filled)
    assert [name for name, found in rows.items() if not found] == []
    return rows


def _python(environment: str) -> Path:
    python = REPOSITORY / environment / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no {environment}: `make {environment}/ready` makes it")
    return python


def _wait(port: int, server: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise AssertionError("the server did not come up")


def _same_on(fleet: Fleet, engine: Engine, ours: Marts, *, instants_as_text: bool = False) -> None:
    counts = fleet.build_marts(engine, terms=example.TERMS)
    assert counts == {name: len(rows) for name, rows in ours.items()}
    for name, grain in example.marts():
        if instants_as_text:
            theirs = _by_texts(engine, name, _instants(fleet, name))
        else:
            theirs = engine.query(f"SELECT * FROM {name}")
        _same(name, ours[name], plain_rows(theirs), grain)


def _instants(fleet: Fleet, name: str) -> dict[str, bool]:
    """Column → whether it holds instants."""
    rows = fleet.query(
        "SELECT column_name AS name, data_type AS kind FROM information_schema.columns"
        f" WHERE table_schema = 'marts' AND table_name = '{name}' ORDER BY ordinal_position"
    )
    return {row["name"]: row["kind"] == "TIMESTAMP" for row in rows}


def _by_texts(engine: Engine, name: str, instants: dict[str, bool]) -> list[dict[str, Any]]:
    """fakesnow sends a null instant to the connector as 1970: instants are asked for as texts."""
    asked = [
        f'TO_VARCHAR("{column.upper()}") AS "{column.upper()}"' if is_instant else f'"{column.upper()}"'
        for column, is_instant in instants.items()
    ]
    rows = engine.query(f"SELECT {', '.join(asked)} FROM {name}")
    for row in rows:
        for column, is_instant in instants.items():
            if is_instant and row[column] is not None:
                row[column] = datetime.fromisoformat(row[column])
    return rows


def _same(name: str, ours: list[dict[str, Any]], theirs: list[dict[str, Any]], grain: list[str]) -> None:
    ours, theirs = (sorted(rows, key=lambda row: [str(row[key]) for key in grain]) for rows in (ours, theirs))
    assert [list(row) for row in ours] == [list(row) for row in theirs], name
    for one, other in zip(ours, theirs, strict=True):
        for column, value in one.items():
            number = isinstance(value, float)
            assert other[column] == (pytest.approx(value, rel=1e-9, abs=1e-9) if number else value), (name, column)


def test_postgresql(filled: Fleet, ours: Marts, url: str) -> None:
    engine = PostgresEngine(url)
    _same_on(filled, engine, ours)
    with psycopg.connect(url) as connection:
        indexes = _indexes(connection)
        connection.execute("ALTER TABLE marts.truck_day DROP CONSTRAINT truck_day_pkey")  # a key of another release
        connection.execute("ALTER TABLE marts.truck_day ADD CONSTRAINT truck_day_pkey PRIMARY KEY (day, truck_id)")
        connection.execute("DROP INDEX marts.truck_hour_by_hour")
        connection.execute("CREATE INDEX my_own ON marts.truck_day (distance_km)")
    _same_on(filled, engine, ours)  # rows are exchanged, not added
    with psycopg.connect(url) as connection:
        assert _indexes(connection) == indexes | {("truck_day", ("distance_km",), False)}
    wanted = {name: tuple(grain) for name, grain in example.marts() if name not in _NO_KEY}
    assert {name: columns for name, columns, primary in indexes if primary} == wanted
    begun = {(name, columns[0]) for name, columns, _ in indexes}
    assert {(mart, time[0]) for mart, time in MART_TIME.items() if time} <= begun
    of_trucks = {name for name, rows in ours.items() if "truck_id" in rows[0]} - {"completeness_day"}
    assert {(name, "truck_id") for name in of_trucks} <= begun
    assert {(name, "day") for name in ("fact_click", "fact_delivery", "fact_order_line")} <= begun


_NO_KEY = {
    *("audience_day", "campaign_day", "completeness_day", "page_day", "page_flow", "recommendation_day"),
    *("rejected_day", "sales_day", "search_day"),
}
"""A stranger's text is part of the grain, longer than an index holds."""


def _indexes(connection: "psycopg.Connection[Any]") -> set[tuple[str, tuple[str, ...], bool]]:
    """(mart, columns, whether it is the primary key) of each index."""
    rows = connection.execute(
        "SELECT tablename, array_agg(attname::text ORDER BY attnum), bool_or(indisprimary) FROM pg_indexes"
        " JOIN pg_index ON indexrelid = format('%I.%I', schemaname, indexname)::regclass"
        " JOIN pg_attribute ON attrelid = indexrelid WHERE schemaname = 'marts' GROUP BY tablename, indexname"
    )
    return {(name, tuple(columns), primary) for name, columns, primary in rows}


def test_no_text_that_strangers_send_is_too_long_for_postgresql(fleet: Fleet, url: str) -> None:
    """Random, since what an index holds is packed; in letters of four bytes."""
    chosen = random.Random(7)

    def text(letters: int) -> str:
        return "".join(chr(chosen.randrange(0x20000, 0x2A000)) for _ in range(letters))

    names = ("page", "search_term", "utm_source", "utm_medium", "utm_campaign", "category", "country", "placement")
    identifiers = {name: text(256) for name in ("item_id", "user_id", "session_id", "customer_id", "recommendation_id")}
    kinds = ("page_view", "page_view", "search", "view", "click", "purchase")
    events = [
        {"event_type": kind, "timestamp": at(example.START, n), "order_id": text(256), "model_version": text(2048)}
        | {"event_id": text(128), "price": 1, "currency": "EUR"} | identifiers | {name: text(2048) for name in names}
        for n, kind in enumerate(kinds)
    ]  # fmt: skip
    assert {receipt.status for receipt in fleet.click(events)} == {"accepted"}
    refused = {**drive("T1", example.START, [50])[0], "truck_id": text(9000)}
    assert [receipt.status for receipt in fleet.take([refused])] == ["rejected"]
    fleet.build()
    counts = fleet.build_marts(PostgresEngine(url))
    assert all(counts[name] for name in (*_NO_KEY, "fact_click", "product_day", "customer"))


@pytest.mark.prove
def test_snowflake_by_its_own_connector(filled: Fleet, ours: Marts, tmp_path: Path) -> None:
    """Against fakesnow's server: what it answers is DuckDB's, what it is asked is Snowflake's SQL."""
    python, port = _python(".venv-snowflake"), free_port()
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([python, "-m", "fakesnow", "-s", "-p", str(port)], stdout=log, stderr=log)
    try:
        _wait(port, server)
        address = f"host=127.0.0.1&port={port}&protocol=http&schema=PUBLIC"
        engine = SnowflakeEngine(f"snowflake://u:p@fakesnow/MILEPOST?{address}", python)
        assert engine.holds() is None
        _same_on(filled, engine, ours, instants_as_text=True)
        _same_on(filled, engine, ours, instants_as_text=True)
        assert engine.holds() is not None
    finally:
        end(server)


@pytest.mark.prove
def test_spark(filled: Fleet, ours: Marts, tmp_path: Path) -> None:
    _same_on(filled, SparkEngine(tmp_path / "marts", _python(".venv-spark")), ours)


class AthenaOnDuckDb:
    """Athena's SQL as rendered, understood by sqlglot and run by DuckDB: no Athena runs here."""

    def __init__(self) -> None:
        self._db = duckdb.connect()
        self._db.execute("SET TimeZone = 'UTC'")

    def holds(self) -> tuple[int, str] | None:
        return None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        yield

    def build(self, lake: LakeView, models_digest: str) -> dict[str, int]:
        counts = {}
        for schema in ("lake", "base", "marts"):
            self._db.execute(f"CREATE SCHEMA {schema}")
        with tempfile.TemporaryDirectory() as folder:
            for name in write_sources(lake, Path(folder), "parquet"):
                self._db.execute(f"CREATE TABLE lake.{name} AS SELECT * FROM '{folder}/{name}.parquet'")
        for step in model_steps("athena", "CREATE TABLE {name} AS"):
            (kind, text), *_ = step.items()
            found = self._db.execute(sqlglot.transpile(text, read="athena", write="duckdb")[0]).fetchone()
            if kind == "count":
                assert found
                counts[step["name"]] = found[0]
            elif kind == "audit":
                assert found is None, step["name"]
        return counts

    def query(self, sql: str) -> list[dict[str, Any]]:
        cursor = self._db.execute(sql.replace("FROM ", "FROM marts."))
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def test_athena_as_sqlglot_reads_it(filled: Fleet, ours: Marts) -> None:
    _same_on(filled, AthenaOnDuckDb(), ours)


def test_a_query_changes_nothing_and_says_what_is_wrong(fleet: Fleet, url: str) -> None:
    fleet.take(drive("T1", example.START, example.SPEEDS))
    fleet.build()
    fleet.build_marts()
    fleet.build_marts(PostgresEngine(url))
    for engine in (fleet.engine, PostgresEngine(url)):
        for wrong in ("SELECT nothing FROM truck_day", "CREATE TABLE t (x int)", "DELETE FROM truck_day"):
            with pytest.raises(Misconfigured, match="refuses"):
                engine.query(wrong)


def test_a_quality_rule_warns_or_stops(fleet: Fleet, url: str) -> None:
    """What stops a build stands in the mart of the rules, nowhere else, until a build without the rule."""
    fleet.take(drive("T1", example.START, [60, 170, 60]))
    fleet.build()
    strict = QualityRule(name="never_over_100", table="telemetry", bad="vehicle_speed > 100", action="stop")
    stopping = Terms(warehouse=WarehouseSettings(quality=(strict,)))
    too_fast = {"rule": "telemetry_speed_is_plausible", "rows": 3, "failed": 1, "verdict": "warn"}
    stopped = {"rule": "never_over_100", "rows": 4, "failed": 2, "verdict": "stop"}
    broken = "SELECT rule, rows, failed, verdict FROM quality_run WHERE verdict <> 'ok' ORDER BY rule"
    with pytest.raises(MilepostError, match="never_over_100"):
        fleet.build_marts(terms=stopping)
    assert fleet.engine.holds() is None
    for engine in (fleet.engine, PostgresEngine(url)):
        fleet.build_marts(engine)
        assert engine.query(broken) == [too_fast]
    fleet.take(drive("T2", example.START, [170]))
    fleet.build()
    for engine in (fleet.engine, PostgresEngine(url)):
        with pytest.raises(MilepostError, match="never_over_100"):
            fleet.build_marts(engine, terms=stopping)
        assert engine.query(broken) == [stopped, {**too_fast, "rows": 4, "failed": 2}]
        assert [row["truck_id"] for row in engine.query("SELECT truck_id FROM truck_day")] == ["T1"]
        fleet.build_marts(engine)
        assert engine.query(broken) == [{**too_fast, "rows": 4, "failed": 2}]
        assert len(engine.query("SELECT truck_id FROM truck_day")) == 2


def test_who_holds_a_build_reads_it_to_the_end_and_everybody_else_the_new_one(fleet: Fleet) -> None:
    """Also while they overlap: DuckDB itself gives who opens a path anew the file that another opened under it."""
    asked = "SELECT sum(samples_received) AS samples FROM truck_day"

    def samples() -> object:
        return fleet.engine.query(asked)[0]["samples"]

    def grow(day: str) -> None:
        fleet.take(drive("T1", f"{day}T00:00:00.000Z", example.SPEEDS))
        fleet.build()
        fleet.build_marts()

    grow("2024-06-01")
    first = samples()
    with ThreadPoolExecutor() as another, fleet.engine.held():
        assert samples() == first
        grow("2024-06-02")
        second = another.submit(samples).result()
        assert (samples(), second) == (first, 2 * len(example.SPEEDS))
    assert (first, samples()) == (len(example.SPEEDS), second)
