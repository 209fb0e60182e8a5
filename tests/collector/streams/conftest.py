"""A Kinesis stream of a test's own, with faults at the SDK's event hooks."""

import base64
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from collector.streams.kinesis import KinesisStream
from tests.local_aws import ministack

Refuse = Callable[[list[dict[str, Any]]], Sequence[int]]


class Throttled:
    """Refuses records of PutRecords as Kinesis does: they do not reach the stream, and the answer says which.

    `plan`: for each call in turn, the indexes of its records to refuse; after its end none.
    """

    def __init__(self, client: Any, plan: Sequence[Sequence[int]]) -> None:
        self.calls: list[list[str]] = []
        self._plan = list(plan)
        self._refused: list[int] = []
        self._count = 0
        events = client.meta.events
        events.register("provide-client-params.kinesis.PutRecords", self._drop)
        events.register("after-call.kinesis.PutRecords", self._tell)

    def _drop(self, params: dict[str, Any], **_: Any) -> dict[str, Any]:
        records = params["Records"]
        self.calls.append([record["Data"].decode() for record in records])
        self._refused = [index for index in (self._plan.pop(0) if self._plan else ()) if index < len(records)]
        self._count = len(records)
        kept = [record for index, record in enumerate(records) if index not in self._refused]
        return {**params, "Records": kept or [{"Data": b"filler", "PartitionKey": "filler"}]}

    def _tell(self, parsed: dict[str, Any], **_: Any) -> None:
        taken = iter(parsed["Records"])
        refusal = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}
        parsed["Records"] = [refusal if i in self._refused else next(taken) for i in range(self._count)]
        parsed["FailedRecordCount"] = len(self._refused)


class Kinesis:
    """A stream, its client, and what a reader finds in it."""

    def __init__(self, client: Any, name: str) -> None:
        self.client, self.name = client, name
        self.waits: list[float] = []
        self.stream = KinesisStream(client, name, sleep=self.waits.append)

    def read(self) -> list[tuple[str, bytes]]:
        """(partition key, data) of every record, shard by shard."""
        found = []
        for shard in self.client.list_shards(StreamName=self.name)["Shards"]:
            iterator = self.client.get_shard_iterator(
                StreamName=self.name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while records := (page := self.client.get_records(ShardIterator=iterator, Limit=1000))["Records"]:
                found += [(record["PartitionKey"], record["Data"]) for record in records]
                iterator = page["NextShardIterator"]
        return [each for each in found if each[0] != "filler"]


@pytest.fixture
def kinesis() -> Iterator[Kinesis]:
    client = ministack().client("kinesis")
    name = f"test-{uuid.uuid4().hex[:8]}"
    client.create_stream(StreamName=name, ShardCount=2)
    client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    yield Kinesis(client, name)
    client.delete_stream(StreamName=name)


def b64(data: bytes) -> str:
    """As Lambda's events carry data."""
    return base64.b64encode(data).decode("ascii")
