"""One MQTT session of the collector: what it hears goes through the rules to the writer; acknowledged after commit.

A persistent session with manual acknowledgement: what the broker hands out stays its own until the store
has committed it, so a kill of this process loses nothing. What the broker forgets in a kill, gap repair asks for.
"""

import base64
import json
import logging
import queue
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from collector.gap_repair import Ask
from collector.ingest import items_of_stream_record
from contract import machine_clock, topics
from contract.errors import Misconfigured, Rejected, Retryable, Unreachable
from contract.ingest_items import Item
from iot_rules.actions import Delivery
from iot_rules.engine import PublishedMessage, Rules

log = logging.getLogger(__name__)

_SESSION_SECONDS = 0xFFFFFFFF  # never expires
_GROUP = 500
_RECORDS = 1_000
"""In one commit, about: the other session's messages wait for as long as that takes."""
_CONNECT_SECONDS = 15.0
_DROPPED = "$SYS/broker/publish/messages/dropped"
"""mosquitto counts here, since its start, what it acknowledged to a sender and had no room to keep for a receiver."""
_PORTS = {"mqtt": 1883, "mqtts": 8883}

Unpack = Callable[[Delivery], list[Any]]
"""What one record that a rule makes holds, as `Submit` takes it. Raises Rejected."""
Submit = Callable[[list[Any]], "Future[Any]"]
"""Takes what was unpacked; done when that is durable. Raises Retryable, as does the future."""


def items_of(delivery: Delivery) -> list[Item]:
    """The samples, reports and statuses in a record of the telemetry rules."""
    return items_of_stream_record(delivery.payload)


@dataclass(frozen=True, slots=True)
class Hearing:
    """What a session subscribes to.

    filters: at QoS 1. left: filters that an earlier release had subscribed under this session's name; what they have
    brought already is still handed out and stored. window: messages that the broker hands out without an
    acknowledgement. answers_time: whether the trucks' questions for the time are answered. watches_drops: whether it
    hears how many messages the broker has dropped.
    """

    filters: tuple[str, ...]
    left: tuple[str, ...] = ()
    window: int = 1_000
    answers_time: bool = False
    watches_drops: bool = False


@dataclass(frozen=True, slots=True)
class _Arrival:
    topic: str
    payload: bytes
    mid: int
    received_ms: int
    session: int


def _unrouted(rule: str, message: PublishedMessage) -> Delivery:
    """What a rule would have made of a message whose truck's name is no key of a stream: empty, or over 256 characters.

    AWS IoT keeps such a message under `rule-errors/`; here it is judged like any other, and refused for its name.
    """
    _, truck_id, kind, *_ = message.topic.split("/")
    envelope: dict[str, Any] = {
        "data": base64.b64encode(message.payload).decode("ascii"),
        "truck_id": truck_id,
        "client_id": message.client_id,
        "received_at": message.timestamp_ms,
    }
    if kind in ("report", "status"):
        envelope["kind"] = kind
    return Delivery(rule, "kinesis", {"partitionKey": "unrouted"}, json.dumps(envelope).encode())


