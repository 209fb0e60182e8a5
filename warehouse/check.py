"""`warehouse check`: do an engine's marts hold what the lake holds?"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb

from contract.errors import Misconfigured
from warehouse.engines import Engine
from warehouse.engines.snowflake import SnowflakeEngine
from warehouse.lake.catalog import Build, LakeCatalog
from warehouse.lake.schema import TELEMETRY, TRUCK_VERSION, LakeTable
from warehouse.lake.writing import relation
from warehouse.read import plain_rows

Row = dict[str, Any]
_SAMPLES = "SELECT truck_id, CAST(day AS VARCHAR), count(*) FROM {lake} GROUP BY ALL"
_VERSIONS = """SELECT truck_id, effective_start_date AT TIME ZONE 'UTC' AS start_at,
    effective_end_date AT TIME ZONE 'UTC' AS end_at, is_current FROM {lake}"""


def check(folder: Path, engine: Engine) -> Row:
    """Compare an engine's marts with the newest finished build of a lake.

    Args:
        folder: the lake's.
        engine: holds the marts.

    Returns:
        `{ok, build, checks: [{check, lake, engine, problem}]}`. `build`: which lake build each is of; `samples`: rows
        per truck and day, summed; `history`: a digest of the SCD type 2 versions, independent of their order; on
        Snowflake also `landing`, the table that its own MERGE keeps. problem is null where both agree, else it names a
        truck and day that differ.

    Raises:
        Misconfigured: there is no lake or no warehouse yet.
        Unreachable: the engine does not answer.
    """
    newest = LakeCatalog(folder).newest()
    if newest is None:
        raise Misconfigured(f"no lake in {folder}: run `milepost lake build` first")
    held = engine.holds()
    if held is None:
        raise Misconfigured(
            "no marts on this engine: run `milepost warehouse build` with the same --engine first,"
            " or `milepost warehouse export` for Athena (docs/athena.md)"
        )
    behind = (
        None
        if held[0] == newest.id
        else "run `milepost warehouse build` (and export it to Athena): the lake was built since"
    )
    samples = {(truck, day): str(count) for truck, day, count in _asked(folder, newest, TELEMETRY, _SAMPLES)}
    found = _asked(folder, newest, TRUCK_VERSION, _VERSIONS)
    versions = _lines([dict(enumerate(row)) for row in found])
    checks = [
        _row("build", newest.id, held[0], behind),
        _samples(samples, engine),
        _history("history", versions, engine, "truck_history"),
    ]
    if isinstance(engine, SnowflakeEngine) and engine.has_landing():
        checks.append(_history("landing", versions, engine, "landing.truck_telemetry_data"))
        checks += [_row(name, None, shown, problem) for name, shown, problem in engine.loads()]
    return {"ok": all(row["problem"] is None for row in checks), "build": newest.id, "checks": checks}


def _asked(folder: Path, build: Build, table: LakeTable, query: str) -> list[tuple[Any, ...]]:
    files = LakeCatalog(folder).files(table, build.snapshots.get(table.name))
    paths = [path for each in files.values() for path in each]
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        return db.execute(query.format(lake=relation(table, paths))).fetchall()


def _samples(lake: dict[tuple[str, str], str], engine: Engine) -> Row:
    rows = plain_rows(engine.query("SELECT truck_id, day, samples_received FROM truck_day"))
    held = {(row["truck_id"], row["day"]): str(row["samples_received"]) for row in rows}
    differing = sorted({*lake.items()} ^ {*held.items()})
    problem = None
    if differing:
        (truck, day), _ = differing[0]
        here, there = lake.get((truck, day), "no"), held.get((truck, day), "no")
        days = len({key for key, _ in differing})
        problem = f"{days} truck-days differ, such as {truck} on {day}: {here} samples in the lake, {there} in the mart"
    return _row("samples", sum(map(int, lake.values())), sum(map(int, held.values())), problem)


def _history(name: str, lake: list[str], engine: Engine, table: str) -> Row:
    sql = f"SELECT truck_id, effective_start_date, effective_end_date, is_current FROM {table}"
    held = _lines(engine.query(sql))
    differing = sorted({*lake} ^ {*held})
    problem = f"{len(differing)} versions differ, such as {differing[0]}" if differing else None
    return _row(name, _digest(lake), _digest(held), problem)


def _lines(rows: list[dict[Any, Any]]) -> list[str]:
    return [" ".join("-" if value is None else str(value) for value in row.values()) for row in plain_rows(rows)]


def _digest(rows: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()[:16]


def _row(check: str, lake: Any, engine: Any, problem: str | None) -> Row:
    return {"check": check, "lake": lake, "engine": engine, "problem": problem}
