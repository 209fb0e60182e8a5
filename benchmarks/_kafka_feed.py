"""Topics that are filled before anything reads them, and the bare consumer that reads and drops what is in them."""

import subprocess
import sys
import time

from collector.streams.kafka import KafkaAddress, KafkaSettings
from tests import kafka
from tests.collector.handlers.kafka_feed import click_records, clicks, put, samples, telemetry_record

CLICKS, TRUCKS, EACH = 20_000, 25, 400
SAMPLES = TRUCKS * EACH
_TIMES = 20
"""How often the bare consumer reads all: once is too short to be measured."""


def fill(brokers: str, *, events: int = 0, trucks: int = 0) -> KafkaAddress:
    """Topics of their own with so many clicks, five a record as the beacon puts them, and samples of so many trucks."""
    address = kafka.made(brokers, partitions=6)
    made = clicks(events)
    shop = [record for start in range(0, events, 5) for record in click_records(made[start : start + 5])]
    put(address, f"{address.prefix}-clicks", shop)
    put(address, f"{address.prefix}-telemetry", [telemetry_record(sample) for sample in samples(trucks, EACH)])
    return address


def of_each_kind(brokers: str) -> dict[str, tuple[int, KafkaAddress]]:
    """`clicks` and `samples` → how many, and topics that hold only them."""
    return {
        "clicks": (CLICKS, fill(brokers, events=CLICKS)),
        "samples": (SAMPLES, fill(brokers, trucks=TRUCKS)),
    }


def bare(address: KafkaAddress) -> float:
    """CPU seconds of a consumer, in a process of its own, for all records once."""
    argv = [sys.executable, "-m", "benchmarks._kafka_feed", f"kafka://{address.brokers}/{address.prefix}"]
    return float(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def _drop(url: str) -> None:
    from confluent_kafka import Consumer, TopicPartition

    address = KafkaAddress.of(url, KafkaSettings())
    consumer = Consumer(address.client(**{"group.id": "bare", "enable.auto.commit": False}))
    parts = [TopicPartition(topic, number, 0) for topic in address.topics for number in range(6)]
    count = sum(consumer.get_watermark_offsets(part)[1] for part in parts)
    began = time.process_time()
    for _ in range(_TIMES):
        consumer.assign(parts)
        left = count
        while left > 0:
            left -= len(consumer.consume(1000, 1.0))
        consumer.unassign()
    print((time.process_time() - began) / _TIMES)
    consumer.close()


if __name__ == "__main__":
    _drop(sys.argv[1])
