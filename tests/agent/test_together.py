"""`send_interval` on the wire: several live samples in one message, a whole agent against a real mosquitto."""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.control_messages import Report, Status
from tests.agent.live import Broker, Listener
from tests.agent.trucks import TRUCK, Truck
from tests.waiting import until

A_DAY = 86_400
"""Longer than any test: only what must go at once goes."""

Drive = Callable[..., Truck]


@pytest.fixture
def drive(tmp_path: Path, broker: Broker) -> Iterator[Drive]:
    """Trucks whose samples gather, stopped at the end. They sample ten times a second."""
    random.seed(1)  # of which comes how long a connection's first wait is
    made: list[Truck] = []

    def make(send_interval: float, **options: object) -> Truck:
        made.append(Truck(tmp_path, broker, settings={"send_interval": send_interval}, **options).start())
        return made[-1]

    yield make
    for truck in made:
        truck.end()


def _messages(listener: Listener) -> list[list[int]]:
    """The numbers in each message of samples, in the order in which they came."""
    return [[sample["seq"] for sample in samples] for samples in listener.sample_messages()]


def test_an_event_goes_at_once_with_what_waits_and_so_does_all_at_the_end(listener: Listener, drive: Drive) -> None:
    """The first sample alone, what waits with the event that ends the wait, the rest at SIGTERM: three messages."""
    truck = drive(A_DAY)
    until(lambda: truck.tally.sampled >= 10)
    assert _messages(listener) == [[1]]
    truck.sensor.brakes = "worn"
    until(lambda: len(_messages(listener)) == 2)
    sampled = truck.tally.sampled
    until(lambda: truck.tally.sampled >= sampled + 5)
    tally = truck.stop()
    until(lambda: len(_messages(listener)) == 3)
    until(lambda: listener.of("report")[-1]["highest_seq"] == tally.sampled)
    first, second, third = _messages(listener)
    assert first + second + third == list(range(1, tally.sampled + 1))
    brakes = [
        sample["vehicle_health_and_maintenance"]["brake_status"]
        for batch in listener.of("telemetry/batch")
        for sample in batch["records"]
    ]
    assert brakes == [None] * (len(second) - 1) + ["worn"] * (1 + len(third))
    assert (tally.messages, tally.sent, tally.pending) == (3, tally.sampled, 0)
    assert Report.model_validate(listener.of("report")[-1]).pending == []


def test_messages_are_no_more_often_than_the_interval_and_hold_every_sample(listener: Listener, drive: Drive) -> None:
    """The first, the one after a part of the time, and one each half second; at the end the rest."""
    began = time.monotonic()
    truck = drive(0.5)
    until(lambda: len(_messages(listener)) >= 6)
    tally = truck.stop()
    until(lambda: [n for numbers in _messages(listener) for n in numbers] == list(range(1, tally.sampled + 1)))
    assert tally.messages <= (time.monotonic() - began) / 0.5 + 3
    assert tally.pending == 0


def test_what_waits_is_pending_in_the_report_and_goes_after_a_restart(listener: Listener, drive: Drive) -> None:
    """Stopped without time to send: none is lost, and nobody asks for them meanwhile."""
    truck = drive(A_DAY, drain=0)
    until(lambda: truck.tally.sampled >= 8)
    tally = truck.stop()
    until(lambda: listener.of("report")[-1]["highest_seq"] == tally.sampled)
    assert tally.pending == tally.sampled - 1
    last = Report.model_validate(listener.of("report")[-1])
    assert (last.highest_seq, last.pending) == (tally.sampled, [(2, tally.sampled)])
    again = drive(A_DAY)
    until(lambda: again.tally.sent >= tally.pending)
    until(lambda: set(range(1, tally.sampled + 1)) <= set(listener.samples()))


def test_the_cloud_may_set_it_and_a_status_leaves_nothing_behind_that_it_names(
    listener: Listener, drive: Drive
) -> None:
    """A status has the highest number and no word of what is pending: what it names comes without being asked for."""
    truck = drive(0)
    until(lambda: truck.tally.sent >= 3)
    listener.publish(f"fleet/{TRUCK}/config", {"config_version": 1, "send_interval": A_DAY})
    until(lambda: _last(listener).config_version == 1)
    messages, sampled = truck.tally.messages, truck.tally.sampled
    until(lambda: truck.tally.sampled >= sampled + 8)
    assert truck.tally.messages - messages <= 1
    listener.publish(f"fleet/{TRUCK}/config", {"config_version": 2, "unknown": 0})
    until(lambda: _last(listener).config_problem)
    named = _last(listener).highest_seq or 0
    until(lambda: set(range(1, named + 1)) <= set(listener.samples()))
    listener.publish(f"fleet/{TRUCK}/config", {"config_version": 3, "send_interval": 0})
    until(lambda: _last(listener).config_version == 3)
    tally = truck.stop()
    until(lambda: set(listener.samples()) == set(range(1, tally.sampled + 1)))


def _last(listener: Listener) -> Status:
    return Status.model_validate(listener.of("status")[-1])
