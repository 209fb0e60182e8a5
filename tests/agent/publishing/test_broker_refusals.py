"""What is said of a broker that refuses some topics: each once, by its name, and over when that one is taken again.

The transport is scripted, since mosquitto 2.0 mostly ends the connection after a refusal.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agent.buffer.sqlite import SqliteBuffer
from agent.publishing.publisher import Publisher
from agent.settings import AgentSettings
from agent.transport import BrokerLimits, Connected, Delivered, Message, Refused, Sink
from tests.agent.fakes import FastClock

REPORT, TELEMETRY, BATCH = "fleet/T1/report", "fleet/T1/telemetry", "fleet/T1/telemetry/batch"


class Picky:
    """A connected transport that answers at once, and refuses the topics in `refuses`."""

    limits = BrokerLimits()

    def __init__(self) -> None:
        self.refuses: set[str] = set()
        self.published: list[str] = []

    def start(self, sink: Sink, *, will: Message | None = None, subscribe: Sequence[str] = ()) -> None:
        """At once."""
        self._sink = sink
        sink(Connected(self.limits.payload))

    def publish(self, message: Message) -> None:
        """Take it, or not."""
        self.published.append(message.topic)
        refused = Refused(message.token, 135, "Not authorized")
        self._sink(refused if message.topic in self.refuses else Delivered((message.token,)))

    def listen(self, topic: str, qos: int = 0) -> None:
        """Heard, and never spoken on."""

    def close(self) -> None:
        """Nothing to close."""


class Line:
    """An uplink over a `Picky` broker, and what its log says."""

    def __init__(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog, self.broker = caplog, Picky()
        settings = AgentSettings(truck_id="T1", buffer=folder / "buffer.db")
        self.buffer = SqliteBuffer(settings.buffer, "T1")
        self.uplink = Publisher(settings, self.buffer, self.broker, FastClock())

    def samples(self, number: int) -> None:
        """So many are taken, and sent one by one."""
        for _ in range(number):
            self.buffer.append({"sampled_at": "2026-01-31T12:00:00.000Z"})
            for _ in range(3):
                self.uplink.turn(0)

    def told(self) -> list[str]:
        """The refusals in the log by their topic, and `over`."""
        lines = [line.split() for line in self._caplog.messages]
        return [
            "over" if line[0] == "broker_takes_samples_again" else line[1].removeprefix("topic=")
            for line in lines
            if line[0] in ("publish_refused", "broker_takes_samples_again")
        ]


@pytest.fixture
def line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Line]:
    """One that has not begun."""
    one = Line(tmp_path, caplog)
    yield one
    one.buffer.close()


def test_a_refused_report_does_not_hide_that_samples_are_refused_too(line: Line) -> None:
    line.broker.refuses = {REPORT, TELEMETRY}
    line.uplink.start()
    line.samples(5)
    assert line.told() == [REPORT, TELEMETRY]


def test_samples_that_arrive_end_the_alarm_of_samples_alone(line: Line) -> None:
    line.broker.refuses = {REPORT, TELEMETRY}
    line.uplink.start()
    line.samples(2)
    line.broker.refuses = {REPORT}
    line.samples(2)
    line.uplink.report()
    line.samples(2)
    assert line.told() == [REPORT, TELEMETRY, "over"]


def test_samples_that_were_never_refused_are_not_taken_again(line: Line) -> None:
    line.broker.refuses = {REPORT}
    line.uplink.start()
    line.samples(5)
    assert line.told() == [REPORT]


def test_the_last_refusal_is_noted_with_its_own_time_and_not_with_the_firsts(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.publishing.broker_refusals._NOTE_SECONDS", 0.0)
    line.broker.refuses = {REPORT}
    line.uplink.start()
    line.uplink.turn(0)
    noted: list[str] = []
    note = line.buffer.note
    monkeypatch.setattr(line.buffer, "note", lambda notes: (noted.append(notes["last_refusal_at"]), note(notes)))
    for _ in range(3):
        time.sleep(0.005)
        line.uplink.report()
        line.uplink.turn(0.01)
    assert len(noted) == 3
    assert noted == sorted(set(noted))


def test_samples_that_are_refused_make_no_report_after_report(line: Line) -> None:
    """They are told to wait, nothing travels, and yet they have not arrived."""
    for _ in range(5):
        line.buffer.append({"sampled_at": "2026-01-31T12:00:00.000Z"})
    line.broker.refuses = {BATCH}
    line.uplink.start()
    for _ in range(50):
        line.uplink.turn(0)
    assert line.buffer.pending_ranges().as_lists() == [[1, 4]]
    assert line.broker.published.count(REPORT) == 1
