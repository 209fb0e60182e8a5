"""`warehouse check` names what differs between an engine's marts and the lake."""

from collections.abc import Iterator

import psycopg
import pytest

from contract.errors import Misconfigured
from tests.postgresql import cluster
from tests.warehouse.fleet import Fleet, drive
from warehouse.check import check
from warehouse.engines.postgresql import PostgresEngine

START = "2024-06-01T23:50:00.000Z"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with cluster() as address:
        yield address


def test_no_marts_yet_is_said(fleet: Fleet) -> None:
    fleet.build()
    with pytest.raises(Misconfigured, match="warehouse build"):
        check(fleet.folder / "lake", fleet.engine)


def test_a_lake_that_was_built_since_is_said(fleet: Fleet) -> None:
    fleet.take(drive("T1", START, [50, 60]))
    fleet.build()
    fleet.build_marts()
    assert check(fleet.folder / "lake", fleet.engine)["ok"]
    fleet.take(drive("T1", "2024-06-03T10:00:00.000Z", [50], seq=9))
    fleet.build()
    found = {row["check"]: row["problem"] for row in check(fleet.folder / "lake", fleet.engine)["checks"]}
    assert "lake was built since" in found["build"]
    assert "T1 on 2024-06-03: 1 samples in the lake, no in the mart" in found["samples"]


def test_what_was_changed_on_postgresql_is_named(fleet: Fleet, url: str) -> None:
    fleet.take(drive("T1", START, [50, 60], brakes="worn"))
    fleet.build()
    engine = PostgresEngine(url)
    fleet.build_marts(engine)
    assert check(fleet.folder / "lake", engine)["ok"]
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE marts.truck_history SET is_current = false")
    found = check(fleet.folder / "lake", engine)
    assert [row["check"] for row in found["checks"] if row["problem"]] == ["history"]