class MqttConsumer:
    """One MQTT session of the collector; `start` returns when it is subscribed.

    client_id: the session's name at the broker; the same at every start, and no other session's. hearing: what it is
    for. submit, unpack: where the rules' records go, and in which form. user: name and password, where they are not in
    the URL.
    """

    def __init__(  # noqa: PLR0913 - what it stands between
        self,
        url: str,
        client_id: str,
        hearing: Hearing,
        rules: Rules,
        submit: Submit,
        *,
        unpack: Unpack = items_of,
        user: tuple[str, str] | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise Misconfigured(f"broker {url!r}: give mqtt://host:port or mqtts://host:port")
        self._address = (parts.hostname, parts.port or _PORTS[parts.scheme])
        self._url = f"{parts.scheme}://{parts.hostname}:{self._address[1]}"  # as logged: without the password
        self._hearing = hearing
        self._rules = rules
        self._submit, self._unpack = submit, unpack
        self._arrivals: queue.SimpleQueue[_Arrival | None] = queue.SimpleQueue()
        self._subscribed = threading.Event()
        self._stopping = threading.Event()
        self._session = 0
        self._at_work = 0
        self._optional: dict[int, str] = {}
        self.dropped = 0
        """Messages that the broker says it has dropped since its start; 0 too where it does not say."""
        self._worker = threading.Thread(target=self._work, name=client_id, daemon=True)
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5, manual_ack=True
        )
        self._prepare(self._client, tls=parts.scheme == "mqtts", user=user or (parts.username, parts.password))

    def _prepare(self, client: mqtt.Client, *, tls: bool, user: tuple[str | None, str | None]) -> None:
        if tls:
            client.tls_set_context(ssl.create_default_context())
        if user[0]:
            client.username_pw_set(*user)
        client.reconnect_delay_set(1, 2)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message

    def start(self) -> None:
        """Connect, subscribe and begin to work. Raises Unreachable with what stood in the way."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = _SESSION_SECONDS
        properties.ReceiveMaximum = self._hearing.window
        try:
            self._client.connect(*self._address, keepalive=30, clean_start=False, properties=properties)
        except OSError as error:
            raise Unreachable(f"no broker at {self._url} ({error}): start it, or leave --broker out") from None
        self._client.loop_start()
        self._worker.start()
        if not self._subscribed.wait(_CONNECT_SECONDS):
            self.stop()
            raise Unreachable(f"the broker at {self._url} did not let the collector subscribe to fleet/#: see its log")

    def stop(self) -> None:
        """Finish what was taken, and leave the session to the broker."""
        self._stopping.set()
        self._arrivals.put(None)
        if self._worker.is_alive():
            self._worker.join(5)
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def unacknowledged(self) -> int:
        """Messages that the broker has handed out and the store has not committed yet."""
        return self._arrivals.qsize() + self._at_work

    @property
    def is_behind(self) -> bool:
        """Whether so many messages wait here that the broker has more of them."""
        return self.unacknowledged > self._hearing.window // 4

    @property
    def connected(self) -> bool:
        """Whether the broker answers."""
        return self._client.is_connected()

    def ask(self, ask: Ask) -> None:
        """Publish a resend request; if it does not arrive, it is due again."""
        self._client.publish(topics.resend(ask.truck_id), ask.request.model_dump_json(), qos=1)

    def _on_connect(
        self, client: mqtt.Client, _data: object, _flags: object, code: ReasonCode, _properties: object
    ) -> None:
        if code.is_failure:
            log.error("connect_refused broker=%s reason=%s", self._url, code)
            return
        self._session += 1
        client.subscribe([(each, SubscribeOptions(qos=1)) for each in self._hearing.filters])
        if self._hearing.left:
            client.unsubscribe(list(self._hearing.left))
        if self._hearing.answers_time:
            self._try_to_hear(client, topics.TIME_ASK)
        if self._hearing.watches_drops:
            self._try_to_hear(client, _DROPPED)

    def _try_to_hear(self, client: mqtt.Client, topic: str) -> None:
        """What a broker's own access list may lack: trucks then have no cloud time, and drops are not counted."""
        if (mid := client.subscribe(topic, options=SubscribeOptions(qos=0))[1]) is not None:
            self._optional[mid] = topic

    def _on_subscribe(
        self, _client: mqtt.Client, _data: object, mid: int, codes: list[ReasonCode], _properties: object
    ) -> None:
        if (topic := self._optional.pop(mid, None)) is not None:
            if codes[0].is_failure:
                log.warning("not_heard broker=%s topic=%s reason=%s", self._url, topic, codes[0])
            return
        if any(code.is_failure for code in codes):
            log.error("subscribe_refused broker=%s reasons=%s", self._url, [str(code) for code in codes])
            return
        self._subscribed.set()

    def _on_disconnect(
        self, _client: mqtt.Client, _data: object, _flags: object, code: ReasonCode, _properties: object
    ) -> None:
        if not self._stopping.is_set():
            log.warning("disconnected broker=%s reason=%s", self._url, code)

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        now = machine_clock.now_ms()
        if message.topic.endswith("/time/ask"):
            self._republish(message, now)
            return
        if message.topic == _DROPPED:
            self._note_dropped(bytes(message.payload))
            return
        self._arrivals.put(_Arrival(message.topic, bytes(message.payload), message.mid, now, self._session))

    def _note_dropped(self, payload: bytes) -> None:
        if not payload.isdigit():
            return
        known, self.dropped = self.dropped, int(payload)
        if self.dropped > known:
            log.warning(
                "broker_dropped messages=%d broker=%s: it had acknowledged them and its queue was full; the trucks are "
                "asked for the samples in them",
                self.dropped - known,
                self._url,
            )

    def _republish(self, message: mqtt.MQTTMessage, now: int) -> None:
        """Publish what the rules make of a message, at once: the round trip bounds the error of the time told."""
        owner = message.topic.split("/")[1]
        for delivery in self._rules.run(PublishedMessage(message.topic, bytes(message.payload), owner, now)):
            if delivery.error or delivery.action_type != "republish":
                log.error("rule_failed rule=%s topic=%s", delivery.rule_name, message.topic)
                continue
            self._client.publish(
                delivery.parameters["topic"], delivery.payload, qos=int(delivery.parameters.get("qos", 0))
            )

    def _work(self) -> None:
        while (group := self._gather()) is not None:
            for some in self._cut(group):
                if self._store([item for _, items in some for item in items]):
                    for arrival, _ in some:
                        if arrival.session == self._session:  # a packet id means nothing to another connection
                            self._client.ack(arrival.mid, 1)
                self._at_work -= len(some)

    def _cut(self, group: list[_Arrival]) -> Iterator[list[tuple[_Arrival, list[Any]]]]:
        """The group in parts of about _RECORDS records, each message whole: batches may hold thousands."""
        part: list[tuple[_Arrival, list[Any]]] = []
        records = 0
        for arrival in group:
            items = self._items(arrival)
            if part and records + len(items) > _RECORDS:
                yield part
                part, records = [], 0
            part.append((arrival, items))
            records += len(items)
        if part:
            yield part

    def _gather(self) -> list[_Arrival] | None:
        arrival = self._arrivals.get()
        group = []
        while arrival is not None:
            group.append(arrival)
            self._at_work += 1
            if len(group) >= _GROUP or self._arrivals.empty():
                return group
            arrival = self._arrivals.get()
        return None

    def _items(self, arrival: _Arrival) -> list[Any]:
        """What the rules make of one message; a message that no rule wants cannot come, by the subscription."""
        owner = arrival.topic.split("/")[1]
        message = PublishedMessage(arrival.topic, arrival.payload, owner, arrival.received_ms)
        items: list[Any] = []
        failed = ""
        for delivery in self._rules.run(message):
            if delivery.error or delivery.action_type != "kinesis":
                failed = delivery.rule_name
                log.error("rule_failed rule=%s topic=%s", failed, arrival.topic)
                continue
            try:
                items.extend(self._unpack(delivery))
            except Rejected as error:
                log.error("stream_record_unreadable rule=%s reason=%s", delivery.rule_name, error)
        return items if items or not failed else self._unpack(_unrouted(failed, message))

    def _store(self, items: list[Any]) -> bool:
        """Keep trying until it is durable; False only when stopping: then the broker still has it."""
        wait = 0.05
        while not self._stopping.is_set():
            try:
                self._submit(items).result()
                return True
            except Retryable as error:
                log.warning("store_busy again_in_seconds=%.2f reason=%s", wait, error)
                self._stopping.wait(wait)
                wait = min(wait * 2, 5.0)
            except Exception:  # the loop's door: unacknowledged, the broker hands it out again after a restart
                log.exception("group_not_stored items=%d", len(items))
                return False
        return False
