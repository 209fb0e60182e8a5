"""`AwsIotTransport`: AWS IoT Core, or any MQTT 5 broker, through the AWS Common Runtime (awscrt, the MQTT 5 client of
awsiotsdk).

The runtime brings the protocol, TLS (s2n) and the reconnecting with full jitter, all in a thread of its own. Its
callbacks only put into the inbox of our thread, which decides everything: no lock, and publishes leave in order (the
runtime would let one of its own thread overtake one of another). What the runtime would do beyond our promises is
turned off: FAIL_ALL_ON_DISCONNECT, so that it never sends a message again by itself. It settles the publishes of a lost
connection only when the next one begins; so each connection has a number, and answers that come for an earlier one are
dropped, because Lost has told of them.

A client of the runtime keeps the certificate that it was made with. So when a connection ends, or does not come about,
and the certificate's file has changed meanwhile (agent/enrollment renews it), a new client takes the place of the old.

The runtime's own fence of 100 publishes and 512 KiB a second stays up unless `limits` says that the broker is ours.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import lru_cache, partial
from logging import INFO, WARNING, getLogger
from queue import Empty, SimpleQueue
from typing import Any, Literal

from awscrt import io, mqtt5
from awscrt.exceptions import AwsCrtError

from agent.transport import (
    BrokerLimits,
    Connected,
    Delivered,
    Heard,
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
from contract.errors import Misconfigured

log = getLogger(__name__)

_FAILED = 128
_TOO_LARGE = 149
_TOPIC_AND_HEADER = 256
_CORE_PUBLISHES = 100
_STABLE_MS = 10_000
_AT_ONCE = 100
_GOODBYE = 0.5
_LONGEST_PING_MS = 30_000


class AwsIotTransport:
    """An MQTT 5 line to one broker. Raises Misconfigured where a certificate cannot be loaded."""

    def __init__(
        self, line: EndpointLine, *, limits: BrokerLimits | None = None, backoff: Backoff | None = None
    ) -> None:
        self.line = line
        self._tls = _tls_context(line.tls) if line.tls else None
        self._stamp = _stamp(line.tls)
        self._limits = limits or BrokerLimits()
        self._backoff = backoff or Backoff(1.0, 60.0)
        self._inbox: SimpleQueue[Message | Callable[[], None]] = SimpleQueue()
        self._client: Any = None
        self._thread: threading.Thread | None = None
        # The rest belongs to our thread.
        self._outbox: deque[Message] = deque()
        self._delivered: list[int] = []
        self._travelling = 0
        self._window, self._payload = self._limits.window, self._limits.payload
        self._number = 0  # of the connection
        self._established = self._closing = self._ended = False
        self._why = ""  # we end this connection ourselves, and begin the next when it has ended
        self._told = ""
        self._sink: Sink = lambda event: None
        self._will: Message | None = None
        self._subscribe: Sequence[str] = ()

    @property
    def limits(self) -> BrokerLimits:
        """What the broker allows."""
        return self._limits

    def start(self, sink: Sink, *, will: Message | None = None, subscribe: Sequence[str] = ()) -> None:
        """Connect, and stay connected until `close`."""
        self._sink, self._will, self._subscribe = sink, will, subscribe
        self._client = mqtt5.Client(self._options())
        name = f"mqtt-{self.line.client_id}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self._client.start()

    def publish(self, message: Message) -> None:
        """Send one message when its turn comes."""
        self._inbox.put(message)

    def listen(self, topic: str, qos: Literal[0, 1] = 0) -> None:
        """Subscribe to one more topic on this connection."""
        self._inbox.put(partial(self._listen, topic, mqtt5.QoS(qos)))

    def _listen(self, topic: str, qos: Any) -> None:
        if not self._established:
            return
        packet = mqtt5.SubscribePacket([mqtt5.Subscription(topic, qos)])
        answer: Future[Any] = self._client.subscribe(packet)
        answer.add_done_callback(self._later(self._on_listening, topic, self._number))

    def _on_listening(self, topic: str, number: int, answer: "Future[Any]") -> None:
        if number != self._number or answer.exception():
            return
        code = answer.result().reason_codes[0]
        self._sink(NotHeard(topic, _words(code)) if int(code) >= _FAILED else Heard(topic))

    def close(self, timeout: float = 2.0) -> None:
        """Say goodbye and end; a connection attempt that hangs is left to its own time limit."""
        if self._thread:
            self._inbox.put(self._on_close)
            self._thread.join(timeout)
            self._thread = None

    def _options(self) -> Any:
        line, backoff, will = self.line, self._backoff, self._will
        own = self._limits.publishes_per_second > _CORE_PUBLISHES
        fence = mqtt5.ExtendedValidationAndFlowControlOptions
        session = mqtt5.ClientSessionBehaviorType
        return mqtt5.ClientOptions(
            host_name=line.host,
            port=line.port,
            bootstrap=_bootstrap(),
            socket_options=_socket_options(line.connect_timeout),
            tls_ctx=self._tls,
            connect_options=mqtt5.ConnectPacket(
                client_id=line.client_id,
                keep_alive_interval_sec=line.keepalive,
                session_expiry_interval_sec=line.session_expiry,
                will=_packet(will) if will else None,
            ),
            session_behavior=session.REJOIN_ALWAYS if line.session_expiry else session.CLEAN,
            extended_validation_and_flow_control_options=fence.NONE if own else fence.AWS_IOT_CORE_DEFAULTS,
            offline_queue_behavior=mqtt5.ClientOperationQueueBehaviorType.FAIL_ALL_ON_DISCONNECT,
            retry_jitter_mode=mqtt5.ExponentialBackoffJitterMode.FULL,
            min_reconnect_delay_ms=int(backoff.first * 1000),
            max_reconnect_delay_ms=int(backoff.longest * 1000),
            min_connected_time_to_reset_reconnect_delay_ms=_STABLE_MS,
            ping_timeout_ms=min(_LONGEST_PING_MS, line.keepalive * 500),
            connack_timeout_ms=int(line.connect_timeout * 1000),
            ack_timeout_sec=max(1, round(line.ack_timeout)),
            on_publish_callback_fn=self._later(self._on_publish),
            on_lifecycle_event_connection_success_fn=self._later(self._on_connect),
            on_lifecycle_event_connection_failure_fn=self._later(self._on_failure),
            on_lifecycle_event_disconnection_fn=self._later(self._on_disconnect),
            on_lifecycle_event_stopped_fn=self._later(self._on_stopped),
            disable_metrics=True,
        )

    def _later(self, act: Callable[..., None], *first: object) -> Callable[[Any], None]:
        """A callback for the runtime's thread: our thread will do it."""
        return lambda value: self._inbox.put(partial(act, *first, value))

    def _run(self) -> None:
        while not self._ended:
            try:
                item = self._inbox.get(timeout=_GOODBYE if self._closing else None)
            except Empty:  # stopped before it began, or s2n sits out its penalty for a failed handshake
                return
            for _ in range(_AT_ONCE):
                self._see_to(item)
                try:
                    item = self._inbox.get_nowait()
                except Empty:
                    break
            else:
                self._see_to(item)
            self._pump()
            self._tell()

    def _see_to(self, item: Message | Callable[[], None]) -> None:
        if isinstance(item, Message):
            if self._established:
                self._outbox.append(item)
            return
        try:
            item()
        except Exception:  # the loop's door: what one event does must not end the transport
            log.exception("event_failed")

    def _tell(self) -> None:
        if self._delivered:
            self._sink(Delivered(tuple(self._delivered)))
            self._delivered.clear()

    def _pump(self) -> None:
        """Hand over what the window allows."""
        while self._outbox and self._travelling < self._window:
            message = self._outbox.popleft()
            size = len(message.payload)
            if size > self._payload:
                self._sink(Refused(message.token, _TOO_LARGE, f"{size} bytes, the broker takes {self._payload}"))
                continue
            if message.qos == 0:
                self._client.publish(_packet(message))
                continue
            self._travelling += 1
            answer: Future[Any] = self._client.publish(_packet(message))
            answer.add_done_callback(self._later(self._on_puback, message.token, self._number))

    def _on_puback(self, token: int, number: int, answer: "Future[Any]") -> None:
        if number != self._number or not self._established:
            return
        if error := answer.exception():
            # not acknowledged in time, or the connection is ending: Lost will tell of this message
            self._leave(f"no PUBACK within {self.line.ack_timeout:g} s: {_explain(error)}")
            return
        self._travelling -= 1
        code = answer.result().puback.reason_code
        if int(code) < _FAILED:
            self._delivered.append(token)
        else:
            self._sink(Refused(token, int(code), answer.result().puback.reason_string or _words(code)))

    def _on_connect(self, event: Any) -> None:
        settings = event.negotiated_settings
        self._number += 1
        self._travelling = 0
        self._window = min(self._limits.window, settings.receive_maximum_from_server)
        self._payload = min(self._limits.payload, settings.maximum_packet_size_to_server - _TOPIC_AND_HEADER)
        if not self._subscribe:
            self._establish()
            return
        topics = [mqtt5.Subscription(topic, mqtt5.QoS.AT_LEAST_ONCE) for topic in self._subscribe]
        answer: Future[Any] = self._client.subscribe(mqtt5.SubscribePacket(topics))
        answer.add_done_callback(self._later(self._on_suback, self._number))

    def _on_suback(self, number: int, answer: "Future[Any]") -> None:
        if number != self._number or self._closing:
            return
        if error := answer.exception():
            self._leave(f"no answer to the subscription: {_explain(error)}")
            return
        for topic, code in zip(self._subscribe, answer.result().reason_codes, strict=False):
            if int(code) >= _FAILED:
                log.error("subscription_refused topic=%s reason=%r", topic, _words(code))
        self._establish()

    def _establish(self) -> None:
        self._established, self._told = True, ""
        log.info("connected host=%s port=%d window=%d", self.line.host, self.line.port, self._window)
        self._sink(Connected(self._payload))

    def _on_publish(self, event: Any) -> None:
        packet = event.publish_packet
        self._sink(Received(packet.topic, bytes(packet.payload or b""), bool(packet.retain)))

    def _on_failure(self, event: Any) -> None:
        connack = event.connack_packet
        reason = f"refused: {_words(connack.reason_code)}" if connack else _explain(event.exception)
        if reason != self._told and not self._closing:
            log.warning("connect_failed host=%s port=%d reason=%r", self.line.host, self.line.port, reason)
            self._sink(NotConnected(reason))
            self._told = reason
        self._look_at_certificate()

    def _look_at_certificate(self) -> None:
        if _stamp(self.line.tls) != self._stamp:
            self._leave("there is a new certificate")

    def _on_disconnect(self, event: Any) -> None:
        established, self._established = self._established, False
        self._number += 1
        self._outbox.clear()
        self._tell()
        if not established:
            return
        goodbye = event.disconnect_packet
        said = why_ended(goodbye.reason_code, _words(goodbye.reason_code)) if goodbye else _explain(event.exception)
        reason = self._why or said
        level = INFO if self._closing else WARNING
        reason = "closed" if self._closing else reason
        log.log(level, "disconnected host=%s port=%d reason=%r", self.line.host, self.line.port, reason)
        self._sink(Lost(reason))
        self._look_at_certificate()

    def _leave(self, why: str) -> None:
        """End a connection that no longer answers; `_on_stopped` begins the next."""
        if not self._why and not self._closing:
            self._why = why
            self._client.stop()

    def _on_close(self) -> None:
        self._closing = True
        self._client.stop(mqtt5.DisconnectPacket())

    def _on_stopped(self, event: Any) -> None:
        if self._closing:
            self._ended, self._client = True, None
        elif self._why:
            self._why = ""
            self._renew_client()
            self._client.start()

    def _renew_client(self) -> None:
        if not self.line.tls or (stamp := _stamp(self.line.tls)) == self._stamp:
            return
        try:
            self._tls = _tls_context(self.line.tls)
        except Misconfigured as error:  # half of a change: the old one goes on, and the next failure looks again
            log.error("certificate_not_loaded reason=%r", str(error))
            return
        self._stamp = stamp
        self._client = mqtt5.Client(self._options())
        log.info("certificate_loaded file=%s", self.line.tls.certificate)


