"""A worker of the collector behind Kafka: its partitions' records into the store, then their offsets.

Promises: an offset is committed only when the items before it are durable in the store or in dead letters, so that a
kill at any moment costs nothing and repeats are duplicates. The key of a record is its truck, so the partitions of a
worker are its trucks; while partitions move from one worker to another, both may take the same records, which the store
bears. A record that cannot be taken now holds up its partition alone, and is tried again after a pause.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from collector.handlers.batch import Outcome, StreamRecord, take_records
from collector.ingest import Ingest
from collector.stores import Store
from collector.streams.kafka import MAX_RECORD, SILENT_MS, KafkaAddress
from contract.errors import Unreachable

log = logging.getLogger(__name__)

_RECORDS = 200
_POLL_SECONDS = 0.2
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 5.0


class Worker:
    """One member of the consumer group; more processes share the partitions among them.

    Args:
        address: the brokers; their topics must exist.
        store, ingest: where records go. The store may be shared with other workers.
    """

    def __init__(self, address: KafkaAddress, store: Store, ingest: Ingest) -> None:
        from confluent_kafka import Consumer

        self._address, self._store, self._ingest = address, store, ingest
        self._wait = _FIRST_WAIT
        self.counts: Counter[str] = Counter()
        self._consumer = Consumer(
            address.client(
                **{
                    "group.id": address.group,
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "auto.offset.reset": "earliest",
                    "session.timeout.ms": SILENT_MS,
                    "partition.assignment.strategy": "cooperative-sticky",
                    "fetch.message.max.bytes": 2 * MAX_RECORD,
                    "topic.metadata.refresh.interval.ms": 30_000,
                    "logger": logging.getLogger("kafka"),
                }
            )
        )

    def run(self, stopped: Callable[[], bool]) -> None:
        """Until `stopped`, looked at several times a second. Raises Unreachable where the topics may not be read."""
        self._consumer.subscribe(
            list(self._address.topics),
            on_assign=lambda _, parts: log.info("partitions_taken %s", _names(parts)),
            on_revoke=lambda _, parts: log.info("partitions_given_up %s", _names(parts)),
            on_lost=lambda _, parts: log.warning("partitions_lost %s", _names(parts)),
        )
        try:
            while not stopped():
                self._take(self._consumer.consume(_RECORDS, _POLL_SECONDS))
        finally:
            self._consumer.close()

    def _take(self, messages: Sequence[Any]) -> None:
        good = [message for message in messages if self._readable(message)]
        if not good:
            return
        failed: set[tuple[str, int, int]] = set()
        for topic, kind in self._address.topics.items():
            if records := [_record(message) for message in good if message.topic() == topic]:
                outcome = take_records(records, kind=kind, store=self._store, ingest=self._ingest)
                self.counts.update(outcome.counts)
                failed |= _places(outcome)
        self._settle(good, failed)

    def _readable(self, message: Any) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.name() in {"TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED"}:
            raise Unreachable(f"Kafka refuses the worker: {error.str()}: grant Read on the topics and on the group")
        log.warning("kafka_said %s", error.str())
        return False

    def _settle(self, messages: Sequence[Any], failed: set[tuple[str, int, int]]) -> None:
        """Commit each partition up to what was taken, and go back to what was not."""
        from confluent_kafka import KafkaException, TopicPartition

        ends: dict[tuple[str, int], int] = {}
        for message in messages:
            part = (message.topic(), message.partition())
            ends[part] = max(ends.get(part, 0), message.offset() + 1)
        back: dict[tuple[str, int], int] = {}
        for topic, partition, offset in failed:
            back[topic, partition] = min(back.get((topic, partition), offset), offset)
        done = [TopicPartition(*part, back.get(part, end)) for part, end in ends.items()]
        try:
            self._consumer.commit(offsets=done, asynchronous=False)
            for part, offset in back.items():
                self._consumer.seek(TopicPartition(*part, offset))
        except KafkaException as error:  # a partition has another owner now, or no broker answers: it comes again
            log.warning("offsets_not_committed reason=%s", error.args[0].str())
        if not failed:
            self._wait = _FIRST_WAIT
            return
        log.warning("records_come_again count=%d in_seconds=%.2f", len(failed), self._wait)
        time.sleep(self._wait)
        self._wait = min(self._wait * 2, _LONGEST_WAIT)


def _record(message: Any) -> StreamRecord:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    at = f"{topic}:{partition}:{offset}"
    key = (message.key() or b"").decode("utf-8", "replace")
    return StreamRecord(key, at, at, message.value() or b"", max(0, message.timestamp()[1]), service="kafka")


def _places(outcome: Outcome) -> set[tuple[str, int, int]]:
    parts = (number.rsplit(":", 2) for number in outcome.failed)
    return {(topic, int(partition), int(offset)) for topic, partition, offset in parts}


def _names(parts: Sequence[Any]) -> str:
    return " ".join(f"{part.topic}:{part.partition}" for part in parts) or "none"
