"""`lake check`: does the lake hold what the store holds, and is its history the one that its samples make?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from collector.queries.changes import clicks_received, samples_received
from collector.stores import Reader
from warehouse.lake import store_rows
from warehouse.lake.catalog import Build, LakeCatalog
from warehouse.lake.tables import TABLES
from warehouse.lake.writing import DamagedFile, checked_relation, connection

Row = dict[str, Any]
_IDENTITY = {
    "telemetry": "concat_ws('|', truck_id, order_key, content_hash, epoch_ms(received_at), document)",
    "click": "concat_ws('|', event_id, epoch_ms(received_at), document)",
    "truck_version": "concat_ws('|', truck_id, order_key, tracked_key, epoch_ms(effective_end_date))",
    "dead_letter": "concat_ws('|', id, times)",
}
"""What of a row must be the same in both."""

_STORED = {
    "telemetry": "concat_ws('|', truck_id, order_key, content, received_ms, text)",
    "click": "concat_ws('|', event_id, received_ms, text)",
    "truck_version": "concat_ws('|', truck_id, order_key, key, epoch_ms(CAST(ends AS TIMESTAMPTZ)))",
    "dead_letter": "concat_ws('|', id, times)",
}


def check(folder: Path, reader: Reader | None, *, memory: str) -> Row:
    """Compare the newest finished build with the store and with itself.

    Args:
        folder: the lake's.
        reader: the store; None where there is none, which counts as an empty one.
        memory: what DuckDB may use at most, as it writes sizes.

    Returns:
        `{ok, build, checks: [{check, table, lake, store, problem}]}`. `lake` and `store` are row counts (`count`) or
        digests (`digest`: of the set of rows, independent of their order); problem is null where both agree. What the
        store received after the build is left out of both, and so are events of times that it has dropped events of.
    """
    catalog = LakeCatalog(folder)
    build = catalog.newest()
    if build is None:
        return {"ok": True, "build": None, "checks": []}
    db = connection(folder / ".check", memory)
    checks: list[Row] = []
    for table in TABLES:
        files = [path for paths in catalog.files(table, build.snapshots.get(table.name)).values() for path in paths]
        try:
            rows = checked_relation(db, table, files)
            db.execute(f"CREATE OR REPLACE VIEW lake_{table.name} AS SELECT * FROM {rows}")
            db.execute(f"SELECT max(COLUMNS(*)) FROM lake_{table.name}").fetchall()  # reads every page
        except DamagedFile as error:
            checks.append(_row("readable", table.name, None, None, str(error)))
        except duckdb.Error as error:
            named = next((path for path in files if path in str(error)), "a file")
            reason = f"{named} cannot be read: {str(error).splitlines()[0]}"
            checks.append(_row("readable", table.name, None, None, reason))
    if not checks:
        checks = [*_compared(db, reader, build), _history(db)]
    return {"ok": all(row["problem"] is None for row in checks), "build": build.id, "checks": checks}


def _compared(db: duckdb.DuckDBPyConnection, reader: Reader | None, build: Build) -> Iterator[Row]:
    for table, rows in _stored(reader, build).items():
        db.register("incoming", store_rows.batches(*rows))
        db.execute(f"CREATE OR REPLACE TEMP TABLE store AS SELECT {_STORED[table]} AS row FROM incoming")
        db.unregister("incoming")
        held = f"lake_{table}"
        if table == "click" and reader and (kept_from := reader.recountable_from()):
            held += f" WHERE occurred_at >= '{kept_from[:16]}:00Z'::TIMESTAMPTZ"
        db.execute(f"CREATE OR REPLACE TEMP TABLE lake AS SELECT {_IDENTITY[table]} AS row FROM {held}")
        (rows_held, held_digest), (stored, stored_digest) = (_digest(db, side) for side in ("lake", "store"))
        differing = _different(db)
        problem = None if rows_held == stored else f"{abs(rows_held - stored)} rows differ"
        yield _row("count", table, rows_held, stored, problem)
        yield _row("digest", table, held_digest, stored_digest, differing)


def _stored(reader: Reader | None, build: Build) -> dict[str, tuple[Any, Iterator[tuple[Any, ...]]]]:
    if reader is None:
        return {}
    later = {(truck, sample.order_key) for truck, sample in samples_received(reader, build.marks.get("samples")).rows}
    if build.marks.get("samples") is None:
        later = set()
    every = ((t, s) for t, s in samples_received(reader, None).rows if (t, s.order_key) not in later)
    moved = {truck for truck, _ in later}
    started = int(build.marks.get("started_ms", 0))
    return {
        "telemetry": (store_rows.SAMPLE, store_rows.samples(every)),
        "click": (store_rows.CLICK, store_rows.clicks(_clicks(reader, build))),
        "truck_version": (store_rows.VERSION, _versions(reader, moved)),
        "dead_letter": (
            store_rows.DEAD_LETTER,
            store_rows.dead_letters(each for each in reader.dead_letters() if each.received_ms < started),
        ),
    }


def _clicks(reader: Reader, build: Build) -> Iterator[Any]:
    mark = build.marks.get("clicks")
    later = {click.event_id for click in clicks_received(reader, mark, 2**62).rows} if mark else set()
    kept_from = reader.recountable_from()
    return (
        click
        for click in clicks_received(reader, None).rows
        if click.timestamp >= kept_from and click.event_id not in later
    )


def _versions(reader: Reader, without: set[str]) -> Iterator[tuple[Any, ...]]:
    trucks = [truck for truck in reader.truck_ids() if truck not in without]
    return (row for truck in trucks for row in store_rows.versions(truck, reader.versions(truck)))


def _digest(db: duckdb.DuckDBPyConnection, table: str) -> tuple[int, str]:
    found = db.execute(f"SELECT count(*), bit_xor(md5_number(row)) FROM {table}").fetchone()
    assert found
    return found[0], f"{(found[1] or 0) % 2**64:016x}"


def _different(db: duckdb.DuckDBPyConnection) -> str | None:
    """Which rows stand on one side only, by example."""
    problems = []
    for side, other in (("lake", "store"), ("store", "lake")):
        rows = db.execute(f"SELECT row[:80] FROM {side} EXCEPT ALL SELECT row[:80] FROM {other} LIMIT 3").fetchall()
        changed = db.execute(f"SELECT count(*) FROM (SELECT row FROM {side} EXCEPT ALL SELECT row FROM {other})")
        count = (changed.fetchone() or (0,))[0]
        if count:
            problems.append(f"{count} only in the {side}{': ' if rows else ''}{', '.join(row[0] for row in rows)}")
    return "; ".join(problems) or None


_HISTORY = """
    WITH keyed AS (
        SELECT truck_id, order_key, tracked_key, sampled_at,
            lag(tracked_key) OVER (PARTITION BY truck_id ORDER BY order_key) AS before
        FROM lake_telemetry
    ), opened AS (SELECT * FROM keyed WHERE before IS DISTINCT FROM tracked_key), made AS (
        SELECT truck_id, order_key, tracked_key,
            lead(sampled_at) OVER (PARTITION BY truck_id ORDER BY order_key) AS ends
        FROM opened
    ), held AS (SELECT truck_id, order_key, tracked_key, effective_end_date AS ends FROM lake_truck_version)
    SELECT (SELECT count(*) FROM held), (SELECT count(*) FROM made), (SELECT count(*) FROM (
        (SELECT * FROM made EXCEPT SELECT * FROM held) UNION ALL (SELECT * FROM held EXCEPT SELECT * FROM made)))"""


def _history(db: duckdb.DuckDBPyConnection) -> Row:
    """SCD type 2 recomputed in SQL from the lake's samples, against the versions that the collector kept."""
    held, made, differing = db.execute(_HISTORY).fetchone() or (0, 0, 0)
    problem = f"{differing} versions differ from those that the samples make" if differing else None
    return _row("history", "truck_version", held, made, problem)


def _row(check: str, table: str, lake: Any, store: Any, problem: str | None) -> Row:
    return {"check": check, "table": table, "lake": lake, "store": store, "problem": problem}
