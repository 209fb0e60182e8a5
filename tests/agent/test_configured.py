"""Remote configuration and the lanes' settings, on the wire: a whole agent against a real mosquitto."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.buffer.sqlite import SqliteBuffer
from agent.settings import BasicIngest, LaneSettings
from contract.control_messages import Status
from tests.agent.live import Broker, Listener
from tests.agent.trucks import TRUCK, Truck
from tests.waiting import until

TOPIC = f"fleet/{TRUCK}/config"
Drive = Callable[..., Truck]


@pytest.fixture
def drive(tmp_path: Path, broker: Broker) -> Iterator[Drive]:
    """Trucks with more settings, stopped at the end."""
    made: list[Truck] = []

    def make(**options: object) -> Truck:
        made.append(Truck(tmp_path, broker, **options).start())  # type: ignore[arg-type]
        return made[-1]

    yield make
    for truck in made:
        truck.end()


def _said(listener: Listener) -> list[tuple[object, object]]:
    """(config_version, config_problem) of each status."""
    found = [Status.model_validate(message) for message in listener.of("status")]
    return [(status.config_version, status.config_problem) for status in found]


def test_it_is_confirmed_after_it_has_worked_and_survives_a_restart(listener: Listener, drive: Drive) -> None:
    """Confirmed only after a sample under it: the first status after the offer does not know it yet."""
    listener.publish(TOPIC, {"config_version": 7, "interval": 30}, retain=True)
    truck = drive()
    until(lambda: (7, None) in _said(listener))
    assert _said(listener)[:2] == [(None, None), (None, None)]
    before = truck.tally.sampled
    until(lambda: truck.tally.sampled > before + 5)
    truck.stop()
    minutes = [sample["sampled_at"] for sample in listener.of("telemetry")][-4:]
    assert len({minute[14:16] for minute in minutes}) < len(minutes)
    again = drive()
    until(lambda: again.tally.connections)
    until(lambda: _said(listener)[-1] == (7, None))


def test_a_bad_document_is_refused_with_its_reason_and_the_truck_goes_on(listener: Listener, drive: Drive) -> None:
    truck = drive()
    until(lambda: truck.tally.sent)
    listener.publish(TOPIC, {"config_version": 8, "speed": 1}, retain=True)
    until(lambda: "speed" in str(_said(listener)[-1][1]))
    sent = truck.tally.sent
    until(lambda: truck.tally.sent > sent + 3)
    listener.publish(TOPIC, {"config_version": 9}, retain=True)
    until(lambda: _said(listener)[-1] == (9, None))


def test_the_daily_budget_stops_samples_and_loses_none(listener: Listener, drive: Drive) -> None:
    """Half a kilobyte for a day: what does not go waits; more budget from the cloud lets it go."""
    truck = drive(settings={"daily_budget": 0.003}, speed=60)
    until(lambda: truck.tally.sent >= 1)
    until(lambda: truck.buffer.counts().pending >= 3)
    assert truck.tally.sent <= 6
    listener.publish(TOPIC, {"config_version": 1, "daily_budget": None})
    until(lambda: truck.tally.sent >= 6 and truck.buffer.counts().pending <= 1)


def test_basic_ingest_takes_its_topics_and_status_stays_with_the_broker(broker: Broker, drive: Drive) -> None:
    """mosquitto keeps no `$aws` topics for `#`, so the listener asks for them by name."""
    rules = Listener(broker.port, "$aws/rules/+/fleet/#", "rules")
    statuses = Listener(broker.port, "fleet/#", "statuses")
    drive(settings={"basic_ingest": BasicIngest(telemetry="take", report="hear")})
    until(lambda: len(rules.messages) >= 3 and statuses.messages)
    assert {topic for topic, _, _ in rules.messages} == {
        f"$aws/rules/take/fleet/{TRUCK}/telemetry",
        f"$aws/rules/hear/fleet/{TRUCK}/report",
    }
    assert {topic for topic, _, _ in statuses.messages} == {f"fleet/{TRUCK}/status"}
    rules.close()
    statuses.close()


def test_lanes_are_as_set(listener: Listener, tmp_path: Path, drive: Drive) -> None:
    buffer = SqliteBuffer(tmp_path / "full.db", TRUCK)
    for _ in range(101):
        buffer.append({"sampled_at": "2026-01-31T12:00:00.000Z"})
    truck = drive(settings={"lanes": LaneSettings(batch_records=10)}, buffer=buffer, speed=1)
    until(lambda: truck.tally.sent >= 101)
    until(lambda: len(listener.of("telemetry/batch")) == 10)
    assert {len(batch["records"]) for batch in listener.of("telemetry/batch")} == {10}
