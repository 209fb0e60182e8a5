"""Workers behind Apache Kafka: killed and restarted, they leave what one process makes of the same records."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from collector.streams import Record
from collector.streams.kafka import KafkaAddress
from contract.codec import dump
from deploy.local_kafka import LocalKafka
from tests import kafka
from tests.collector.handlers import kafka_feed
from tests.collector.handlers.kafka_feed import Workers, clicks, contents, feed, samples
from tests.milepost_process import finish, run, start
from tests.warehouse.fleet import Fleet

BY_ARRIVAL = {"load_timestamp", "late", "quality_run", "completeness_day"}
"""Columns and marts that tell when something was received, which differs between files and Kafka."""


@pytest.fixture
def address() -> KafkaAddress:
    return kafka.made(kafka.shared(), partitions=6)


@pytest.fixture
def workers(address: KafkaAddress, tmp_path: Path) -> Iterator[Workers]:
    (tmp_path / "many").mkdir()
    made = Workers(address, tmp_path / "many")
    yield made
    made.end()


def one_process(folder: Path, lines: dict[str, list[dict[str, object]]]) -> None:
    """The same records from files, in order, each once."""
    folder.mkdir()
    for stream, records in lines.items():
        file = folder / f"{stream}.jsonl"
        file.write_text("".join(dump(record) + "\n" for record in records))
        assert finish(start("ingest", file, "--stream", stream, "--data-dir", folder), 1800).code == 0


def test_three_workers_killed_at_random_leave_what_one_process_makes(
    tmp_path: Path, workers: Workers, address: KafkaAddress
) -> None:
    """1,000 samples and 4,000 clicks, doubled and shuffled; the last killed has no successor. The whole is below."""
    wanted, events = samples(5, 200), clicks(4000)
    one_process(tmp_path / "one", {"telemetry": wanted, "clicks": events})
    chance = Random(1)
    for _ in range(3):
        workers.start()
    feed(address, wanted, events, seed=1)
    time.sleep(chance.uniform(0.2, 2))
    workers.kill_one(chance.randrange(3))
    time.sleep(chance.uniform(0.2, 2))
    workers.running.pop(chance.randrange(3)).kill()
    workers.wait(120)
    assert workers.stop() == [0, 0]
    assert contents(tmp_path / "many") == contents(tmp_path / "one")


@pytest.mark.prove
def test_fifty_thousand_samples_and_two_hundred_thousand_clicks_with_workers_and_brokers_killed(tmp_path: Path) -> None:
    """Doubled and shuffled; history, counters, audit and every mart as one process makes them from the files."""
    kafka.require()
    (tmp_path / "many").mkdir()
    wanted, events = samples(50, 1000), clicks(200_000)
    one_process(tmp_path / "one", {"telemetry": wanted, "clicks": events})
    chance = Random(10)
    with LocalKafka(tmp_path / "kafka") as broker:
        address = kafka.made(broker.address, partitions=6)
        workers = Workers(address, tmp_path / "many")
        feeder = threading.Thread(target=feed, args=(address, wanted, events, 10))
        try:
            for _ in range(3):
                workers.start()
            feeder.start()
            for kill in range(20):
                time.sleep(chance.uniform(0.5, 5))
                workers.kill_one(chance.randrange(3))
                if kill in (5, 10, 15):
                    broker.kill()
                    time.sleep(chance.uniform(0, 3))
                    broker.start()
            feeder.join()
            workers.wait(1800)
            assert workers.stop() == [0, 0, 0]
        finally:
            workers.end()
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    assert json.loads(run("verify", "--data-dir", tmp_path / "many", "--json").out) == []
    many, one = marts(tmp_path / "many"), marts(tmp_path / "one")
    assert many.keys() == one.keys()
    assert [name for name in one if many[name] != one[name]] == []
    assert sum(bool(rows) for rows in one.values()) > 15


def marts(folder: Path) -> dict[str, list[str]]:
    """Every mart's rows, sorted, without what hangs on when a record was received."""
    fleet = Fleet(folder)
    fleet.build()
    found = {}
    for name in fleet.build_marts():
        rows = fleet.query(f"SELECT * FROM marts.{name}")
        found[name] = sorted(
            json.dumps({key: value for key, value in row.items() if key not in BY_ARRIVAL}, default=str) for row in rows
        )
    fleet.close()
    return {name: rows for name, rows in found.items() if name not in BY_ARRIVAL}


def test_what_nobody_can_read_is_a_dead_letter_with_its_place_and_the_rest_goes_on(
    tmp_path: Path, workers: Workers, address: KafkaAddress
) -> None:
    """Garbage, an envelope without data, and an empty record, between good ones."""
    good = [kafka_feed.telemetry_record(sample) for sample in samples(1, 3)]
    bad = [Record("TRUCK-000", b"\xff\xfe"), Record("TRUCK-000", b'{"data":1,"received_at":5,"truck_id":"T"}')]
    kafka_feed.put(address, f"{address.prefix}-telemetry", [good[0], bad[0], good[1], bad[1], good[2]])
    workers.start()
    workers.wait(60)
    workers.stop()
    found = contents(tmp_path / "many")
    assert [row[:2] for row in found["audit"]] == [("TRUCK-000", 3)]
    assert len(found["dead"]) == 2
    assert all(f"{address.prefix}-telemetry:" in reason for reason in found["dead"])


def test_a_store_that_is_busy_is_waited_for(tmp_path: Path, workers: Workers, address: KafkaAddress) -> None:
    """Another process holds the database: nothing is given up, and all is there once it lets go."""
    one_process(tmp_path / "many" / "made", {"telemetry": []})
    (tmp_path / "many" / "made" / "milepost.db").rename(tmp_path / "many" / "milepost.db")
    wanted = samples(2, 20)
    kafka_feed.put(address, f"{address.prefix}-telemetry", [kafka_feed.telemetry_record(each) for each in wanted])
    holder = sqlite3.connect(tmp_path / "many" / "milepost.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    workers.start()
    time.sleep(4)
    holder.execute("ROLLBACK")
    holder.close()
    workers.wait(60)
    workers.stop()
    assert [row[1] for row in contents(tmp_path / "many")["audit"]] == [20, 20]


def test_a_worker_says_what_it_took(tmp_path: Path, address: KafkaAddress, workers: Workers) -> None:
    """At its end, as one JSON document with --json, else as a line."""
    kafka_feed.put(
        address, f"{address.prefix}-telemetry", [kafka_feed.telemetry_record(each) for each in samples(1, 5) * 2]
    )
    workers.start()
    workers.wait(60)
    workers.stop()
    assert "5 accepted, 5 duplicate" in (tmp_path / "workers.log").read_text()
