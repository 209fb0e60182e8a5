"""`PahoTransport`: any MQTT 5 or 3.1.1 broker through paho-mqtt 2, with or without TLS.

paho brings the protocol; the network loop is ours. One thread owns the client and the socket, so that nothing of paho
runs in two threads, and it sleeps in poll() until there is something to do: paho's own loop wakes every second, waits
in select() (which ends at 1,024 files a process) and backs off without jitter. Every connection gets a new client:
paho would send unacknowledged messages again by itself after a reconnect, which is the buffer's business (see
eclipse-paho/paho.mqtt.python#698 for what happens when both do).

By default the session is clean and expires with the connection. A request to resend that the broker would have kept
for us is asked again by the collector after the report that follows every connect, so there is nothing to remember.

A 3.1.1 broker says less: it acknowledges what it denies as well, and names no limits. Then nothing is ever Refused, and
a denied sample counts as delivered until the collector asks for the hole.
"""

import os
import select
import ssl
import threading
import time
from collections import deque
from collections.abc import Sequence
from logging import INFO, WARNING, getLogger
from typing import Any, Literal

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.transport import (
    BrokerLimits,
    Connected,
    Delivered,
    Heard,
    Listen,
    Lost,
    Message,
    NotConnected,
    NotHeard,
    Received,
    Refused,
    Sink,
    why_ended,
)
from agent.transport.backoff import Backoff
from agent.transport.endpoint import EndpointLine, Tls

log = getLogger(__name__)

_FAILED = 128
_TOO_LARGE = 149
_TOPIC_AND_HEADER = 256
_STABLE = 10.0
_IDLE = 10.0
_SLOWEST_LINE = 1000.0
"""Bytes a second that any line is given before an acknowledgement counts as missing, beside ack_timeout."""


class PahoTransport:
    """A line to one broker. Raises Misconfigured where a certificate cannot be loaded."""

    def __init__(
        self, line: EndpointLine, *, limits: BrokerLimits | None = None, backoff: Backoff | None = None
    ) -> None:
        self.line = line
        self.tls = tls_context(line.tls) if line.tls else None
        self._limits = limits or BrokerLimits()
        self._backoff = backoff or Backoff(1.0, 60.0)
        self._outbox: deque[Message | Listen] = deque()
        self._closing = threading.Event()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread: threading.Thread | None = None

    @property
    def limits(self) -> BrokerLimits:
        """What the broker allows."""
        return self._limits

    def start(self, sink: Sink, *, will: Message | None = None, subscribe: Sequence[str] = ()) -> None:
        """Connect, and stay connected until `close`."""
        name = f"mqtt-{self.line.client_id}"
        self._thread = threading.Thread(target=self._run, args=(sink, will, subscribe), name=name, daemon=True)
        self._thread.start()

    def publish(self, message: Message) -> None:
        """Send one message when its turn comes."""
        self._put(message)

    def listen(self, topic: str, qos: Literal[0, 1] = 0) -> None:
        """Subscribe to one more topic on this connection."""
        self._put(Listen(topic, qos))

    def _put(self, message: Message | Listen) -> None:
        quiet = not self._outbox
        self._outbox.append(message)
        if quiet:
            os.eventfd_write(self._wake, 1)

    def close(self, timeout: float = 2.0) -> None:
        """Say goodbye and end; a connection attempt that hangs is left to its own time limit."""
        if self._wake < 0:
            return
        self._closing.set()
        os.eventfd_write(self._wake, 1)
        if self._thread:
            self._thread.join(timeout)
        if not (self._thread and self._thread.is_alive()):
            os.close(self._wake)
            self._wake = -1

    def _run(self, sink: Sink, will: Message | None, subscribe: Sequence[str]) -> None:
        told = ""
        while not self._closing.is_set():
            began = time.monotonic()
            connection, reason = self._connect(sink, will, subscribe)
            self._outbox.clear()
            if connection.established:
                level = INFO if self._closing.is_set() else WARNING
                log.log(level, "disconnected host=%s port=%d reason=%r", self.line.host, self.line.port, reason)
                sink(Lost(reason))
                if time.monotonic() - began > _STABLE:
                    self._backoff.reset()
            elif reason != told:
                log.warning("connect_failed host=%s port=%d reason=%r", self.line.host, self.line.port, reason)
                sink(NotConnected(reason))
            told = reason
            self._closing.wait(self._backoff.next())

    def _connect(self, sink: Sink, will: Message | None, subscribe: Sequence[str]) -> tuple["Connection", str]:
        """One connection from its begin to its end, and why it ended."""
        connection = Connection(self, sink, will, subscribe)
        try:
            return connection, connection.run(self._outbox, self._wake, self._closing)
        except (OSError, ValueError) as error:  # no route, no such host, a certificate that is not theirs, …
            return connection, f"{type(error).__name__}: {error}"
        except Exception as error:  # the loop's door: whatever ended this connection, the next one is tried
            log.exception("connection_failed")
            return connection, f"{type(error).__name__}: {error}"
        finally:
            connection.abandon()


