"""Raw events in PostgreSQL: a part for each day of arrival, kept for so many days; no Spark is needed for it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contract.forgotten import Forgotten
from streaming import live_tables, raw_events
from tests import postgresql
from tests.streaming.spark import ask

TODAY = date(2026, 11, 28)
NOBODY = Forgotten(Path("/nonexistent"))
PARTS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'live.raw_event'::regclass ORDER BY 1"


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with postgresql.cluster() as url:
        yield url


@pytest.fixture
def database(cluster: str, request: pytest.FixtureRequest) -> str:
    url = postgresql.database(cluster, request.node.name[:60])
    live_tables.migrate(url)
    return url


def row(offset: int, day: date, **more: Any) -> dict[str, Any]:
    arrived = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return {
        "topic": "clicks", "partition": 0, "offset": offset, "identity": f"e{offset}", "kind": "click", "at": arrived,
        "received_at": arrived, "document": "{}", "payload": None, "fault": None, "reason": None, "event_type": "view",
        "is_bot": False, "order_id": None, "session_id": "S", "currency": None, "lines": "[]", **more,
    }  # fmt: skip


def days_ago(count: int) -> date:
    return TODAY - timedelta(days=count)


def test_each_day_of_arrival_has_its_part_and_a_repeated_batch_changes_nothing(database: str) -> None:
    batch = [row(1, TODAY), row(2, days_ago(1)), row(3, TODAY)]
    for _ in range(2):
        raw_events.keep(database, batch, days=30, today=TODAY, marks=NOBODY)
    found = ask(database, 'SELECT tableoid::regclass::text, "offset" FROM live.raw_event ORDER BY 2')
    assert found == [
        ("live.raw_event_20261128", 1), ("live.raw_event_20261127", 2), ("live.raw_event_20261128", 3),
    ]  # fmt: skip


def test_days_over_the_retention_are_dropped_whole_and_taken_no_more(database: str) -> None:
    """Their refused records too."""
    refused = row(1, days_ago(5), kind="refused", payload=b"x", fault="", reason="no JSON")
    raw_events.keep(database, [refused, row(2, days_ago(4))], days=5, today=TODAY, marks=NOBODY)
    raw_events.keep(database, [row(3, days_ago(5)), row(4, TODAY)], days=4, today=TODAY, marks=NOBODY)
    assert ask(database, 'SELECT "offset" FROM live.raw_event ORDER BY 1') == [(2,), (4,)]
    assert ask(database, "SELECT count(*) FROM live.quarantine") == [(0,)]
    assert ("live.raw_event_20261123",) not in ask(database, PARTS)


def test_what_arrives_from_the_future_moves_to_its_day_once_that_has_come(database: str) -> None:
    """A producer's clock may be wrong by years: that makes no part."""
    early = TODAY + timedelta(days=9)
    raw_events.keep(database, [row(1, early), row(2, date(4000, 1, 1))], days=30, today=TODAY, marks=NOBODY)
    assert ask(database, PARTS) == [("live.raw_event_other",)]
    raw_events.keep(database, [row(3, early)], days=30, today=early, marks=NOBODY)
    found = ask(database, 'SELECT tableoid::regclass::text, "offset" FROM live.raw_event ORDER BY 2')
    assert found == [("live.raw_event_20261207", 1), ("live.raw_event_other", 2), ("live.raw_event_20261207", 3)]


def test_a_refused_record_is_kept_byte_by_byte_and_points_to_its_raw_event(database: str) -> None:
    refused = row(7, TODAY, kind="refused", payload=b"\xff\x00", document="?", fault="truck_id", reason="is missing")
    raw_events.keep(database, [refused], days=30, today=TODAY, marks=NOBODY)
    joined = ask(
        database,
        "SELECT quarantine.field, reason, payload, document FROM live.quarantine"
        ' JOIN live.raw_event USING (received_at, topic, "partition", "offset", identity)',
    )
    assert joined == [("truck_id", "is missing", b"\xff\x00", "?")]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
def test_of_an_order_that_is_reported_again_the_earliest_event_counts_in_any_order(
    cluster: str, order: tuple[int, ...]
) -> None:
    database = postgresql.database(cluster, "sale" + "".join(map(str, order)))
    live_tables.migrate(database)
    reports = [
        row(n, TODAY, event_type="purchase", order_id="O1", session_id=f"S{n}", identity="cab"[n],
            at=datetime(2026, 11, 28, 12, 0, n // 2, tzinfo=UTC))
        for n in range(3)
    ]  # fmt: skip
    for place in order:
        raw_events.keep(database, [reports[place]], days=30, today=TODAY, marks=NOBODY)
    assert ask(database, "SELECT sale_id, identity, session_id FROM live.sale") == [("O1", "a", "S1")]


def test_two_contents_of_one_purchase_in_one_batch_are_one_sale(database: str) -> None:
    """One with its session and one without: a batch that could not be put in order would come again for ever."""
    same = [
        row(n, TODAY, event_type="purchase", order_id="O1", identity="e1", session_id=id)
        for n, id in enumerate((None, "S"))
    ]
    raw_events.keep(database, same, days=30, today=TODAY, marks=NOBODY)
    assert ask(database, "SELECT sale_id, identity FROM live.sale") == [("O1", "e1")]


def test_raw_events_of_the_release_before_are_kept(cluster: str) -> None:
    """Migrated from the first schema: what it counted goes, what it kept stays."""
    database = postgresql.database(cluster, "before")
    live_tables.migrate(database, "0001")
    old = "INSERT INTO live.raw_event VALUES ('t', 0, 5, 'e5', 'click', now(), '2026-11-28T12:00Z', '{}') RETURNING 1"
    assert ask(database, old) == [(1,)]
    live_tables.migrate(database)
    assert ask(database, 'SELECT topic, "offset", identity FROM live.raw_event') == [("t", 5, "e5")]
    raw_events.keep(database, [row(6, TODAY)], days=30, today=TODAY, marks=NOBODY)
    found = ask(database, 'SELECT DISTINCT tableoid::regclass::text, "offset" FROM live.raw_event ORDER BY 2')
    assert found == [("live.raw_event_20261128", 5), ("live.raw_event_20261128", 6)]
