"""Lambda's event source mapping on one shard, as AWS documents it, for replaying recorded Kinesis envelopes.

ministack's own moves on whatever the function reports, so this stands in where failures matter. From the developer
guide (kinesis-batchfailurereporting, kinesis-on-failure-destination): the lowest reported sequence number is the
checkpoint, all from there on comes again; a function error is all of the batch; with bisect a failed one comes
again in two halves, in order, which costs no retry; what is out of retries is discarded, payload and all.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


class Killed(BaseException):
    """The process died here: no handler of ours gets to see it."""


SHARD = "shardId-000000000000"
Event = dict[str, Any]
Record = dict[str, Any]


def envelope(data: bytes, number: int, *, key: str, arrived_ms: int, shard: str = SHARD) -> Record:
    """A stream record as a Lambda event carries it."""
    sequence = f"4959033827149025660855969253836157109592157598913658{number:06d}"
    return delivered(data, sequence, key=key, arrived_ms=arrived_ms, shard=shard)


def delivered(data: bytes, sequence: str, *, key: str, arrived_ms: int, shard: str) -> Record:
    """A record that was read from a stream, as a Lambda event carries it."""
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": key,
            "sequenceNumber": sequence,
            "data": base64.b64encode(data).decode("ascii"),
            "approximateArrivalTimestamp": arrived_ms / 1000,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard}:{sequence}",
        "eventName": "aws:kinesis:record",
        "awsRegion": "us-east-1",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/milepost-telemetry",
    }


def number_of(record: Record) -> str:
    return str(record["kinesis"]["sequenceNumber"])


@dataclass
class Mapping:
    """invoke: the function; it may raise. `discarded`: what went to the on-failure destination."""

    invoke: Callable[[Event], Any]
    batch_size: int = 100
    retries: int = 10
    bisect: bool = True
    invocations: int = 0
    discarded: list[Record] = field(default_factory=list)

    def run(self, records: Sequence[Record]) -> None:
        """Deliver a shard's records to the end."""
        for first in range(0, len(records), self.batch_size):
            self._deliver(list(records[first : first + self.batch_size]), self.retries)

    def _deliver(self, batch: list[Record], retries: int) -> None:
        while batch:
            left = self._attempt(batch)
            if not left:
                return
            if left == batch and self.bisect and len(batch) > 1:
                middle = len(batch) // 2
                self._deliver(batch[:middle], retries)
                self._deliver(batch[middle:], retries)
                return
            if left == batch:
                retries -= 1
            if retries < 0:
                self.discarded += batch
                return
            batch = left

    def _attempt(self, batch: list[Record]) -> list[Record]:
        """What must come again."""
        self.invocations += 1
        try:
            answer = self.invoke({"Records": batch})
        except (Exception, Killed):  # noqa: BLE001 - a function error, whatever it was
            return batch
        failures = [each["itemIdentifier"] for each in (answer or {}).get("batchItemFailures", [])]
        if not failures:
            return []
        numbers = [number_of(record) for record in batch]
        if not all(failure in numbers for failure in failures):
            return batch
        return batch[min(numbers.index(failure) for failure in failures) :]
