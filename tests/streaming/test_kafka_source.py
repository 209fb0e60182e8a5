"""The source's plan: where a run that ends when it has caught up ends, and what Kafka no longer holds. No JVM."""

import json
import subprocess
from typing import Any

import pytest

from collector.streams.kafka import KafkaAddress
from tests import kafka
from tests.collector.handlers.kafka_feed import put, samples, telemetry_record
from tests.milepost_process import REPOSITORY, environment
from tests.streaming import spark


@pytest.fixture
def address() -> KafkaAddress:
    spark.require()
    return kafka.made(kafka.shared(), partitions=1)


def topic(address: KafkaAddress) -> str:
    return f"{address.prefix}-telemetry"


def fill(address: KafkaAddress, count: int) -> None:
    put(address, topic(address), [telemetry_record(sample) for sample in samples(1, count)])


def ask(address: KafkaAddress, *more: str) -> "subprocess.Popen[str]":
    options = {"client": json.dumps(address.client()), "topic": topic(address), "kind": "telemetry", "records": "4"}
    return subprocess.Popen(
        [str(spark.PYTHON), "-m", "tests.streaming.source_steps", json.dumps(options), *more], env=environment(),
        cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def keep_from(address: KafkaAddress, offset: int) -> None:
    """As if retention had dropped what is before."""
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    admin = AdminClient(address.client())  # dropped, it answers no more
    done: Any = admin.delete_records([TopicPartition(topic(address), 0, offset)])
    for each in done.values():
        each.result(60)


def test_a_run_that_ends_ends_with_what_lay_in_kafka_at_its_start_and_keeps_to_the_size_of_a_batch(
    address: KafkaAddress,
) -> None:
    fill(address, 10)
    process = ask(address, "run")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"0": 0}
    fill(address, 5)
    out, _ = process.communicate("\n", timeout=120)
    assert [json.loads(line)["0"] for line in out.splitlines()] == [4, 8, 10, 10]


def test_what_kafka_no_longer_holds_is_said_with_the_remedy(address: KafkaAddress) -> None:
    """Neither the plan nor a read goes on as if nothing had been there; at the first offset that is held both do."""
    fill(address, 10)
    keep_from(address, 6)
    for missing, said in ((5, "holds offsets 6 to 10 and not 5"), (11, "holds offsets 6 to 10 and not 11")):
        plan, read = ask(address, "from", json.dumps({"0": missing})).communicate(timeout=120)[0].splitlines()
        assert plan.startswith(f"MissingRecords: {topic(address)}:0 {said}, which is next: delete the checkpoints")
        assert read.startswith(f"MissingRecords: {topic(address)}:0:{missing} is gone: delete the checkpoints")
    plan, read = ask(address, "from", '{"0": 6}').communicate(timeout=120)[0].splitlines()
    assert (json.loads(plan), json.loads(read)) == ({"0": 10}, [1])
