"""Shop events for whoever reads a stream: visits at a steady rate into Kafka, Kinesis, Firehose or a file.

Each event is one bare JSON document, its session the key, so that a session keeps its order. Who buys says where to
deliver: a name and an address made by Faker. An event counts as sent when the service has acknowledged it; where that
answer is lost it is put again, so that a reader drops repeats by `event_id`.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Protocol
from urllib.parse import urlsplit

from contract.codec import dump
from contract.errors import Misconfigured, Unreachable
from simulator.shopper import Event, Shopper

_AT_ONCE = 400  # Kinesis and Firehose take 500 records in one request
_TICK_SECONDS = 0.2
_TRIES = 8
_DELIVERY_SECONDS = 30
_LANGUAGES = ("de_DE", "de_AT", "en_GB", "fr_FR", "it_IT")


class Sink(Protocol):
    """Where the events go."""

    def put(self, events: Sequence[Event]) -> None:
        """Returns when all are acknowledged, in order within a session.

        Args:
            events: at most 400.

        Raises:
            Unreachable: it takes no more events.
        """
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def open_sink(address: str) -> Sink:
    """What `--to` names: kafka://HOST:PORT[,HOST:PORT]/TOPIC, kinesis://STREAM, firehose://STREAM, else a file.

    Raises:
        Misconfigured: it names none of these, or the library for it is not installed.
    """
    parts = urlsplit(address)
    name = parts.path.strip("/")
    try:
        if parts.scheme == "kafka":
            if not parts.netloc or not name or "@" in parts.netloc:
                raise Misconfigured("--to kafka://HOST:PORT[,HOST:PORT]/TOPIC: give brokers and a topic, no password")
            return _Kafka(parts.netloc, name)
        if parts.scheme in ("kinesis", "firehose"):
            if not parts.netloc or name:
                raise Misconfigured(f"--to {parts.scheme}://STREAM: give the name of a stream")
            return _Kinesis(parts.netloc) if parts.scheme == "kinesis" else _Firehose(parts.netloc)
    except ModuleNotFoundError as error:
        extra = "kafka" if parts.scheme == "kafka" else "aws"
        raise Misconfigured(f"{error}: --to {parts.scheme}:// needs pip install 'milepost[{extra}]'") from error
    if parts.scheme:
        raise Misconfigured(f"--to {address!r}: must be kafka://, kinesis://, firehose:// or a file")
    return _File(Path(address))


class Producer:
    """Shoppers whose events go into a sink.

    Args:
        sink: where to.
        rate: events a second, of all shoppers together.
        count: how many shoppers.
        seed: another number is other shoppers. Ids of events, sessions and orders are new in every run.
    """

    def __init__(self, sink: Sink, *, rate: float, count: int, seed: int) -> None:
        from faker import Faker

        self._sink, self._rate = sink, rate
        self._dice = Random(f"{seed}:producer")
        self._shoppers = [Shopper(number, seed) for number in range(1, count + 1)]
        Faker.seed(seed)
        fakes = [Faker(language) for language in _LANGUAGES]
        self._homes = [_home(self._dice.choice(fakes)) for _ in self._shoppers]
        self.sent = 0

    def run(self, stopped: threading.Event, *, events: int | None = None, seconds: float | None = None) -> None:
        """Until so many events are sent, so many seconds are over, or `stopped`. Raises Unreachable."""
        began = time.monotonic()
        while not stopped.is_set() and (events is None or self.sent < events):
            passed = time.monotonic() - began
            if seconds is not None and passed >= seconds:
                return
            due = int(passed * self._rate) + 1 - self.sent
            if events is not None:
                due = min(due, events - self.sent)
            if due > 0:
                batch = list(self._next(min(due, _AT_ONCE)))
                self._sink.put(batch)
                self.sent += len(batch)
            if due < _AT_ONCE:
                stopped.wait(min(_TICK_SECONDS, 1 / self._rate))

    def _next(self, count: int) -> Iterator[Event]:
        for _ in range(count):
            number = self._dice.randrange(len(self._shoppers))
            event = self._shoppers[number].next(datetime.now(UTC))
            if event["event_type"] == "purchase":
                event["properties"] = {"deliver_to": self._homes[number]}
            yield event


def _home(fake: Any) -> Event:
    return {
        "name": fake.name(), "street": fake.street_address(), "postcode": fake.postcode(), "city": fake.city(),
        "country": fake.current_country_code(),
    }  # fmt: skip


def _key(event: Event) -> str:
    return str(event["session_id"])


def _data(event: Event) -> bytes:
    return dump(event).encode()


class _File:
    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")

    def put(self, events: Sequence[Event]) -> None:
        self._file.write(b"".join(_data(event) + b"\n" for event in events))
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class _Kafka:
    def __init__(self, brokers: str, topic: str) -> None:
        from confluent_kafka import Producer as Client

        self._topic, self._failed = topic, ""
        self._client = Client({
            "bootstrap.servers": brokers, "enable.idempotence": True, "acks": "all", "linger.ms": 5,
            "delivery.timeout.ms": _DELIVERY_SECONDS * 1000, "topic.metadata.propagation.max.ms": 2_000, "log_level": 2,
        })  # fmt: skip

    def put(self, events: Sequence[Event]) -> None:
        for event in events:
            self._client.produce(self._topic, _data(event), _key(event).encode(), on_delivery=self._delivered)
        left = self._client.flush(_DELIVERY_SECONDS + 5)
        if left or self._failed:
            raise Unreachable(f"Kafka did not take events for {self._topic}: {self._failed or f'{left} unanswered'}")

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._failed = error.str()

    def close(self) -> None:
        self._client.flush(_DELIVERY_SECONDS)


class _Batches:
    """A service of AWS that takes batches and names the records it refused."""

    def __init__(self, service: str, stream: str) -> None:
        import boto3

        self._client: Any = boto3.client(service)
        self._stream = stream

    def put(self, events: Sequence[Event]) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        left = list(events)
        for attempt in range(_TRIES):
            try:
                left = self._request(left)
            except (BotoCoreError, ClientError) as error:
                raise Unreachable(f"{self._stream} does not take events: {error}") from None
            if not left:
                return
            time.sleep(0.1 * 2**attempt)
        raise Unreachable(
            f"{self._stream} refuses {len(left)} events again and again: give it more capacity, or --rate less"
        )

    def _request(self, events: Sequence[Event]) -> list[Event]:
        """Puts them; what was refused."""
        raise NotImplementedError

    def close(self) -> None:
        self._client.close()


class _Kinesis(_Batches):
    def __init__(self, stream: str) -> None:
        super().__init__("kinesis", stream)

    def _request(self, events: Sequence[Event]) -> list[Event]:
        records = [{"Data": _data(event), "PartitionKey": _key(event)} for event in events]
        answer = self._client.put_records(StreamName=self._stream, Records=records)
        return [event for event, said in zip(events, answer["Records"], strict=True) if said.get("ErrorCode")]


class _Firehose(_Batches):
    """Each record ends with a line feed, since Firehose joins them as they are."""

    def __init__(self, stream: str) -> None:
        super().__init__("firehose", stream)

    def _request(self, events: Sequence[Event]) -> list[Event]:
        records = [{"Data": _data(event) + b"\n"} for event in events]
        answer = self._client.put_record_batch(DeliveryStreamName=self._stream, Records=records)
        return [event for event, said in zip(events, answer["RequestResponses"], strict=True) if said.get("ErrorCode")]