def _stamp(tls: Tls | None) -> tuple[object, ...]:
    """Changes with the certificate's file, also where the path leads to another."""
    if not tls or not tls.certificate:
        return ()
    try:
        state = tls.certificate.stat()
    except OSError:
        return ()
    return state.st_dev, state.st_ino, state.st_mtime_ns


def _packet(message: Message) -> Any:
    return mqtt5.PublishPacket(
        topic=message.topic, payload=message.payload, qos=mqtt5.QoS(message.qos), retain=message.retain
    )


def _words(code: Any) -> str:
    """NOT_AUTHORIZED → Not authorized, as the standard spells it."""
    return str(getattr(code, "name", code)).replace("_", " ").capitalize()


def _explain(error: Any) -> str:
    return str(getattr(error, "message", error))


@lru_cache(maxsize=1)
def _bootstrap() -> Any:
    """One network thread for all lines of this process."""
    group = io.EventLoopGroup(1)
    return io.ClientBootstrap(group, io.DefaultHostResolver(group))


def _socket_options(connect_timeout: float) -> Any:
    options = io.SocketOptions()
    options.connect_timeout_ms = int(connect_timeout * 1000)
    return options


def _tls_context(tls: Tls) -> Any:
    load: Callable[[], Any] = io.TlsContextOptions
    if tls.certificate:
        load = partial(io.TlsContextOptions.create_client_with_mtls_from_path, str(tls.certificate), str(tls.key))
    try:
        options = load()
        if tls.ca:
            options.override_default_trust_store_from_path(None, str(tls.ca))
        if tls.alpn:
            options.alpn_list = [tls.alpn]
        return io.ClientTlsContext(options)
    except (OSError, RuntimeError, AwsCrtError) as error:
        raise tls.cannot_load(error) from None
