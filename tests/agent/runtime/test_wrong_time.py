"""A whole agent on a wrong clock, and a cloud that says what time it is: what goes by the time goes by that."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.buffer.sqlite import SqliteBuffer
from agent.timing.clock import Moment, TimeQuality
from tests.agent.fakes import FastClock
from tests.agent.live import Broker, Listener
from tests.agent.trucks import TRUCK, Truck
from tests.waiting import until


class WrongClock(FastClock):
    """Nobody vouches for it. asleep: seconds for which the machine has slept, which only its time since boot has."""

    asleep = 0.0

    def quality(self) -> TimeQuality:
        """As a kernel without NTP says."""
        return "estimated"

    def moment(self) -> Moment:
        """The boot's own time line goes on in a sleep."""
        moment = super().moment()
        return moment._replace(uptime=moment.uptime + self.asleep)


class Cloud:
    """Answers asks about the time, when the test wants it to."""

    def __init__(self, listener: Listener) -> None:
        self._listener, self._seen = listener, 0

    def asked(self) -> str:
        """The id of the next ask, when that comes."""
        until(lambda: len(self._listener.of("time/ask")) > self._seen)
        self._seen += 1
        found: dict[str, Any] = self._listener.of("time/ask")[self._seen - 1]
        return str(found["id"])

    def answer(self, ask: str, *, ago: float = 0) -> None:
        """As `…/time` does."""
        self._listener.publish(f"fleet/{TRUCK}/time", {"id": ask, "ms": int((time.time() - ago) * 1000)})


def _sampled_at(listener: Listener) -> list[datetime]:
    return [
        datetime.fromisoformat(json.loads(text)["sampled_at"])
        for texts in listener.samples().values()
        for text in texts
        if json.loads(text)["time_quality"] == "cloud"
    ]


def test_a_clock_400_days_ahead_makes_no_position_too_old(
    broker: Broker, listener: Listener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    buffer = SqliteBuffer(tmp_path / "old.db", TRUCK)
    for days in (60, 10):
        at = f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%dT%H:%M:%S.000Z}"
        place = {"latitude": 48.1234, "longitude": 11.5}
        buffer.append({"sampled_at": at, "time_quality": "gps", "gps_location": place})
    buffer.mark_sent([1, 2], at="")
    clock, cloud = WrongClock(1.0, datetime.now(UTC) + timedelta(days=400)), Cloud(listener)
    settings = {"interval": 1, "position_days": 30}
    truck = Truck(tmp_path, broker, buffer=buffer, clock=clock, settings=settings).start()
    try:
        cloud.answer(cloud.asked())
        until(lambda: "positions_forgotten" in caplog.text)
    finally:
        truck.end()
    assert "positions_forgotten samples=1 older_than_days=30" in caplog.text


def test_an_answer_that_lay_there_while_the_machine_slept_is_old(
    broker: Broker, listener: Listener, tmp_path: Path
) -> None:
    clock, cloud = WrongClock(1.0, datetime.now(UTC) + timedelta(hours=2)), Cloud(listener)
    truck = Truck(tmp_path, broker, clock=clock, settings={"interval": 1}).start()
    try:
        ask = cloud.asked()
        clock.asleep += 3600
        cloud.answer(ask, ago=3600)
        cloud.answer(cloud.asked())  # a minute has passed: it asks again
        until(lambda: any(abs(at - datetime.now(UTC)) < timedelta(minutes=10) for at in _sampled_at(listener)))
    finally:
        truck.end()
