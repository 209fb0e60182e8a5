"""A Spark data source over confluent-kafka: topics of Milepost as decoded rows, planned by offsets.

Spark keeps in its checkpoint how far each batch reaches, so that a batch that was cut off is read again over the very
same offsets. With `Trigger.AvailableNow` the end is what lies in Kafka at the start: without that Spark would fall back
to one batch of everything, and to none where a batch that was cut off has to be repeated first.
"""

import json
from collections.abc import Iterator
from typing import Any

from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition
from pyspark.sql.streaming.datasource import SupportsTriggerAvailableNow

from contract.errors import MilepostError, Unreachable
from contract.ingest_items import Kind
from streaming.decoding import SIGNALS, rows

FORMAT = "milepost_kafka"
_FIELDS = ("event_type", "session_id", "user_id", "order_id", "currency", "is_bot", "touched", "lines", "truck_id",
           *SIGNALS)  # fmt: skip
_TYPES = {
    "is_bot": "boolean",
    "touched": "array<struct<item_id:string,views:bigint,clicks:bigint,added:bigint>>",
    **dict.fromkeys(SIGNALS, "double"),
}
SCHEMA = (
    "topic string, partition int, offset bigint, received_at timestamp, kind string, identity string, at timestamp,"
    " document string, payload binary, fault string, reason string, "
    + ", ".join(f"{name} {_TYPES.get(name, 'string')}" for name in _FIELDS)
)
_SECONDS = 20.0
_REMEDY = "delete the checkpoints to count anew from what Kafka holds; the next warehouse build has the rest"


class MissingRecords(MilepostError):
    """Kafka no longer holds what is next to be read: going on in silence would be a loss."""


class KafkaSource(DataSource):
    """Options: `client` (librdkafka's settings as JSON), `topic`, `kind` (click, telemetry), `records` a batch."""

    @classmethod
    def name(cls) -> str:
        return FORMAT

    def schema(self) -> str:
        return SCHEMA

    def streamReader(self, schema: Any) -> DataSourceStreamReader:
        return KafkaReader(dict(self.options))


class OffsetRange(InputPartition):
    """Offsets [first, end) of one partition."""

    def __init__(self, partition: int, first: int, end: int) -> None:
        self.partition, self.first, self.end = partition, first, end


class KafkaReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """The driver plans by offsets, workers read; nothing is committed to Kafka."""

    def __init__(self, options: dict[str, str]) -> None:
        self._client = json.loads(options["client"])
        self._topic, self._records = options["topic"], int(options["records"])
        self._kind: Kind = "click" if options["kind"] == "click" else "telemetry"
        self._target: dict[int, int] | None = None

    def initialOffset(self) -> dict[str, int]:
        return {str(number): first for number, (first, _) in self._bounds().items()}

    def prepareForTriggerAvailableNow(self) -> None:
        """What lies in Kafka now is where this run ends."""
        self._target = {number: end for number, (_, end) in self._bounds().items()}

    def latestOffset(self, start: dict[str, int], limit: Any) -> dict[str, int]:
        """At most `records` more than `start`, shared among the partitions.

        Raises:
            MissingRecords: Kafka no longer has what comes after `start`.
        """
        bounds = self._bounds()
        each = max(1, self._records // max(1, len(bounds)))
        planned = dict(start)
        for number, (first, end) in bounds.items():
            begin = start.get(str(number), first)
            if not first <= begin <= end:
                holds = f"{self._topic}:{number} holds offsets {first} to {end} and not {begin}, which is next"
                raise MissingRecords(f"{holds}: {_REMEDY}")
            target = end if self._target is None else self._target.get(number, begin)
            planned[str(number)] = max(begin, min(target, begin + each))
        return planned

    def partitions(self, start: dict[str, int], end: dict[str, int]) -> list[OffsetRange]:
        return [
            OffsetRange(int(number), start.get(number, 0), last)
            for number, last in end.items()
            if last > start.get(number, 0)
        ]

    def read(self, partition: OffsetRange) -> Iterator[tuple[Any, ...]]:
        """Every record of the stretch.

        Raises:
            MissingRecords: Kafka no longer has one of them.
            Unreachable, KafkaException: they did not come.
        """
        from datetime import UTC, datetime

        from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

        never = {"enable.auto.commit": False, "auto.offset.reset": "error"}
        consumer = Consumer({**self._client, "group.id": "milepost-spark", **never})
        consumer.assign([TopicPartition(self._topic, partition.partition, partition.first)])
        reached = partition.first
        try:
            while reached < partition.end:
                messages = consumer.consume(min(1000, partition.end - reached), _SECONDS)
                if not messages:
                    raise Unreachable(f"{self._topic}:{partition.partition}:{reached} did not come in {_SECONDS:g} s")
                for message in messages:
                    if error := message.error():
                        if error.code() == KafkaError._AUTO_OFFSET_RESET:
                            raise MissingRecords(f"{self._topic}:{partition.partition}:{reached} is gone: {_REMEDY}")
                        raise KafkaException(error)
                    offset, arrived_ms = int(message.offset() or 0), max(0, message.timestamp()[1])
                    reached = offset + 1
                    if offset >= partition.end:
                        break
                    origin = f"{self._topic}:{partition.partition}:{offset}"
                    arrived = datetime.fromtimestamp(arrived_ms / 1000, UTC)
                    for row in rows(message.value() or b"", kind=self._kind, arrived_ms=arrived_ms, origin=origin):
                        counted = (row.fields.get(name) for name in _FIELDS)
                        yield (
                            self._topic, partition.partition, offset, arrived, row.kind, row.identity, row.at,
                            row.document, row.payload, row.fault, row.reason, *counted,
                        )  # fmt: skip
        finally:
            consumer.close()

    def _bounds(self) -> dict[int, tuple[int, int]]:
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer({**self._client, "group.id": "milepost-spark"})
        try:
            numbers = consumer.list_topics(self._topic, _SECONDS).topics[self._topic].partitions
            found = {
                number: consumer.get_watermark_offsets(TopicPartition(self._topic, number), _SECONDS)
                for number in numbers
            }
        finally:
            consumer.close()
        if None in found.values():
            raise Unreachable(f"{self._topic}: Kafka did not say in {_SECONDS:g} s what it holds")
        return found
