"""A Spark data source over confluent-kafka: topics of Milepost as decoded rows, planned by offsets.

Spark keeps in its checkpoint how far each batch reaches, so that a batch that was cut off is read again over the very
same offsets.
"""

import json
from collections.abc import Iterator
from typing import Any

from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition

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


class KafkaReader(DataSourceStreamReader):
    """The driver plans by offsets, workers read; nothing is committed to Kafka."""

    def __init__(self, options: dict[str, str]) -> None:
        self._client = json.loads(options["client"])
        self._topic, self._records = options["topic"], int(options["records"])
        self._kind: Kind = "click" if options["kind"] == "click" else "telemetry"

    def initialOffset(self) -> dict[str, int]:
        return {str(number): first for number, (first, _) in self._bounds().items()}

    def latestOffset(self, start: dict[str, int], limit: Any) -> dict[str, int]:
        """At most `records` more than `start`, shared among the partitions."""
        bounds = self._bounds()
        each = max(1, self._records // max(1, len(bounds)))
        return {
            str(number): min(end, max(first, start.get(str(number), first)) + each)
            for number, (first, end) in bounds.items()
        }

    def partitions(self, start: dict[str, int], end: dict[str, int]) -> list[OffsetRange]:
        return [
            OffsetRange(int(number), start.get(number, 0), last)
            for number, last in end.items()
            if last > start.get(number, 0)
        ]

    def read(self, partition: OffsetRange) -> Iterator[tuple[Any, ...]]:
        """Every record of the stretch; raises where Kafka no longer has one of them: a silent gap would be a loss."""
        from datetime import UTC, datetime

        from confluent_kafka import Consumer, KafkaException, TopicPartition

        consumer = Consumer({**self._client, "group.id": "milepost-spark", "enable.auto.commit": False})
        consumer.assign([TopicPartition(self._topic, partition.partition, partition.first)])
        reached = partition.first
        try:
            while reached < partition.end:
                messages = consumer.consume(min(1000, partition.end - reached), _SECONDS)
                if not messages:
                    raise KafkaException(
                        f"{self._topic}:{partition.partition}:{reached} did not come in {_SECONDS:g} s"
                    )
                for message in messages:
                    if message.error():
                        raise KafkaException(message.error())
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
            return {
                number: consumer.get_watermark_offsets(TopicPartition(self._topic, number), _SECONDS)
                for number in numbers
            }
        finally:
            consumer.close()
