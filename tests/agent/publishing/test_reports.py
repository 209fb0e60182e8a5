"""What a report tells to wait is not asked for, so a report follows as soon as nothing waits any more."""

from pathlib import Path

from agent.buffer.never_stored import NeverStoredCounts
from agent.buffer.sqlite import SqliteBuffer
from agent.publishing import status_reports
from agent.publishing.report_times import ReportTimes
from agent.publishing.status_reports import Configured
from contract.control_messages import Report, Status
from contract.ranges import Ranges
from tests.agent.fakes import TruckClock
from tests.agent.live import Broker, Listener
from tests.agent.publishing.test_slow_line import SAMPLE
from tests.agent.trucks import TRUCK, Truck
from tests.waiting import until


def test_a_report_follows_when_what_waited_is_sent(broker: Broker, listener: Listener, tmp_path: Path) -> None:
    buffer = SqliteBuffer(tmp_path / "waiting.db", TRUCK)
    for _ in range(300):
        buffer.append(SAMPLE)
    truck = Truck(tmp_path, broker, buffer=buffer, speed=1, settings={"interval": 3600})
    truck.start()
    try:
        until(lambda: listener.of("report"))
        assert listener.of("report")[0]["pending"] == [[1, 300]]
        until(lambda: listener.of("report")[-1]["pending"] == [])
        assert set(listener.samples()) >= set(range(1, 301))
    finally:
        truck.end()
    assert len(listener.of("report")) <= 3  # the last at its end


def test_the_report_that_nothing_waits_is_repeated_since_a_full_broker_drops_what_it_acknowledged() -> None:
    """Others are not: each costs data."""
    clock = TruckClock()
    times = ReportTimes(900, clock.monotonic)

    def waits() -> int:
        """Seconds until the next is due."""
        for seconds in range(2_000):
            if times.due():
                return seconds
            clock.passes(1)
        raise AssertionError

    times.told(pending=False)
    assert waits() == 900
    times.told(pending=True)
    assert waits() == 900
    found = []
    for _ in range(4):
        times.told(pending=False)
        found.append(waits())
    assert found == [60, 240, 900, 900]
    times.told(pending=True)
    times.told(pending=False)
    times.told(pending=True)
    assert waits() == 900
    times.set_seconds(30)
    times.told(pending=False)
    assert waits() == 30


def test_what_a_truck_says_of_itself_is_what_the_models_would_write(tmp_path: Path) -> None:
    """It is written without them, and its bytes are theirs."""
    losses = NeverStoredCounts(tmp_path / "b.db.lost")
    losses.add(3, "2026-11-28T10:00:00.000Z", "2026-11-28T10:05:00.000Z")
    with SqliteBuffer(tmp_path / "b.db", "T1", limit=1024 * 1024) as buffer:
        for _ in range(2000):
            buffer.append(SAMPLE)
        buffer.mark_sent(range(1500, 1600), at="2026-11-28T10:00:00.000Z")
        assert buffer.dropped(limit=1)
        asked = Ranges.of([(1, 1000)])
        reports = [
            status_reports.report(buffer, never_stored=losses.runs),
            status_reports.report(buffer, asked),
            status_reports.report(buffer, commands=[{"id": "a", "name": "report", "state": "done", "detail": None}]),
            status_reports.unknown(buffer, "other", asked),
        ]
        configured = Configured(7, "config_version 8 was rolled back: größer")
        statuses = [
            status_reports.status("online", "2026-11-28T10:00:00.000Z", buffer, configured),
            status_reports.will(buffer.stream_id),
        ]
    for model, payloads in ((Report, reports), (Status, statuses)):
        for payload in payloads:
            said = model.model_validate_json(payload)
            silent = {"commands"} - said.model_fields_set  # said only where there are answers
            assert said.model_dump_json(by_alias=True, exclude=silent).encode() == payload
