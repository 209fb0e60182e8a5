"""Apache Kafka as a `Stream`: an idempotent producer, acks=all, one topic per kind of record.

A URL names the brokers and a prefix, `kafka://host:9092[,host:9092]/milepost`: the topics are `milepost-telemetry` and
`milepost-clicks`, the consumer group is `milepost-collector`. How the brokers are to be spoken to (TLS, SASL) stands in
the table `[kafka]` of milepost.toml, never in a URL.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from collector.streams import Record
from contract.errors import Misconfigured, Rejected, Retryable, Unreachable
from contract.ingest_items import Kind
from contract.settings import Room

log = logging.getLogger(__name__)

MAX_RECORD = 1024 * 1024
"""Bytes of one record, its key included: what Kinesis takes too, so that a fleet may change over."""
_ROOM = 64 * 1024  # a batch's own headers, above MAX_RECORD, in the limits of producer, topic and consumer
_PARTITIONS = 12
_ANSWER_SECONDS = 10.0
_COORDINATOR_MOVES = frozenset({"COORDINATOR_LOAD_IN_PROGRESS", "COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR"})
_TOO_LARGE = frozenset({"MSG_SIZE_TOO_LARGE", "_MSG_SIZE_TOO_LARGE", "INVALID_MSG_SIZE", "INVALID_RECORD"})
_FOR_GOOD = frozenset({
    "TOPIC_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED", "UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC",
    "_UNKNOWN_PARTITION", "TOPIC_EXCEPTION", "SASL_AUTHENTICATION_FAILED", "_AUTHENTICATION",
})  # fmt: skip


class KafkaSettings(Room):
    """The table `[kafka]`: how to speak to the brokers. Passwords: MILEPOST_KAFKA__PASSWORD in the environment.

    ca, certificate, key: PEM files; with `ca` the line is TLS, with the other two the client shows who it is.
    mechanism: of SASL, with username and password. partitions: of topics that Milepost makes; one worker serves one
    or more of them, so that it bounds how many workers can share the load. replicas: copies of each.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    username: str | None = None
    password: SecretStr | None = None
    partitions: int = _PARTITIONS
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """Brokers and the names on them, from a URL."""

    brokers: str
    prefix: str
    settings: KafkaSettings

    @classmethod
    def of(cls, url: str, settings: KafkaSettings) -> "KafkaAddress":
        """Raises Misconfigured where the URL is none of Kafka's."""
        parts = urlsplit(url)
        if parts.scheme != "kafka" or not parts.netloc or "@" in parts.netloc:
            raise Misconfigured(
                f"stream {url.split('@')[-1]!r}: give kafka://HOST:PORT[,HOST:PORT]/PREFIX, no password"
            )
        return cls(parts.netloc, parts.path.strip("/") or "milepost", settings)

    @property
    def topics(self) -> Mapping[str, Kind]:
        """Topic → the kind of record in it."""
        return {f"{self.prefix}-telemetry": "telemetry", f"{self.prefix}-clicks": "click"}

    @property
    def group(self) -> str:
        """The consumer group of the collector's workers."""
        return f"{self.prefix}-collector"

    def client(self, **more: Any) -> dict[str, Any]:
        """librdkafka's configuration for a client of these brokers. Raises Misconfigured for half a setting."""
        said = self.settings
        found: dict[str, Any] = {"bootstrap.servers": self.brokers, "socket.keepalive.enable": True}
        files = {"ssl.ca.location": said.ca, "ssl.certificate.location": said.certificate, "ssl.key.location": said.key}
        for name, file in files.items():
            if file is not None:
                if not file.is_file():
                    raise Misconfigured(f"[kafka] {name.split('.')[1]}: no file {str(file)!r}")
                found[name] = str(file)
        if (said.certificate is None) != (said.key is None):
            raise Misconfigured("[kafka] certificate and key go together: give both or none")
        if said.mechanism:
            if not said.username or said.password is None:
                raise Misconfigured(f"[kafka] mechanism {said.mechanism} needs username and password")
            found |= {"sasl.mechanism": said.mechanism, "sasl.username": said.username}
            found["sasl.password"] = said.password.get_secret_value()
        tls = said.ca is not None or said.certificate is not None
        found["security.protocol"] = ("SASL_" if said.mechanism else "") + ("SSL" if tls else "PLAINTEXT")
        return {**found, **more}


