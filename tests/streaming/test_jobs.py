"""The Spark jobs on Apache Kafka and PostgreSQL: the live tables equal a count over the events."""

import os
import random
import signal
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from collector.streams import Record
from collector.streams.kafka import KafkaAddress
from tests import kafka, postgresql
from tests.collector.handlers.kafka_feed import clicks, feed, put, samples
from tests.milepost_process import REPOSITORY, environment

PYTHON = REPOSITORY / ".venv-spark/bin/python"


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    if not PYTHON.exists():
        pytest.skip("the Spark environment is not made: make .venv-spark/ready")
    kafka.shared()
    with postgresql.cluster() as url:
        yield postgresql.database(url, "live")


@pytest.fixture
def address() -> KafkaAddress:
    return kafka.made(kafka.shared(), partitions=2)


def start(address: KafkaAddress, database: str, folder: Path, *more: str) -> "subprocess.Popen[str]":
    """The jobs as a process, until they have caught up."""
    given = environment(
        MILEPOST_STREAMING__DATABASE=database, MILEPOST_STREAMING__CHECKPOINTS=str(folder / "checkpoints")
    )
    argv = [
        str(PYTHON),
        "-m",
        "streaming",
        "--stream",
        f"kafka://{address.brokers}/{address.prefix}",
        "--until-caught-up",
    ]
    return subprocess.Popen(
        [*argv, *more], env=given, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def finish(process: "subprocess.Popen[str]") -> None:
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0, out[-6000:]


def kill(process: "subprocess.Popen[str]") -> None:
    """The driver, its JVM and its Python workers, all at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def ask(database: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(sql).fetchall()  # type: ignore[arg-type]


def hour(event: dict[str, Any], name: str = "timestamp") -> datetime:
    return datetime.fromisoformat(event[name]).astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def tables(database: str) -> dict[str, list[tuple[Any, ...]]]:
    """What the jobs have written, without who wrote it."""
    items = "SELECT item_id, sum(views)::int, sum(added)::int FROM live.product_hour GROUP BY 1 ORDER BY 1"
    return {
        "traffic": ask(database, "SELECT hour, events, page_views, users, purchases FROM live.traffic_hour ORDER BY 1"),
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
            (at, len(some), of(some, "page_view"), len({event["user_id"] for event in some}), of(some, "purchase"))
            for at, some in sorted(hours.items())
        ],
        "items": [
            (item, of(mine, "view"), of(mine, "add_to_cart"))
            for item in items
            for mine in [[event for event in events if event["item_id"] == item]]
        ],
        "totals": sorted(kinds.items()),
        "trucks": sorted(Counter(sample["truck_id"] for sample in wanted).items()),
        "raw": [("click", len(events)), ("telemetry", len(wanted))],
    }


@pytest.mark.timeout(600)
def test_doubled_and_shuffled_events_are_counted_once_also_when_the_driver_is_killed(
    tmp_path: Path, address: KafkaAddress, database: str
) -> None:
    """Killed at a random moment and run again, then again over later events: as a count over the set."""
    wanted, events = samples(3, 40), clicks(400)
    feed(address, wanted, events, seed=1)
    killed = start(address, database, tmp_path)
    time.sleep(random.Random(1).uniform(15, 25))
    kill(killed)
    finish(start(address, database, tmp_path))
    assert tables(database) == counted(events, wanted)


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_killed_again_and_again(tmp_path: Path, address: KafkaAddress, database: str) -> None:
    """Ten kills at random, with more events between them."""
    chance = random.Random(7)
    events, wanted = clicks(2000), samples(3, 200)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS live CASCADE")
    for step in range(10):
        feed(address, wanted[step::10], events[step::10], seed=step)
        process = start(address, database, tmp_path)
        time.sleep(chance.uniform(5, 60))
        kill(process)
    finish(start(address, database, tmp_path))
    assert tables(database) == counted(events, wanted)


@pytest.mark.prove
@pytest.mark.timeout(1200)
def test_what_nobody_can_read_is_kept_as_refused(tmp_path: Path, address: KafkaAddress, database: str) -> None:
    """With its reason and its place; the rest goes on."""
    put(address, f"{address.prefix}-telemetry", [Record("T", b"\xff\xfe")])
    finish(start(address, database, tmp_path))
    found = ask(database, "SELECT identity, document FROM live.raw_event WHERE kind = 'refused'")
    assert any(identity.startswith(f"{address.prefix}-telemetry:") and reason for identity, reason in found)
