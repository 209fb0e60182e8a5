"""Workers behind Apache Kafka: killed and restarted, they leave what one process makes of the same records."""

import json
import sqlite3
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
from tests.budget import budget
from tests.collector.handlers import kafka_feed
from tests.collector.handlers.kafka_feed import Workers, clicks, contents, feed, samples
from tests.milepost_process import finish, run, start


@pytest.fixture
def place() -> KafkaAddress:
    return kafka.made(kafka.shared(), partitions=6)


@pytest.fixture
def workers(place: KafkaAddress, tmp_path: Path) -> Iterator[Workers]:
    (tmp_path / "many").mkdir()
    made = Workers(place, tmp_path / "many")
    yield made
    made.end()


def one_process(folder: Path, lines: dict[str, list[dict[str, object]]]) -> None:
    """The same records from files, in order, each once."""
    folder.mkdir()
    for stream, records in lines.items():
        file = folder / f"{stream}.jsonl"
        file.write_text("".join(dump(record) + "\n" for record in records))
        assert finish(start("ingest", file, "--stream", stream, "--data-dir", folder), 1800).code == 0


@budget(1, 10)
def test_three_workers_killed_at_random_leave_what_one_process_makes(
    tmp_path: Path, workers: Workers, place: KafkaAddress, examples: int
) -> None:
    """The whole: 50,000 samples and 200,000 clicks, doubled and shuffled; the short form a fiftieth of it."""
    wanted, events = samples(5 * examples, 200 if examples == 1 else 1000), clicks(4000 if examples == 1 else 200_000)
    one_process(tmp_path / "one", {"telemetry": wanted, "clicks": events})
    chance = Random(examples)
    for _ in range(3):
        workers.start()
    feed(place, wanted, events, seed=examples)
    for _ in range(2 * examples):
        time.sleep(chance.uniform(0.2, 2))
        workers.kill_one(chance.randrange(3))
    workers.wait(60 * (1 + examples))
    assert workers.stop() == [0, 0, 0]
    assert contents(tmp_path / "many") == contents(tmp_path / "one")


def test_what_nobody_can_read_is_a_dead_letter_with_its_place_and_the_rest_goes_on(
    tmp_path: Path, workers: Workers, place: KafkaAddress
) -> None:
    """Garbage, an envelope without data, and an empty record, between good ones."""
    good = [kafka_feed.telemetry_record(sample) for sample in samples(1, 3)]
    bad = [Record("TRUCK-000", b"\xff\xfe"), Record("TRUCK-000", b'{"data":1,"received_at":5,"truck_id":"T"}')]
    kafka_feed.put(place, f"{place.prefix}-telemetry", [good[0], bad[0], good[1], bad[1], good[2]])
    workers.start()
    workers.wait(60)
    workers.stop()
    found = contents(tmp_path / "many")
    assert [row[:2] for row in found["audit"]] == [("TRUCK-000", 3)]
    assert len(found["dead"]) == 2
    assert all(f"{place.prefix}-telemetry:" in reason for reason in found["dead"])


def test_a_store_that_is_busy_is_waited_for(tmp_path: Path, workers: Workers, place: KafkaAddress) -> None:
    """Another process holds the database: nothing is given up, and all is there once it lets go."""
    one_process(tmp_path / "many" / "made", {"telemetry": []})
    (tmp_path / "many" / "made" / "milepost.db").rename(tmp_path / "many" / "milepost.db")
    wanted = samples(2, 20)
    kafka_feed.put(place, f"{place.prefix}-telemetry", [kafka_feed.telemetry_record(each) for each in wanted])
    holder = sqlite3.connect(tmp_path / "many" / "milepost.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    workers.start()
    time.sleep(8)
    holder.execute("ROLLBACK")
    holder.close()
    workers.wait(60)
    workers.stop()
    assert [row[1] for row in contents(tmp_path / "many")["audit"]] == [20, 20]


def test_a_worker_says_what_it_took(tmp_path: Path, place: KafkaAddress, workers: Workers) -> None:
    """At its end, as one JSON document with --json, else as a line."""
    kafka_feed.put(
        place, f"{place.prefix}-telemetry", [kafka_feed.telemetry_record(each) for each in samples(1, 5) * 2]
    )
    workers.start()
    workers.wait(60)
    workers.stop()
    assert "5 accepted, 5 duplicate" in (tmp_path / "workers.log").read_text()


@pytest.mark.prove
def test_brokers_that_are_killed_lose_nothing(tmp_path: Path) -> None:
    """A broker of the test's own, killed and started again while it is fed and read."""
    kafka.require()
    (tmp_path / "many").mkdir()
    wanted, events = samples(10, 500), clicks(20_000)
    one_process(tmp_path / "one", {"telemetry": wanted, "clicks": events})
    with LocalKafka(tmp_path / "kafka") as broker:
        place = kafka.made(broker.address, partitions=6)
        workers = Workers(place, tmp_path / "many")
        try:
            for _ in range(3):
                workers.start()
            for seed in range(3):
                feed(place, wanted, events, seed)
                broker.kill()
                broker.start()
            workers.wait(600)
            assert workers.stop() == [0, 0, 0]
        finally:
            workers.end()
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    assert json.loads(run("verify", "--data-dir", tmp_path / "many", "--json").out) == []