def _later(*_: object) -> None:
    """Tells paho that someone watches for its packets, so that it queues them; the loop writes many at a time."""


class Connection:
    """One connection from CONNECT to its end; lives in the network thread."""

    def __init__(self, owner: PahoTransport, sink: Sink, will: Message | None, subscribe: Sequence[str]) -> None:
        self._line, self._tls, self._sink, self._subscribe = owner.line, owner.tls, sink, subscribe
        self._window, self._payload = owner.limits.window, owner.limits.payload
        self._unanswered: dict[int, tuple[int, float, int]] = {}  # packet id → token, deadline, size; oldest first
        self._outstanding = 0  # their bytes
        self._listening: dict[int, str] = {}  # packet id → topic, of what `listen` asked for
        self._delivered: list[int] = []
        self._end: str | None = None
        self.established = False
        self._mqtt5 = owner.line.protocol == "5"
        self._client = client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=owner.line.client_id,
            clean_session=None if self._mqtt5 else not owner.line.session_expiry,
            protocol=MQTTProtocolVersion.MQTTv5 if self._mqtt5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        if owner.line.username is not None:
            client.username_pw_set(owner.line.username, owner.line.password)
        client.max_inflight_messages_set(0)  # no queue inside paho: the window is kept here
        client.connect_timeout = owner.line.connect_timeout
        if owner.tls:
            client.tls_set_context(owner.tls)
        if will:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.on_connect, client.on_subscribe = self._on_connect, self._on_subscribe
        client.on_disconnect, client.on_message = self._on_disconnect, self._on_message
        client.on_publish = self._on_publish
        client.on_socket_register_write = _later

    def run(self, outbox: deque[Message | Listen], wake: int, closing: threading.Event) -> str:
        """Connect and carry messages until the connection ends; returns why it did."""
        line, client = self._line, self._client
        if self._mqtt5:
            keep = _keep_session(line.session_expiry)
            client.connect(line.host, line.port, line.keepalive, clean_start=not keep, properties=keep)
        else:
            client.connect(line.host, line.port, line.keepalive)
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        deadline = time.monotonic() + line.connect_timeout
        while self._end is None:
            if closing.is_set():
                client.disconnect()
                client.loop_write()
                return "closed"
            if self.established:
                self._send(outbox)
            elif time.monotonic() > deadline:
                return "the broker did not answer in time"
            else:
                outbox.clear()  # what is published without a connection
            quiet = self._wait(poll, wake)
            if quiet or len(self._delivered) >= self._window // 4:
                self._answer()  # in handfuls while they pour in, as every event wakes the other thread
            if self._late():
                self._end = f"no PUBACK within {line.ack_timeout:g} s"
        self._answer()
        return self._end

    def abandon(self) -> None:
        """Close the socket whatever state it is in; without DISCONNECT, the broker publishes the will."""
        socket = self._client.socket()
        if socket is not None:
            socket.close()

    def _wait(self, poll: select.poll, wake: int) -> bool:
        """One turn of the network loop: sleep until the socket or a publisher has something, then read and write.

        True if neither had. It does not sleep on deliveries that are still to be told.
        """
        client = self._client
        socket: Any = client.socket()
        if socket is None:
            self._end = self._end or "the connection was closed"
            return True
        poll.register(socket, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
        held = socket.pending() if self._tls else 0  # decrypted bytes that poll() cannot see
        ready = dict(poll.poll(0 if held or self._delivered else self._sleep() * 1000))
        if wake in ready:
            os.eventfd_read(wake)
        state = ready.get(socket.fileno(), 0)
        if state & select.POLLOUT:
            client.loop_write()
        if held or state & ~select.POLLOUT:
            client.loop_read()
        if not ready:
            client.loop_misc()  # keep-alive; where there is traffic, ack_timeout finds a dead peer
        return not (ready or held)

    def _sleep(self) -> float:
        keepalive = self._client.keepalive  # the broker's, where it names one
        return min(_IDLE, keepalive / 3 or _IDLE, self._line.ack_timeout if self._unanswered else _IDLE)

    def _late(self) -> bool:
        oldest = next(iter(self._unanswered.values()), None)
        return oldest is not None and time.monotonic() > oldest[1]

    def _send(self, outbox: deque[Message | Listen]) -> None:
        while outbox and len(self._unanswered) < self._window:
            item = outbox.popleft()
            if isinstance(item, Listen):
                mid = self._client.subscribe([self._wanted(item.topic, item.qos)])[1]
                if mid is not None:
                    self._listening[mid] = item.topic
                continue
            token, topic, payload, retain, qos = item
            if len(payload) > self._payload:
                self._sink(Refused(token, _TOO_LARGE, f"{len(payload)} bytes, the broker takes {self._payload}"))
                continue
            info = self._client.publish(topic, payload, qos=qos, retain=retain)
            if qos == 0:
                continue
            self._outstanding += len(payload)
            patience = self._line.ack_timeout + self._outstanding / _SLOWEST_LINE
            self._unanswered[info.mid] = (token, time.monotonic() + patience, len(payload))
        if self._client.want_write():
            self._client.loop_write()

    def _wanted(self, topic: str, qos: int) -> tuple[str, Any]:
        return topic, SubscribeOptions(qos=qos) if self._mqtt5 else qos

    def _answer(self) -> None:
        if self._delivered:
            self._sink(Delivered(tuple(self._delivered)))
            self._delivered.clear()

    def _on_connect(self, client: Client, _: Any, flags: Any, code: ReasonCode, properties: Properties | None) -> None:
        if code.is_failure:
            self._end = f"refused: {code}"
            return
        self._window = min(self._window, getattr(properties, "ReceiveMaximum", self._window))
        packet = getattr(properties, "MaximumPacketSize", None)
        if packet:
            self._payload = min(self._payload, packet - _TOPIC_AND_HEADER)
        if self._subscribe:
            client.subscribe([self._wanted(topic, 1) for topic in self._subscribe])
        else:
            self._establish()

    def _on_subscribe(self, client: Client, _: Any, mid: int, codes: list[ReasonCode], properties: Any) -> None:
        if mid in self._listening:
            topic = self._listening.pop(mid)
            self._sink(NotHeard(topic, str(codes[0])) if codes[0].is_failure else Heard(topic))
            return
        for topic, code in zip(self._subscribe, codes, strict=False):
            if code.is_failure:
                log.error("subscription_refused topic=%s reason=%r", topic, str(code))
        self._establish()

    def _establish(self) -> None:
        self.established = True
        log.info("connected host=%s port=%d window=%d", self._line.host, self._line.port, self._window)
        self._sink(Connected(self._payload))

    def _on_publish(self, client: Client, _: Any, mid: int, code: ReasonCode, properties: Any) -> None:
        if mid not in self._unanswered:
            return  # of QoS 0, which ends when it is written
        token, _, size = self._unanswered.pop(mid)
        self._outstanding -= size
        if code.value < _FAILED:
            self._delivered.append(token)
        else:
            self._sink(Refused(token, code.value, str(code)))

    def _on_message(self, client: Client, _: Any, message: MQTTMessage) -> None:
        self._sink(Received(message.topic, bytes(message.payload), message.retain))

    def _on_disconnect(self, client: Client, _: Any, flags: Any, code: ReasonCode, properties: Any) -> None:
        # _FAILED is paho's code for an end without one
        why = "the connection was lost" if code.value == _FAILED else why_ended(code.value, str(code))
        self._end = self._end or (
            why if self.established else f"{why} before the broker let us in: see milepost agent doctor"
        )


def tls_context(tls: Tls) -> ssl.SSLContext:
    """The files of a truck, loaded; Misconfigured where one cannot be."""
    try:
        context = ssl.create_default_context(cafile=str(tls.ca) if tls.ca else None)
        if tls.certificate:
            context.load_cert_chain(str(tls.certificate), str(tls.key))
    except (OSError, ssl.SSLError) as error:
        raise tls.cannot_load(error) from None
    if tls.alpn:
        context.set_alpn_protocols([tls.alpn])
    return context


def _keep_session(seconds: int) -> Any:
    if not seconds:
        return None
    properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = seconds
    return properties
