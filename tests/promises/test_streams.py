"""What every `Stream` promises (collector/streams): Kinesis on ministack, and Apache Kafka."""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from collector.streams import Record, Stream
from collector.streams.kafka import KafkaStream
from collector.streams.kinesis import MAX_RECORD, KinesisStream
from contract.errors import Unreachable
from tests import kafka
from tests.local_aws import ministack


@dataclass
class Queue:
    """A stream, one that does not exist at the same service, and a reader that finds (key, data), in order by key."""

    stream: Stream
    nowhere: Stream
    read: Callable[[int], list[tuple[str, bytes]]]


def _kinesis() -> Iterator[Queue]:
    client = ministack().client("kinesis")
    name = f"promise-{uuid.uuid4().hex[:8]}"
    client.create_stream(StreamName=name, ShardCount=2)
    client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})

    def read(_: int) -> list[tuple[str, bytes]]:
        found = []
        for shard in client.list_shards(StreamName=name)["Shards"]:
            at = client.get_shard_iterator(StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
                "ShardIterator"
            ]
            while records := (page := client.get_records(ShardIterator=at, Limit=1000))["Records"]:
                found += [(record["PartitionKey"], record["Data"]) for record in records]
                at = page["NextShardIterator"]
        return found

    yield Queue(KinesisStream(client, name), KinesisStream(client, "nowhere"), read)
    client.delete_stream(StreamName=name)


def _kafka() -> Iterator[Queue]:
    address = kafka.made(kafka.shared())
    topic = f"{address.prefix}-telemetry"
    stream, nowhere = KafkaStream(address, topic), KafkaStream(address, "nowhere", deadline=5)
    yield Queue(stream, nowhere, lambda count: kafka.read(address, topic, count))
    stream.close()


@pytest.fixture(params=[_kinesis, _kafka], ids=["kinesis", "kafka"])
def queue(request: pytest.FixtureRequest) -> Iterator[Queue]:
    yield from request.param()


def numbered(key: str, number: int, size: int = 0) -> Record:
    return Record(key, f"{key}:{number:05d}".encode().ljust(size, b"."))


def test_what_was_put_is_there_under_its_key_in_order(queue: Queue) -> None:
    """1,200 records of three trucks."""
    assert queue.stream.put([numbered(f"T{i % 3}", i) for i in range(1200)]) == [None] * 1200
    found = defaultdict(list)
    for key, data in queue.read(1200):
        found[key].append(int(data.split(b":")[1]))
    assert found == {f"T{k}": list(range(k, 1200, 3)) for k in range(3)}


def test_a_later_put_follows_the_earlier_one(queue: Queue) -> None:
    """Records of one key keep their order over calls."""
    for number in range(20):
        queue.stream.put([numbered("T1", number)])
    assert [int(data.split(b":")[1]) for _, data in queue.read(20)] == list(range(20))


def test_bytes_come_out_as_they_went_in(queue: Queue) -> None:
    """Any byte, an empty record apart, which Kinesis does not take."""
    data = bytes(range(256)) * 4
    queue.stream.put([Record("T1", data)])
    assert queue.read(1) == [("T1", data)]


def test_the_largest_record_goes_and_one_byte_more_is_named(queue: Queue) -> None:
    """1 MiB with the key; the others of the call go."""
    edge, over = Record("T1", b"x" * (MAX_RECORD - 2)), Record("T1", b"x" * (MAX_RECORD - 1))
    refused = queue.stream.put([edge, over, numbered("T1", 1)])
    assert [None if fault is None else fault.reason for fault in refused] == [
        None,
        "1048577 bytes in one stream record: 1048576 at most, send less in one message",
        None,
    ]
    assert len(queue.read(2)) == 2


def test_a_record_without_a_key_is_named(queue: Queue) -> None:
    """Nothing says whose order it would keep."""
    refused = queue.stream.put([Record("", b"x"), numbered("T1", 1)])
    assert [fault is None for fault in refused] == [False, True]


def test_nothing_to_put_is_done_at_once(queue: Queue) -> None:
    """An empty request has no answer to wait for."""
    assert queue.stream.put([]) == []


def test_a_stream_that_is_not_there_cannot_be_reached(queue: Queue) -> None:
    """No retry helps; the message says what does."""
    with pytest.raises(Unreachable, match=r"or grant"):
        queue.nowhere.put([numbered("T1", 1)])
