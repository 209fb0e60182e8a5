"""The rows that stores keep and queries return: samples, clicks, counters and dead letters. Plain data, no I/O."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Generic, NamedTuple, TypeVar


class StoredSample(NamedTuple):
    """A sample as kept.

    by_arrival: it is dated by its arrival. text: the producer's canonical JSON (contract.records.Sample.text).
    estimated: nobody vouches for its time, so its content is its identity.
    """

    order_key: str
    key: str
    stream_id: str | None
    seq: int | None
    content: str
    received_ms: int
    by_arrival: bool
    text: str
    estimated: bool = False


class Counter(NamedTuple):
    """What clicks are counted under; `minute` is the instant at which it began."""

    minute: str
    item_id: str | None
    item_name: str | None
    event_type: str


@dataclass(slots=True)  # nobody changes one; made for every event, a frozen one would take four times as long to make
class StoredClick:
    """An event as kept, with the counter that it adds `count` to.

    content: hash of what its producer sent, "" for an event that was stored before hashes were. sent_at: the browser's
    clock at the delivery, "" where it was not said. from_file: `milepost ingest` brought it, so that its identity is
    kept for ever, also where others expire. user_id, customer_id, is_bot: as the event says.
    """

    event_id: str
    timestamp: str
    session_id: str | None
    page: str | None
    counter: Counter
    count: int
    received_ms: int
    text: str
    content: str = ""
    sent_at: str = ""
    from_file: bool = dataclass_field(default=False, compare=False)
    user_id: str | None = None
    customer_id: str | None = None
    is_bot: bool = False

    @property
    def rank(self) -> tuple[str, int, str]:
        """Of several deliveries under one event_id the one of the lowest rank counts, in whatever order they came."""
        return (self.content, self.received_ms, self.sent_at)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Input that was refused: `payload` is the bytes as they came; `times` counts how often they came.

    delivery: what names this coming (a stream's shard and sequence number), "" where nothing does. A stream delivers
    again whatever stood in a batch beside a failure: that is no second coming.
    """

    id: str
    received_ms: int
    source: str
    field: str
    reason: str
    payload: bytes
    times: int = 1
    delivery: str = dataclass_field(default="", compare=False)


class AlertRow(NamedTuple):
    """Something kept about alerts of one subject, under a key: a JSON document whose meaning is the alerts room's."""

    subject: str
    key: str
    text: str


class OutboxMessage(NamedTuple):
    """What a receiver is still to be told. due_ms: Unix ms of the next attempt. text: JSON, the alerts room's."""

    id: str
    receiver: str
    due_ms: int
    attempts: int
    text: str


@dataclass(frozen=True, slots=True)
class AlertChange:
    """One act on the rows of a subject, and the messages that go out because of it.

    revision: that the rows were read at, 0 for a subject without rows. put: key → text. At most 90 rows and messages.
    """

    subject: str
    revision: int
    put: Mapping[str, str] = dataclass_field(default_factory=dict)
    remove: Sequence[str] = ()
    messages: Sequence[OutboxMessage] = ()


Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class StoredSince(Generic[Row]):
    """Rows that were stored after a mark, in the order of their storing.

    rows: to be read once. whole: these are all rows of the store, not only those after the mark. mark: what to ask
    with next time; it covers exactly `rows`, also where the store grows while they are read. None: ask for all again.
    """

    rows: Iterator[Row]
    whole: bool
    mark: str | None
