"""Spark's live tables and the warehouse's marts, of the same records in Kafka: equal, row by row."""

import gzip
import random
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from collector.streams import Record
from collector.streams.kafka import KafkaAddress
from contract import timestamps
from contract.codec import dump
from streaming import live_tables
from streaming.decoding import SIGNALS
from tests import kafka, postgresql
from tests.collector.handlers.kafka_feed import Workers, click_records, put, telemetry_record
from tests.streaming import spark
from tests.streaming.spark import ask
from tests.warehouse.fleet import Fleet, at
from warehouse.engines.postgresql import PostgresEngine
from warehouse.settings import WarehouseSettings
from warehouse.sources import Terms

pytestmark = pytest.mark.timeout(1800)
START = timestamps.from_ms(int((datetime.now(UTC) - timedelta(days=5)).timestamp()) // 86_400 * 86_400_000)
"""Five days ago, 00:00."""

END = "(SELECT max(hour) FROM marts.traffic_hour)"
"""Hour of the last event, whose session is not over."""

PAIRS = {
    "traffic": tuple(
        f"SELECT hour, page_views, users, purchases, revenue FROM {table}"
        for table in ("live.traffic", "marts.traffic_hour")
    ),
    "products": tuple(
        f"SELECT day, item_id, views, clicks, added, purchased, revenue FROM {table}"
        for table in ("live.products", "marts.product_day")
    ),
    "trucks": tuple(
        "SELECT truck_id, "
        + hour
        + ", samples, "
        + ", ".join(f"{name}_{what}" for name in SIGNALS for what in ("min", "mean", "max"))
        + f" FROM {table}"
        for hour, table in (("hour AT TIME ZONE 'UTC'", "live.truck_hour"), ("hour", "marts.truck_hour"))
    ),
}
"""What must be equal as soon as all is read: SQL on the live tables, SQL on the marts."""

ENDED = {
    "sessions": tuple(
        "SELECT session_id, started_at, ended_at, events, page_views, viewed, added, purchased, revenue, abandoned"
        f" FROM {table} WHERE session_id <> 'last'"
        for table in ("live.sessions", "marts.session")
    ),
    "conversion": tuple(
        f"SELECT hour, sessions, conversion FROM {table} WHERE hour < {END}"
        for table in ("live.traffic", "marts.traffic_hour")
    ),
}
"""What must be equal once a later batch has moved the watermark over the ends of the sessions."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    spark.require()
    kafka.shared()
    with postgresql.cluster() as url:
        yield url


def events(count: int, chance: random.Random) -> list[dict[str, Any]]:
    """Sessions over two days, some split by silence, orders that were reported twice, bots, lines, currencies."""
    found: list[dict[str, Any]] = []
    kinds = ["page_view", "view", "click", "add_to_cart", "remove_from_cart", "purchase", "search"]
    for number in range(count):
        session = number // 12
        seconds = session * 172_000 / (count // 12 + 1) + (number % 12) * chance.choice([20, 700, 1800, 1801, 2500])
        event = {
            "event_id": f"e{number}", "event_type": chance.choice(kinds), "session_id": f"S{session}",
            "user_id": f"U{session % 7}", "item_id": f"I{number % 5}", "timestamp": at(START, seconds),
            "click_count": chance.randint(1, 4), "price": chance.choice([3, 10.5]), "quantity": chance.choice([1, 2]),
        }  # fmt: skip
        if event["event_type"] in ("purchase", "add_to_cart") and number % 3:
            event["lines"] = [{"item_id": f"I{line}", "price": 2.5, "quantity": line + 1} for line in range(number % 4)]
        if event["event_type"] == "purchase":
            event |= {"order_id": f"O{number // 20}", "currency": chance.choice(["EUR", "USD", "JPY", None])}
        if not number % 17:
            event["automated"] = True
        if not number % 11:
            del event["session_id"]
        found.append(event)
    last = {"event_id": "last", "event_type": "page_view", "session_id": "last", "timestamp": at(START, 3 * 86_400)}
    return [*found, last]


def samples(count: int, chance: random.Random) -> list[dict[str, Any]]:
    """Two trucks, a sample every four minutes, with signals missing here and there."""
    return [
        {
            "schema_version": 1, "truck_id": f"TRUCK-{number % 2}", "stream_id": "s", "seq": number // 2 + 1,
            "sampled_at": at(START, number * 120), "time_quality": "gps",
            "vehicle_speed": chance.choice([None, 20, 50.5]), "fuel_consumption": chance.choice([None, 7.25]),
            "gps_location": {"latitude": 52, "longitude": 13, "altitude": chance.choice([None, 40]), "speed": 33},
            "engine_diagnostics": {"engine_rpm": chance.randint(600, 2000), "oil_pressure": None},
            "vehicle_health_and_maintenance": {"tire_pressure": {"front_left": chance.uniform(90, 110)}},
            "environmental_conditions": {"temperature": chance.uniform(-5, 30), "atmospheric_pressure": 1013},
        }
        for number in range(count)
    ]  # fmt: skip


RATES = {"MILEPOST_WAREHOUSE__RATES": dump({"USD": 0.5})}

KILLED_IN = {
    "raw_event": "raw_click", "sale": "raw_click", "traffic_hour": "traffic_hour", "product_hour": "product_hour",
    "session": "session", "event_total": "event_total", "truck_hour": "truck_hour",
}  # fmt: skip
"""Table → the job that writes it, in the order in which the jobs run."""


class Both:
    """One set of topics, read by the jobs and by a worker; one database for the live tables and the marts."""

    def __init__(self, cluster: str, folder: Path, name: str) -> None:
        self.address: KafkaAddress = kafka.made(kafka.shared(), partitions=2)
        self.database = postgresql.database(cluster, name)
        self.folder = folder
        self.fleet = Fleet(folder)

    def feed(self, clicks: list[dict[str, Any]], wanted: list[dict[str, Any]], chance: random.Random) -> None:
        """All of it twice, in a random order, one of the records packed."""
        doubled, telemetry = clicks * 2, [telemetry_record(sample) for sample in wanted] * 2
        chance.shuffle(doubled)
        chance.shuffle(telemetry)
        shop = [record for start in range(0, len(doubled), 5) for record in click_records(doubled[start : start + 5])]
        shop[:1] = [Record(record.key, gzip.compress(record.data)) for record in shop[:1]]
        put(self.address, f"{self.address.prefix}-clicks", shop)
        put(self.address, f"{self.address.prefix}-telemetry", telemetry)

    def stream(self) -> None:
        """Run the jobs until they have caught up."""
        spark.finish(spark.start(self.address, self.database, self.folder, **RATES), self.folder)

    def kill_between_upsert_and_checkpoint(self, table: str, job: str) -> None:
        """SIGKILL when PostgreSQL has committed a batch that the checkpoint has not.

        The table is locked until the job waits for it; then the JVM, which writes the checkpoint, stands still while
        the driver's Python goes on.
        """
        checkpoint = self.folder / "checkpoints" / job
        with psycopg.connect(self.database) as holder:
            holder.execute(f"LOCK TABLE live.{table} IN EXCLUSIVE MODE")
            process = spark.start(self.address, self.database, self.folder, **RATES)
            try:
                self._wait_for(process, "SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND NOT granted")
                spark.stop_jvm(process)
                done = set((checkpoint / "commits").glob("[0-9]*"))
                holder.commit()
                self._wait_for(process, f"SELECT count(*) FROM live.{table}")
            finally:
                spark.kill(process)
        assert set((checkpoint / "commits").glob("[0-9]*")) == done
        assert len(list((checkpoint / "offsets").glob("[0-9]*"))) == len(done) + 1

    def _wait_for(self, process: "subprocess.Popen[bytes]", sql: str) -> None:
        deadline = time.monotonic() + 300
        while not ask(self.database, sql)[0][0]:
            assert process.poll() is None, spark.said(self.folder)
            assert time.monotonic() < deadline, (sql, spark.said(self.folder))
            time.sleep(0.05)

    def build(self) -> None:
        """Collect what is in Kafka, and build lake and marts of it."""
        workers = Workers(self.address, self.folder)
        workers.start()
        workers.wait(300)
        assert workers.stop() == [0]
        self.fleet.build()
        terms = Terms(warehouse=WarehouseSettings(rates={"USD": 0.5}))
        self.fleet.build_marts(PostgresEngine(self.database), terms=terms)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Sorted, figures to nine places: a mean's last digits hang on the order of its sum."""
        found = [tuple(_rounded(value) for value in row) for row in ask(self.database, sql)]
        return sorted(found, key=repr)

    def assert_equal(self, pairs: dict[str, tuple[str, ...]]) -> None:
        """Row by row, and not for want of rows."""
        for name, (live, mart) in pairs.items():
            assert self.rows(live) == self.rows(mart), name
            assert len(self.rows(live)) > 5, name

    def feed_small(self, examples: int) -> random.Random:
        """So many times 240 events and 200 samples, and a record twice that nobody can read."""
        chance = random.Random(examples)
        self.feed(events(240 * examples, chance), samples(200 * examples, chance), chance)
        put(self.address, f"{self.address.prefix}-telemetry", [Record("T", b"\xff\xfe"), Record("T", b"\xff\xfe")])
        return chance


def _rounded(value: Any) -> Any:
    return round(float(value), 9) if isinstance(value, int | float) and not isinstance(value, bool) else value


def test_live_tables_and_marts_of_the_same_records_are_equal(cluster: str, tmp_path: Path) -> None:
    """Doubled and shuffled, with orders told twice, bots, lines and currencies; raw events and refused records too."""
    both = Both(cluster, tmp_path, "equal")
    both.feed_small(1)
    both.stream()
    both.build()
    both.assert_equal(PAIRS)
    raw = "SELECT kind, count(DISTINCT identity)::int FROM live.raw_event GROUP BY 1 ORDER BY 1"
    assert ask(both.database, raw) == [("click", 241), ("refused", 1), ("telemetry", 200)]
    letters = ask(both.database, "SELECT sum(rows)::int FROM marts.rejected_day")
    assert ask(both.database, "SELECT count(DISTINCT identity)::int FROM live.quarantine") == letters
    key = 'received_at, topic, "partition", "offset", identity'
    pointing = ask(both.database, f"SELECT reason FROM live.quarantine JOIN live.raw_event USING ({key})")
    assert len(pointing) == 2
    assert ask(both.database, "SELECT * FROM live.late_rows") == []


@pytest.mark.prove
def test_killed_between_upsert_and_checkpoint_and_at_random_live_tables_and_marts_are_equal(
    cluster: str, tmp_path: Path
) -> None:
    """Once in each table's first batch: PostgreSQL has it, Spark does not know. Then ten times wherever it is."""
    both = Both(cluster, tmp_path, "killed")
    chance = both.feed_small(1)
    live_tables.migrate(both.database)
    for table, job in KILLED_IN.items():
        both.kill_between_upsert_and_checkpoint(table, job)
    later = [
        {
            **event,
            "event_id": f"later{number}",
            "session_id": f"L{number // 12}",
            "timestamp": at(START, 259_200 + 10 * number),
        }
        for number, event in enumerate(events(480, chance))
    ]
    for step in range(10):
        both.feed(later[step::10], [], chance)
        process = spark.start(both.address, both.database, both.folder, **RATES)
        time.sleep(chance.uniform(5, 45))
        spark.kill(process)
    both.stream()
    both.build()
    both.assert_equal(PAIRS)
    assert ask(both.database, "SELECT * FROM live.late_rows") == []


@pytest.mark.prove
def test_what_is_later_than_the_watermark_is_told_and_right_after_the_next_build(cluster: str, tmp_path: Path) -> None:
    """Dropped from the live tables as `late_rows` say, there in the view that joins marts and live tables."""
    both = Both(cluster, tmp_path, "late")
    chance = both.feed_small(3)
    both.stream()
    following = {**events(0, chance)[0], "event_id": "next"}
    sample = {**samples(1, chance)[0], "seq": 9998, "sampled_at": at(START, 3 * 86_400)}
    both.feed([following], [sample], chance)
    both.stream()  # Spark judges what is late by the watermark of the batch before
    both.build()
    both.assert_equal(PAIRS | ENDED)
    late = {"event_id": "late", "event_type": "page_view", "session_id": "late", "timestamp": at(START, 7000)}
    tardy = {**samples(1, chance)[0], "seq": 9999, "sampled_at": at(START, 7000)}
    both.feed([late], [tardy], chance)
    both.stream()
    dropped = ask(both.database, "SELECT DISTINCT job FROM live.late_rows WHERE dropped > 0")
    assert {job for (job,) in dropped} == {"event_total", "product_hour", "session", "traffic_hour", "truck_hour"}
    live, mart = PAIRS["traffic"]
    before = both.rows(live)
    both.build()
    assert both.rows(live) == before != both.rows(mart)
    ended = f" WHERE hour < {END}"
    assert both.rows(live.replace("live.traffic", "live.traffic_now") + ended) == both.rows(mart + ended)
