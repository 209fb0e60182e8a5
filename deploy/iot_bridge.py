"""What AWS IoT Core does and ministack does not: a truck's message, through the rules, into the stream; and back.

Two MQTT sessions: one at the trucks' mosquitto, whose messages the rules carry to Kinesis (acknowledged when every
action was tried, as AWS IoT does), one at ministack's own broker, whose resend requests go to the trucks.
"""

import logging
import queue
import threading
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from contract import machine_clock, topics
from contract.errors import Unreachable
from deploy.ministack import REGION, Ministack
from iot_rules.action_targets import Publication, Targets
from iot_rules.clients import Clients
from iot_rules.engine import PublishedMessage, Rules, load_documents
from iot_rules.runner import Runner

log = logging.getLogger(__name__)

_CONNECT_SECONDS = 15.0
_WINDOW = 1_000


class Carrier:
    """Use `start` before any truck connects, and `stop` at the end."""

    def __init__(self, broker_url: str, stack: Ministack) -> None:
        self._arrivals: queue.SimpleQueue[mqtt.MQTTMessage | None] = queue.SimpleQueue()
        rules = load_documents()
        self._runner = Runner(Rules(rules), Targets(Clients(REGION, stack.url), self._answer).send)
        self._worker = threading.Thread(target=self._work, name="carrier", daemon=True)
        trucks = urlsplit(broker_url)
        self._trucks = _Session(
            "milepost-carrier", str(trucks.hostname), trucks.port or 1883, [*topics.UPLINK, topics.TIME_ASK]
        )
        self._trucks.client.on_message = lambda _client, _data, message: self._arrivals.put(message)
        self._cloud = _Session("milepost-trial", "127.0.0.1", stack.port, [topics.resend("+")], websockets=True)
        self._cloud.client.on_message = self._pass_on

    def start(self) -> None:
        """Returns when both sessions are subscribed. Raises Unreachable."""
        self._worker.start()
        self._trucks.start()
        self._cloud.start()

    def stop(self) -> None:
        """Finish what was taken."""
        self._arrivals.put(None)
        if self._worker.is_alive():
            self._worker.join(5)
        self._cloud.stop()
        self._trucks.stop()

    def _work(self) -> None:
        while (message := self._arrivals.get()) is not None:
            owner = message.topic.split("/")[1]
            now = machine_clock.now_ms()
            report = self._runner.handle(PublishedMessage(message.topic, bytes(message.payload), owner, now))
            for name, failures in report.failures.items():
                log.warning("rule_failed rule=%s reason=%s", name, failures[0].message)
            self._trucks.client.ack(message.mid, message.qos)

    def _answer(self, answer: Publication) -> None:
        self._trucks.client.publish(answer.topic, answer.payload, qos=answer.qos)

    def _pass_on(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        self._trucks.client.publish(message.topic, message.payload, qos=1)


class _Session:
    """One MQTT client that subscribes whenever it connects."""

    def __init__(self, name: str, host: str, port: int, filters: list[str], *, websockets: bool = False) -> None:
        self._address, self._filters = (host, port), filters
        self._subscribed = threading.Event()
        self.client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5,
            transport="websockets" if websockets else "tcp", manual_ack=not websockets,
        )  # fmt: skip
        if websockets:
            self.client.ws_set_options(path="/mqtt", headers={"Host": f"iot.{REGION}.localhost:{port}"})
        self.client.reconnect_delay_set(1, 2)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda *_: self._subscribed.set()

    def start(self) -> None:
        try:
            self.client.connect(*self._address, keepalive=30)
        except OSError as error:
            raise Unreachable(f"no MQTT broker at {self._address}: {error}") from None
        self.client.loop_start()
        if not self._subscribed.wait(_CONNECT_SECONDS):
            raise Unreachable(f"the MQTT broker at {self._address} let nobody subscribe to {self._filters}")

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _on_connect(self, client: mqtt.Client, _data: object, _flags: object, code: ReasonCode, _more: object) -> None:
        if code.is_failure:
            log.error("connect_refused address=%s reason=%s", self._address, code)
            return
        client.subscribe([(each, SubscribeOptions(qos=1)) for each in self._filters])
