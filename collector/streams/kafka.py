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
from contract.settings import RoomSettings

log = logging.getLogger(__name__)

MAX_RECORD = 1024 * 1024
"""Bytes of one record, its key included: what Kinesis takes too, so that a fleet may change over."""
_ROOM = 64 * 1024  # a batch's own headers, above MAX_RECORD, in the limits of producer, topic and consumer
SILENT_MS = 10_000
"""After which a worker that is not heard of gives up its partitions; a thread of the client's own keeps it heard."""
_PARTITIONS = 12
_ANSWER_SECONDS = 10.0
_COORDINATOR_MOVES = frozenset({"COORDINATOR_LOAD_IN_PROGRESS", "COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR"})
_TOO_LARGE = frozenset({"MSG_SIZE_TOO_LARGE", "_MSG_SIZE_TOO_LARGE", "INVALID_MSG_SIZE", "INVALID_RECORD"})
_FOR_GOOD = frozenset({
    "TOPIC_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED", "UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC",
    "_UNKNOWN_PARTITION", "TOPIC_EXCEPTION", "SASL_AUTHENTICATION_FAILED", "_AUTHENTICATION",
})  # fmt: skip


class KafkaSettings(RoomSettings):
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
        """Read a URL.

        Args:
            url: `kafka://HOST:PORT[,HOST:PORT]/PREFIX`; without a prefix it is `milepost`.
            settings: how these brokers are spoken to.

        Returns:
            The address; no broker is asked.

        Raises:
            Misconfigured: the URL is none of Kafka's, or holds a password.
        """
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
        """librdkafka's configuration for a client of these brokers.

        Args:
            more: further settings by librdkafka's own names; they win.

        Returns:
            A new dictionary, with the password in it where there is one.

        Raises:
            Misconfigured: half a setting, or a file that is not there.
        """
        said = self.settings
        found: dict[str, Any] = {
            "bootstrap.servers": self.brokers,
            "socket.keepalive.enable": True,
            "reconnect.backoff.ms": 500,  # each try is a line in the log
            "reconnect.backoff.max.ms": 5_000,
        }
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


def make_topics(address: KafkaAddress) -> None:
    """Make the topics that do not exist; those that do stay as they are.

    Args:
        address: brokers, prefix, and how many partitions and replicas.

    Raises:
        Unreachable: no broker answers, or it refuses to make them.
    """
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient, NewTopic

    try:
        with AdminClient(address.client()) as admin:  # freed here, on this thread: see `lag`
            there = admin.list_topics(timeout=_ANSWER_SECONDS).topics
            missing = [
                NewTopic(
                    topic,
                    num_partitions=address.settings.partitions,
                    replication_factor=address.settings.replicas,
                    config={"max.message.bytes": str(MAX_RECORD + _ROOM)},
                )
                for topic in address.topics
                if topic not in there
            ]
            limits = {"operation_timeout": _ANSWER_SECONDS, "request_timeout": _ANSWER_SECONDS}
            for topic, future in (admin.create_topics(missing, **limits) if missing else {}).items():
                try:
                    future.result()  # within the limits
                except KafkaException as error:
                    if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                        raise Unreachable(f"Kafka did not make the topic {topic}: {error.args[0].str()}") from None
    except KafkaException as error:
        raise Unreachable(f"no Kafka at {address.brokers} ({error.args[0].str()}): start it, or mend [kafka]") from None


def lag(address: KafkaAddress) -> dict[str, int]:
    """Records in each topic that the workers have not finished: those after the group's offsets.

    Args:
        address: brokers and prefix.

    It asks as a consumer that joins no group. An AdminClient's answers come on a thread of its own, and one that
    a killed broker left open ends the whole process when Python's garbage collector frees the client there
    (confluent-kafka-python, pull request 2129).

    Returns:
        Topic → records; 0 for a topic that does not exist yet.

    Raises:
        Unreachable: no broker answers, or not in time.
    """
    from confluent_kafka import Consumer, KafkaException, TopicPartition

    consumer = Consumer(address.client(**{"group.id": address.group, "enable.auto.commit": False, "log_level": 2}))
    try:
        topics = consumer.list_topics(timeout=_ANSWER_SECONDS).topics
        parts = [
            TopicPartition(name, number)
            for name in address.topics
            if name in topics
            for number in topics[name].partitions
        ]
        found = dict.fromkeys(address.topics, 0)
        for part in _finished(consumer, parts):
            first, end = consumer.get_watermark_offsets(TopicPartition(part.topic, part.partition), _ANSWER_SECONDS)
            found[part.topic] += max(0, end - max(part.offset, first))
    except KafkaException as error:
        raise Unreachable(f"no Kafka at {address.brokers} ({error.args[0].str()})") from None
    finally:
        consumer.close()
    return found


def _finished(consumer: Any, parts: list[Any]) -> list[Any]:
    """The group's offsets; asked again while its coordinator is being found or loaded, as after a broker's start."""
    from confluent_kafka import KafkaException

    ends = time.monotonic() + _ANSWER_SECONDS
    while True:
        try:
            found: list[Any] = consumer.committed(parts, _ANSWER_SECONDS) if parts else []
            return found
        except KafkaException as error:
            if error.args[0].name() not in _COORDINATOR_MOVES or time.monotonic() > ends:
                raise
            time.sleep(0.1)


class KafkaStream:
    """One topic as a `Stream`; safe to use from several threads.

    Args:
        address: the brokers.
        topic: of `KafkaAddress.topics`.
        deadline: seconds after which `put` gives up; the client retries by itself until then, in order.
    """

    def __init__(self, address: KafkaAddress, topic: str, *, deadline: float = 30.0) -> None:
        self._address, self._topic, self._deadline = address, topic, deadline
        self._guard = threading.Lock()
        self._producer = self._connect()

    def _connect(self) -> Any:
        from confluent_kafka import Producer

        return Producer(
            self._address.client(
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
