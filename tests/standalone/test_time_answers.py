"""A truck whose clock is wrong learns the time from the collector's broker session by the shipped rule, end to end."""

import json
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.timing.clock import TimeQuality
from contract.ingest_items import Item, Receipt
from iot_rules.engine import Rules, load_documents
from standalone.mqtt_sessions import MqttSessions
from tests.agent.conftest import broker, make_broker  # noqa: F401 - fixtures
from tests.agent.fakes import FastClock
from tests.agent.live import Broker, Listener
from tests.agent.trucks import Truck
from tests.waiting import until


class Unvouched(FastClock):
    """Nobody vouches for it."""

    def quality(self) -> TimeQuality:
        """As a kernel without NTP says."""
        return "estimated"


def _stored(items: list[Item]) -> "Future[list[Receipt]]":
    done: Future[list[Receipt]] = Future()
    done.set_result([])
    return done


def test_samples_of_a_clock_two_hours_ahead_are_dated_by_the_cloud(broker: Broker, tmp_path: Path) -> None:  # noqa: F811
    collector = MqttSessions(broker.url, "collector", Rules(load_documents()), _stored)
    collector.start()
    listener = Listener(broker.port)
    clock = Unvouched(1.0, datetime.now(UTC) + timedelta(hours=2))
    truck = Truck(tmp_path, broker, clock=clock, settings={"interval": 1})
    truck.start()
    try:
        until(lambda: len(listener.samples()) >= 3)
    finally:
        truck.end()
        collector.stop()
    samples = [json.loads(text) for texts in listener.samples().values() for text in texts]
    assert {sample["time_quality"] for sample in samples} == {"cloud"}
    for sample in samples:
        error = datetime.fromisoformat(sample["sampled_at"]) - datetime.now(UTC)
        assert abs(error) < timedelta(seconds=30)