def make_topics(place: KafkaAddress) -> None:
    """Make the topics that do not exist. Raises Unreachable where no broker answers or it may not be done."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient(place.client())
    try:
        there = admin.list_topics(timeout=_ANSWER_SECONDS).topics
        missing = [
            NewTopic(
                topic,
                num_partitions=place.settings.partitions,
                replication_factor=place.settings.replicas,
                config={"max.message.bytes": str(MAX_RECORD + _ROOM)},
            )
            for topic in place.topics
            if topic not in there
        ]
        for topic, future in (admin.create_topics(missing) if missing else {}).items():
            try:
                future.result(_ANSWER_SECONDS)
            except KafkaException as error:
                if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                    raise Unreachable(f"Kafka did not make the topic {topic}: {error.args[0].str()}") from None
    except KafkaException as error:
        raise Unreachable(f"no Kafka at {place.brokers} ({error.args[0].str()}): start it, or mend [kafka]") from None


def lag(place: KafkaAddress) -> dict[str, int]:
    """Records in each topic that the workers have not finished. Raises Unreachable."""
    from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
    from confluent_kafka.admin import AdminClient, OffsetSpec

    admin = AdminClient(place.client())
    try:
        topics = admin.list_topics(timeout=_ANSWER_SECONDS).topics
        parts = [
            TopicPartition(name, number)
            for name in place.topics
            if name in topics
            for number in topics[name].partitions
        ]
        finished = _finished(admin, ConsumerGroupTopicPartitions(place.group, parts))
        ends = admin.list_offsets({part: OffsetSpec.latest() for part in parts})
        starts = admin.list_offsets({part: OffsetSpec.earliest() for part in parts})
        found = dict.fromkeys(place.topics, 0)
        for part in finished:
            key = TopicPartition(part.topic, part.partition)
            begin = part.offset if part.offset >= 0 else starts[key].result(_ANSWER_SECONDS).offset
            found[part.topic] += max(0, ends[key].result(_ANSWER_SECONDS).offset - begin)
    except KafkaException as error:
        raise Unreachable(f"no Kafka at {place.brokers} ({error.args[0].str()})") from None
    return found


def _finished(admin: Any, group: Any) -> list[Any]:
    """The group's offsets; asked again while its coordinator is being found or loaded, as after a broker's start."""
    from confluent_kafka import KafkaException

    ends = time.monotonic() + _ANSWER_SECONDS
    while True:
        try:
            found: list[Any] = (
                admin.list_consumer_group_offsets([group])[group.group_id].result(_ANSWER_SECONDS).topic_partitions
            )
            return found
        except KafkaException as error:
            if error.args[0].name() not in _COORDINATOR_MOVES or time.monotonic() > ends:
                raise
            time.sleep(0.1)


class KafkaStream:
    """One topic as a `Stream`; safe to use from several threads.

    Args:
        place: the brokers.
        topic: of `KafkaAddress.topics`.
        deadline: seconds after which `put` gives up; the client retries by itself until then, in order.
    """

    def __init__(self, place: KafkaAddress, topic: str, *, deadline: float = 30.0) -> None:
        self._place, self._topic, self._deadline = place, topic, deadline
        self._guard = threading.Lock()
        self._producer = self._connect()

    def _connect(self) -> Any:
        from confluent_kafka import Producer

        return Producer(
            self._place.client(
                **{
                    "enable.idempotence": True,
                    "acks": "all",
                    "linger.ms": 2,
                    "compression.type": "lz4",
                    "message.max.bytes": MAX_RECORD + _ROOM,
                    "topic.metadata.propagation.max.ms": 2_000,
                    "delivery.timeout.ms": max(1000, int(self._deadline * 1000)),
                    "socket.timeout.ms": 5_000,
                    "logger": logging.getLogger("kafka"),
                }
            )
        )

    def put(self, records: Sequence[Record]) -> list[Rejected | None]:
        """As `Stream.put`; Unreachable where the topic does not exist or may not be written."""
        refused: list[Rejected | None] = [_fault(record) for record in records]
        going = _Going(sum(fault is None for fault in refused))
        producer, ends = self._producer, time.monotonic() + self._deadline
        for index, record in enumerate(records):
            if refused[index] is None:
                self._produce(producer, record, going.told(index), ends)
        while going.left and time.monotonic() < ends + 1:
            producer.poll(0.1)
        self._judge(going, refused, producer)
        return refused

    def _produce(self, producer: Any, record: Record, told: Callable[[Any, Any], None], ends: float) -> None:
        while True:
            try:
                producer.produce(self._topic, key=record.key.encode(), value=record.data, on_delivery=told)
                return
            except BufferError:  # the client's own queue is full: what is in it has to go first
                if time.monotonic() > ends:
                    raise Retryable(f"{self._topic}: the producer's queue stays full: send all again later") from None
                producer.poll(0.1)
            except Exception as error:
                raise self._failed(getattr(error, "args", [None])[0], producer) from error

    def _judge(self, going: "_Going", refused: list[Rejected | None], producer: Any) -> None:
        """Names what is too large; raises for the rest of what was not taken."""
        for index, error in going.failed.items():
            if error.name() in _TOO_LARGE:
                refused[index] = Rejected("", f"the topic {self._topic} takes no record of that size: send less in one")
        others = [error for error in going.failed.values() if error.name() not in _TOO_LARGE]
        if others:
            raise self._failed(others[0], producer)
        if going.left:
            raise Retryable(f"{self._topic}: {going.left} records without an answer: send all again later")

    def _failed(self, error: Any, producer: Any) -> Exception:
        name = error.name() if hasattr(error, "name") else str(error)
        said = error.str() if hasattr(error, "str") else str(error)
        if hasattr(error, "fatal") and error.fatal():  # an idempotent producer ends with the first of these
            with self._guard:
                if self._producer is producer:
                    self._producer = self._connect()
        if name in _FOR_GOOD:
            return Unreachable(f"Kafka refuses to write to {self._topic}: {said}: make the topic, or grant Write on it")
        return Retryable(f"{self._topic}: not all records were taken: {said}: send all again later")

    def close(self) -> None:
        """Send what is still on its way, for at most the deadline."""
        self._producer.flush(self._deadline)


class _Going:
    """The records of one `put` that are on their way, and what became of them."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.failed: dict[int, Any] = {}
        self._guard = threading.Lock()

    def told(self, index: int) -> Callable[[Any, Any], None]:
        def tell(error: Any, _message: Any) -> None:
            with self._guard:
                self.left -= 1
                if error is not None:
                    self.failed[index] = error

        return tell


def _fault(record: Record) -> Rejected | None:
    if not record.key:
        return Rejected("", "a stream key has at least one character")
    if (size := len(record.data) + len(record.key.encode("utf-8", "surrogatepass"))) > MAX_RECORD:
        return Rejected("", f"{size} bytes in one stream record: {MAX_RECORD} at most, send less in one message")
    return None
