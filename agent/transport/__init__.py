"""The transport: how messages leave the truck, and what comes back.

`Transport` is the protocol that the service knows; implementations are named by technology and import their library
only when they are opened.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

from contract.topics import MAX_PAYLOAD

UNBOUNDED = 1e15
"""A rate that nothing reaches."""


class BrokerLimits(NamedTuple):
    """What a broker allows one client; the defaults are AWS IoT Core's (docs/wire.md).

    publishes_per_second, bytes_per_second: over any second. window: publishes that may be unacknowledged.
    payload: bytes of one message. records, batch_bytes: of one backlog batch. backlog_in_flight: bytes of backlog
    that may be unacknowledged, so that a slow line is not blocked for the live lane; one message always may.
    """

    publishes_per_second: float = 100
    bytes_per_second: float = 512 * 1024
    window: int = 100
    payload: int = MAX_PAYLOAD
    records: int = 100
    batch_bytes: int = 120_000
    backlog_in_flight: int = 256 * 1024

    def of_own_broker(self) -> "BrokerLimits":
        """The same without rates and without a bound on the backlog in flight, for a broker that is all one's own."""
        return self._replace(publishes_per_second=UNBOUNDED, bytes_per_second=UNBOUNDED, backlog_in_flight=2**62)


class Message(NamedTuple):
    """One publish. token: the caller's name for it, unique while the process runs. qos: 1, or 0 for a message whose end
    nobody needs to know: it has no event."""

    token: int
    topic: str
    payload: bytes
    retain: bool = False
    qos: Literal[0, 1] = 1


class Listen(NamedTuple):
    """Subscribe to one more topic until the connection ends."""

    topic: str
    qos: Literal[0, 1] = 0


class Connected(NamedTuple):
    """The broker has accepted us and the subscriptions stand. payload: the most bytes it takes in one message."""

    payload: int


class Lost(NamedTuple):
    """The connection has ended: every message that was neither delivered nor refused is forgotten by the transport."""

    reason: str


class Delivered(NamedTuple):
    """A PUBACK with a success code came for each of these tokens."""

    tokens: tuple[int, ...]


class Refused(NamedTuple):
    """The next hop will not have this message: MQTT reason code ≥ 128, or too large to be sent (149)."""

    token: int
    code: int
    reason: str


class Received(NamedTuple):
    """A message on a subscribed topic. retained: the broker had kept it from before the subscription."""

    topic: str
    payload: bytes
    retained: bool = False


class Heard(NamedTuple):
    """The broker granted a `listen`."""

    topic: str


class NotHeard(NamedTuple):
    """The broker refused a `listen`."""

    topic: str
    reason: str


class NotConnected(NamedTuple):
    """An attempt to connect has failed, for another reason than the one before; the next one follows by itself."""

    reason: str


Event = Connected | NotConnected | Lost | Delivered | Refused | Received | Heard | NotHeard
Sink = Callable[[Event], None]


_TAKEN_OVER = 142


def why_ended(code: int, words: str) -> str:
    """Why a broker ended the connection.

    Args:
        code: MQTT's.
        words: the standard's for it.

    Returns:
        These, and what may be behind it where they do not tell.
    """
    remedy = ": another client has this truck's name; does a second agent run, or was its identity copied?"
    return words + remedy if code == _TAKEN_OVER else words


class Transport(Protocol):
    """A line to a broker that comes and goes.

    - `start` returns at once and never raises because the broker is away: the transport connects, and reconnects with
      full-jitter back-off, in a thread of its own until `close`. Connected and Lost tell of it, in turns, and
      NotConnected why it does not succeed.
    - Events are handed to `sink` from that thread, in order, one at a time; the sink must not block.
    - `publish` never blocks. Each message of a connection ends in exactly one of Delivered, Refused, or the Lost that
      ends the connection. What is published while there is no connection is dropped without an event of its own.
    - At least once: a message that ended in Lost may have arrived. **The transport never sends a message twice**; the
      caller retries, with a new token, after the next Connected.
    - Order: messages leave in the order of `publish`, at most `limits.window` unacknowledged, fewer where the broker
      says so (MQTT 5 Receive Maximum).
    - A topic of `subscribe` that the broker refuses is logged as an error, and the others stand.
    - `listen` subscribes to one more topic until the connection ends, in the order of `publish`; the broker's answer is
      told as Heard or NotHeard.
    - `will` is published, retained, by the broker when the connection ends in any way but `close`.
    - `close` says goodbye to the broker and ends the thread within about `timeout` seconds.
    """

    @property
    def limits(self) -> BrokerLimits: ...

    def start(self, sink: Sink, *, will: Message | None = None, subscribe: Sequence[str] = ()) -> None:
        """Begin to connect; returns at once.

        Args:
            sink: gets the events, in order, from the transport's thread; must not block.
            will: what the broker publishes, retained, for a truck that vanished.
            subscribe: topics that stand before it counts as connected, QoS 1.
        """

    def publish(self, message: Message) -> None:
        """Hand one message over; never blocks, and is dropped while there is no connection.

        Args:
            message: its token is named in the event that ends it, and is used once.
        """

    def listen(self, topic: str, qos: Literal[0, 1] = 0) -> None:
        """Subscribe to one more topic until the connection ends.

        Args:
            topic: without wildcards.
            qos: at which messages of that topic come.
        """

    def close(self, timeout: float = 2.0) -> None:
        """Say goodbye and end the thread; safe to call twice.

        Args:
            timeout: seconds, about.
        """
