"""What trucks send now never waits behind what they kept; nothing that the broker acknowledged is lost or doubled."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from contract import topics
from contract.ingest_items import Item, Receipt
from iot_rules.engine import Rules, load_documents
from standalone.mqtt_sessions import MqttSessions
from tests.agent.conftest import broker, make_broker  # noqa: F401 - fixtures
from tests.agent.live import Broker
from tests.contract.examples import sample
from tests.standalone.up import Up
from tests.waiting import until

NOW = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class SlowStore:
    """A store that commits what holds a number of `stuck` only after `go_on`. taken: the numbers that it committed."""

    def __init__(self, stuck: range = range(0)) -> None:
        self.taken: list[int] = []
        self._stuck = stuck
        self._waiting: list[tuple[list[int], Future[list[Receipt]]]] = []

    def go_on(self) -> None:
        """Commit what waits, and all that comes."""
        self._stuck = range(0)
        for numbers, done in self._waiting:
            self.taken += numbers
            done.set_result([])

    def submit(self, items: list[Item]) -> "Future[list[Receipt]]":
        """As Writer.submit."""
        done: Future[list[Receipt]] = Future()
        numbers = [json.loads(str(item.text))["seq"] for item in items]
        if any(number in self._stuck for number in numbers):
            self._waiting.append((numbers, done))
            return done
        self.taken += numbers
        done.set_result([])
        return done


def _record(seq: int) -> dict[str, Any]:
    return sample(seq=seq, sampled_at=NOW)


def _batch(seqs: range) -> bytes:
    return json.dumps({"records": [_record(seq) for seq in seqs]}).encode()


@contextmanager
def _truck(url: str) -> Iterator[mqtt.Client]:
    parts = urlsplit(url)
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="T1", protocol=mqtt.MQTTv5)
    client.connect(parts.hostname or "", parts.port or 0)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def _send(truck: mqtt.Client, topic: str, payload: bytes) -> None:
    truck.publish(topic, payload, qos=1).wait_for_publish(10)


def _uplink(url: str, store: SlowStore) -> MqttSessions:
    uplink = MqttSessions(url, "collector", Rules(load_documents()), store.submit)
    uplink.start()
    return uplink


def test_a_live_sample_does_not_wait_for_backlog_that_the_store_has_not_taken(broker: Broker) -> None:  # noqa: F811
    """As many as the broker hands out at once, and more that it keeps."""
    store = SlowStore(stuck=range(1, 1000))
    uplink = _uplink(broker.url, store)
    try:
        with _truck(broker.url) as truck:
            for seq in range(1, 301, 2):
                _send(truck, topics.batch("T1"), _batch(range(seq, seq + 2)))
            until(lambda: uplink.is_behind)
            _send(truck, topics.telemetry("T1"), json.dumps(_record(1000)).encode())
            until(lambda: store.taken == [1000])
        until(lambda: uplink.figures()["backlog_unacknowledged"] == 100)
        assert uplink.figures()["live_unacknowledged"] == 0
        store.go_on()
        until(lambda: len(store.taken) == 301)
        assert sorted(store.taken) == [*range(1, 301), 1000]
    finally:
        uplink.stop()


def test_what_waits_in_the_session_of_an_earlier_release_is_stored_and_nothing_comes_by_two_sessions(
    broker: Broker,  # noqa: F811
) -> None:
    earlier = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="collector", protocol=mqtt.MQTTv5)
    forever = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    forever.SessionExpiryInterval = 0xFFFFFFFF
    subscribed: list[Any] = []
    earlier.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in topics.UPLINK])
    earlier.on_subscribe = lambda *_: subscribed.append(True)
    earlier.connect("127.0.0.1", broker.port, clean_start=False, properties=forever)
    earlier.loop_start()
    until(lambda: subscribed)
    earlier.disconnect()
    earlier.loop_stop()
    store = SlowStore()
    with _truck(broker.url) as truck:
        _send(truck, topics.batch("T1"), _batch(range(1, 51)))
        _send(truck, topics.telemetry("T1"), json.dumps(_record(51)).encode())
        uplink = _uplink(broker.url, store)
        try:
            until(lambda: set(range(1, 52)) <= set(store.taken))
            _send(truck, topics.batch("T1"), _batch(range(52, 60)))
            _send(truck, topics.telemetry("T1"), json.dumps(_record(60)).encode())
            until(lambda: {59, 60} <= set(store.taken))
        finally:
            uplink.stop()
    assert sorted(store.taken) == list(range(1, 61))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kills", [1, pytest.param(10, marks=pytest.mark.prove)])
def test_both_sessions_survive_kills_of_the_collector(broker: Broker, tmp_path: Path, kills: int) -> None:  # noqa: F811
    """SIGKILL of `up` while batches and live samples come; the broker lives on with both sessions."""
    up = Up(tmp_path / "data", ["--trucks", "0", "--shoppers", "0", "--broker", broker.url])
    try:
        up.start()
        with _truck(broker.url) as truck:
            for kill in range(kills):
                first = kill * 1000
                for seq in range(first + 1, first + 901, 30):
                    truck.publish(topics.batch("T1"), _batch(range(seq, seq + 30)), qos=1)
                    truck.publish(topics.telemetry("T1"), json.dumps(_record(first + 901 + seq % 100)).encode(), qos=1)
                for seq in range(first + 901, first + 1001):
                    sent = truck.publish(topics.telemetry("T1"), json.dumps(_record(seq)).encode(), qos=1)
                    if seq == first + 920:
                        up.kill()
                sent.wait_for_publish(10)
                ready = up.start()
        until(lambda: up.ask("audit")["trucks"][0]["received"] == kills * 1000)
        audit = up.ask("audit")
        assert audit["trucks"][0]["holes"] == []
        assert audit["lost"] == 0
        assert up.ask("verify") == []
        found = httpx.get(f"{ready['http']}/healthz", timeout=60).json()["uplink"]
        assert found == {
            "live_connected": 1, "live_unacknowledged": 0, "backlog_connected": 1, "backlog_unacknowledged": 0,
            "broker_dropped": 0,
        }  # fmt: skip
        metrics = httpx.get(f"{ready['http']}/metrics", timeout=60).text
        assert 'milepost_uplink_connected{session="backlog"} 1.0' in metrics
    finally:
        if up.process and up.process.poll() is None:
            up.kill()
