"""The Spark jobs killed again and again: the live tables equal a count over the events."""

import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from collector.streams.kafka import KafkaAddress
from streaming import live_tables
from tests import kafka, postgresql, waiting
from tests.collector.handlers.kafka_feed import clicks, feed, samples
from tests.streaming import spark
from tests.streaming.spark import ask, finish, kill, start


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    spark.require()
    kafka.shared()
    with postgresql.cluster() as url:
        yield url


@pytest.fixture
def database(cluster: str, request: pytest.FixtureRequest) -> str:
    return postgresql.database(cluster, request.node.name[-60:])


@pytest.fixture
def address() -> KafkaAddress:
    return kafka.made(kafka.shared(), partitions=2)


def hour(event: dict[str, Any], name: str = "timestamp") -> datetime:
    return datetime.fromisoformat(event[name]).astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def tables(database: str) -> dict[str, list[tuple[Any, ...]]]:
    """What the jobs have written, without who wrote it."""
    items = "SELECT item_id, sum(views)::int, sum(added)::int FROM live.product_hour GROUP BY 1 ORDER BY 1"
    return {
        "traffic": ask(database, "SELECT hour, events, page_views, users FROM live.traffic_hour ORDER BY 1"),
        "sales": ask(database, "SELECT count(*)::int FROM live.sale"),
        "items": ask(database, items),
        "totals": ask(database, "SELECT event_type, events FROM live.event_total ORDER BY 1"),
        "trucks": ask(database, "SELECT truck_id, sum(samples)::int FROM live.truck_hour GROUP BY 1 ORDER BY 1"),
        "raw": ask(database, "SELECT kind, count(DISTINCT identity) FROM live.raw_event GROUP BY 1 ORDER BY 1"),
    }


def counted(events: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> dict[str, list[tuple[Any, ...]]]:
    """The same, counted here from the events themselves."""
    hours: dict[datetime, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        hours[hour(event)].append(event)
    kinds = Counter(event["event_type"] for event in events)
    items = sorted({event["item_id"] for event in events})

    def of(some: list[dict[str, Any]], event_type: str) -> int:
        return sum(event["event_type"] == event_type for event in some)

    return {
        "traffic": [
            (at, len(some), of(some, "page_view"), len({event["user_id"] for event in some}))
            for at, some in sorted(hours.items())
        ],
        "sales": [(kinds["purchase"],)],
        "items": [
            (item, of(mine, "view"), of(mine, "add_to_cart"))
            for item in items
            for mine in [[event for event in events if event["item_id"] == item]]
        ],
        "totals": sorted(kinds.items()),
        "trucks": sorted(Counter(sample["truck_id"] for sample in wanted).items()),
        "raw": [("click", len(events)), ("telemetry", len(wanted))],
    }


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_killed_again_and_again(tmp_path: Path, address: KafkaAddress, database: str) -> None:
    """Ten kills at random, with more events between them."""
    chance = random.Random(7)
    events, wanted = clicks(2000), samples(3, 200)
    for step in range(10):
        feed(address, wanted[step::10], events[step::10], seed=step)
        process = start(address, database, tmp_path)
        time.sleep(chance.uniform(5, 60))
        kill(process)
    finish(start(address, database, tmp_path), tmp_path)
    assert tables(database) == counted(events, wanted)


@pytest.mark.prove
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("for_ever", [True, False])
def test_one_job_that_fails_ends_all_with_its_name_and_nothing_is_lost(
    tmp_path: Path, address: KafkaAddress, database: str, for_ever: bool
) -> None:
    """PostgreSQL refuses one table's rows: exit 1, no process left, and once it takes them everything is there."""
    events, wanted = clicks(500), samples(2, 50)
    feed(address, wanted, events, seed=1)
    live_tables.migrate(database)
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE live.product_hour ADD CONSTRAINT refused CHECK (views < 0)")
    process = start(address, database, tmp_path, for_ever=for_ever)
    assert process.wait(timeout=600) == 1, spark.said(tmp_path)
    said = [line for line in spark.said(tmp_path).splitlines() if line.startswith("milepost: ")]
    refusal = 'new row for relation "product_hour" violates check constraint "refused"'
    assert said == [f"milepost: job product_hour failed: psycopg.errors.CheckViolation: {refusal}"]
    waiting.until(lambda: not spark.left(process))
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE live.product_hour DROP CONSTRAINT refused")
    finish(start(address, database, tmp_path), tmp_path)
    assert tables(database) == counted(events, wanted)
