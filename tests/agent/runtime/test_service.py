"""The whole agent against a real mosquitto: what is promised to the cloud, whatever the network does."""

import json
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.buffer import BufferRow
from agent.buffer.inspection import glance
from agent.buffer.sqlite import SqliteBuffer
from agent.runtime import service
from contract.control_messages import Report, Status
from contract.errors import Retryable
from tests.agent.fakes import FastClock
from tests.agent.live import Broker, Listener
from tests.agent.trucks import TRUCK, Truck
from tests.waiting import until


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Callable[..., Truck]]:
    """Trucks that are stopped at the end."""
    made: list[Truck] = []

    def make(broker: Broker, **options: object) -> Truck:
        made.append(Truck(tmp_path, broker, **options).start())  # type: ignore[arg-type]
        return made[-1]

    yield make
    for truck in made:
        if truck._thread.is_alive():
            truck.stop()


Drive = Callable[..., Truck]


def _whole(listener: Listener, highest: int) -> bool:
    return sorted(listener.samples()) == list(range(1, highest + 1))


def test_every_sample_arrives_once_live_and_nothing_is_left(broker: Broker, listener: Listener, drive: Drive) -> None:
    truck = drive(broker)
    until(lambda: truck.tally.sent >= 20)
    tally = truck.stop()
    until(lambda: len(listener.of("telemetry")) >= tally.sampled)
    assert [sample["seq"] for sample in listener.of("telemetry")] == list(range(1, tally.sampled + 1))
    assert (tally.sent, tally.pending, tally.refused, tally.connections) == (tally.sampled, 0, 0, 1)


def test_status_and_reports_frame_a_run(broker: Broker, listener: Listener, drive: Drive) -> None:
    """Online and a report on connecting; at the end a report and offline, retained."""
    truck = drive(broker)
    until(lambda: truck.tally.sent >= 3)
    highest = truck.stop().sampled
    until(lambda: len(listener.of("status")) == 2 and listener.of("report")[-1]["highest_seq"] == highest)
    for message in listener.of("status"):
        Status.model_validate(message)
    reports = [Report.model_validate(message) for message in listener.of("report")]
    assert [message["state"] for message in listener.of("status")] == ["online", "offline"]
    assert listener.of("status")[1]["highest_seq"] == highest
    assert reports[0].highest_seq < highest, "a tick may fall before the connection, not the whole run"
    assert (reports[0].oldest_retained, reports[0].closed) == (None if not reports[0].highest_seq else 1, False)
    assert (reports[-1].highest_seq, reports[-1].oldest_retained, reports[-1].pending) == (highest, 1, [])
    late = Listener(broker.port, "fleet/+/status", "late")
    until(lambda: late.of("status"))
    assert late.of("status")[0]["state"] == "offline"
    late.close()


def test_a_broker_that_is_killed_and_comes_back_costs_nothing(broker: Broker, listener: Listener, drive: Drive) -> None:
    """Sampling goes on meanwhile; what mosquitto forgot after acknowledging it, one ask brings back."""
    truck = drive(broker, speed=1500)
    for kills in range(2):
        until(lambda: truck.tally.connections == kills + 1 and truck.tally.sent >= 20 * (kills + 1))  # noqa: B023
        broker.kill()
        sampled = truck.tally.sampled
        until(lambda: truck.tally.sampled > sampled + 10)  # noqa: B023
        listener.ready.clear()
        broker.start()
        assert listener.ready.wait(90)
    until(lambda: truck.tally.connections == 3)
    newest = truck.buffer.highest_seq
    until(lambda: truck.tally.sent >= newest)
    time.sleep(0.1)
    holes = sorted(set(range(1, newest + 1)) - listener.samples().keys())
    for start in range(0, len(holes), 20):
        ask = [[seq, seq] for seq in holes[start : start + 20]]
        listener.publish(f"fleet/{TRUCK}/resend", {"stream_id": truck.buffer.stream_id, "ranges": ask})
    until(lambda: truck.tally.asked_again == len(holes))
    tally = truck.stop()
    assert tally.pending == 0
    until(lambda: _whole(listener, tally.sampled))
    assert all(len(contents) == 1 for contents in listener.samples().values())


def test_a_buffer_that_goes_bad_while_running_is_repaired_without_ending_the_process(
    broker: Broker, listener: Listener, tmp_path: Path, drive: Drive, caplog: pytest.LogCaptureFixture
) -> None:
    """Numbers go on, samples go on, and only what could not be read is reported gone."""
    buffer = SqliteBuffer(tmp_path / "bad.db", TRUCK)
    for _ in range(50):
        buffer.append({"sampled_at": "2026-01-31T12:00:00.000Z", "text": "x" * 700})
    buffer._file.db.execute("UPDATE samples SET body = ? WHERE seq = 20", (b"{}",))
    truck = drive(broker, buffer=buffer)
    until(lambda: truck.tally.sent >= 60)
    tally = truck.stop()
    assert "buffer_salvaged" in caplog.text

    def gone() -> set[int]:
        return {n for report in listener.of("report") for first, last in report["gone"] for n in range(first, last + 1)}

    until(lambda: set(listener.samples()) | gone() == set(range(1, 50 + tally.sampled + 1)))
    assert gone() <= {20}
    assert all(len(contents) == 1 for contents in listener.samples().values())


class Unrepairable(SqliteBuffer):
    """Cannot be repaired while `refusing`, as where the disk is full as well."""

    refusing = True

    def repair(self) -> None:
        """Repair, or not."""
        if self.refusing:
            raise Retryable("disk full")
        super().repair()


@pytest.fixture
def quick_repair(monkeypatch: pytest.MonkeyPatch) -> None:
    """A buffer that could not be repaired is tried again soon."""
    monkeypatch.setattr(service, "MEND_SECONDS", 0.2)


@pytest.mark.usefixtures("quick_repair")
def test_samples_are_held_in_memory_until_a_damaged_buffer_can_be_repaired(
    listener: Listener, broker: Broker, tmp_path: Path, drive: Drive, caplog: pytest.LogCaptureFixture
) -> None:
    """The process goes on, and none of them is missing afterwards. What was newest at the connection went before the
    damage was met; from then on nothing is sent until the repair, and of the backlog nothing was."""
    buffer = Unrepairable(tmp_path / "bad.db", TRUCK)
    for _ in range(50):
        buffer.append({"sampled_at": "2026-01-31T12:00:00.000Z", "text": "x" * 700})
    buffer._file.db.execute("UPDATE samples SET body = ? WHERE seq = 20", (b"{}",))
    truck = drive(broker, buffer=buffer)
    until(lambda: "buffer_not_repaired" in caplog.text)
    sent, reads = truck.tally.sent, truck.sensor.reads
    until(lambda: truck.sensor.reads >= reads + 10)
    assert truck.tally.sent == sent
    assert all(seq >= 50 for seq in listener.samples())
    buffer.refusing = False
    until(lambda: truck.tally.sent >= 60)
    tally = truck.stop()
    assert (tally.sampled, tally.not_stored) == (truck.sensor.reads, 0)
    until(lambda: set(listener.samples()) | {20} == set(range(1, 50 + tally.sampled + 1)))


def test_positions_older_than_the_limit_go_from_the_buffer_and_their_samples_do_not(
    broker: Broker, listener: Listener, tmp_path: Path, drive: Drive, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    buffer = SqliteBuffer(tmp_path / "old.db", TRUCK)
    old = {"sampled_at": "2020-01-31T12:00:00.000Z", "time_quality": "gps"}
    buffer.append({**old, "gps_location": {"latitude": 48.1234, "longitude": 11.5}})
    buffer.mark_sent([1], at="")
    truck = drive(broker, buffer=buffer, settings={"position_days": 1})
    until(lambda: "positions_forgotten samples=1 older_than_days=1" in caplog.text)
    listener.publish(f"fleet/{TRUCK}/resend", {"stream_id": buffer.stream_id, "ranges": [[1, 1]]})
    until(lambda: 1 in listener.samples())
    truck.stop()
    (sent,) = listener.samples()[1]
    assert json.loads(sent)["gps_location"]["latitude"] is None


def test_what_is_asked_for_again_comes_in_the_backlog_lane_and_what_is_gone_is_reported(
    broker: Broker, listener: Listener, tmp_path: Path, drive: Drive
) -> None:
    now = [0.0]
    buffer = SqliteBuffer(tmp_path / "old.db", TRUCK, retain=10, monotonic=lambda: now[0])
    for _ in range(10):
        buffer.append({"sampled_at": "2026-01-31T12:00:00.000Z"})
    buffer.mark_sent([1, 2, 3], at="")
    now[0] = 100.0
    buffer.mark_sent(range(4, 11), at="")
    buffer.prune()
    truck = drive(broker, buffer=buffer, speed=1)
    until(lambda: listener.of("report"))
    ask = {"stream_id": buffer.stream_id, "ranges": [[2, 6], [4, 8], [2, 6], [900, 901]]}
    listener.publish(f"fleet/{TRUCK}/resend", ask)
    until(lambda: listener.of("telemetry/batch"))
    until(lambda: [report["gone"] for report in listener.of("report") if report["gone"]] == [[[2, 3]]])
    assert [one["seq"] for one in listener.of("telemetry/batch")[0]["records"]] == [4, 5, 6, 7, 8]
    until(lambda: listener.of("report")[-1]["pending"] == [])
    listener.publish(f"fleet/{TRUCK}/resend", {"stream_id": "another", "ranges": [[5, 9]]})
    until(lambda: listener.of("report")[-1]["stream_id"] == "another")
    unknown = Report.model_validate(listener.of("report")[-1])
    assert (unknown.stream_id, unknown.closed, unknown.gone, unknown.highest_seq) == ("another", True, [(5, 9)], 9)
    for garbage in ("not an object", {"stream_id": "x"}, {"stream_id": buffer.stream_id, "ranges": [[9, 1]]}):
        listener.publish(f"fleet/{TRUCK}/resend", garbage)
    until(lambda: truck.tally.sent == 5)
    assert len(listener.of("telemetry/batch")) == 1


def test_a_lost_buffer_is_reported_as_closed_with_its_last_number(
    broker: Broker, listener: Listener, tmp_path: Path, drive: Drive
) -> None:
    first = drive(broker)
    until(lambda: first.tally.sent >= 5)
    stream, highest = first.buffer.stream_id, first.stop().sampled
    (tmp_path / "buffer.db").unlink()
    drive(broker)
    until(lambda: [report for report in listener.of("report") if report["closed"]])
    closed = next(report for report in listener.of("report") if report["closed"])
    assert (closed["stream_id"], closed["highest_seq"]) == (stream, highest)


def test_what_the_broker_refuses_is_kept_and_counted_and_never_called_sent(
    make_broker: Callable[..., Broker], tmp_path: Path, drive: Drive
) -> None:
    """An ACL without telemetry: code 135, no hot loop; when the ACL changes, all of it arrives."""
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite fleet/T1/report\ntopic readwrite fleet/T1/status\ntopic read fleet/#\n")
    broker = make_broker(f"acl_file {acl}\n")
    listener = Listener(broker.port)
    truck = drive(broker, speed=600)
    until(lambda: truck.tally.refused >= 3)
    assert truck.tally.sent == 0
    assert truck.tally.messages < 3 * truck.tally.sampled
    highest = truck.stop().sampled
    with SqliteBuffer(tmp_path / "buffer.db", TRUCK) as buffer:
        assert buffer.pending_ranges().as_lists() == [[1, highest]]
    acl.write_text("topic readwrite fleet/#\n")
    assert broker.process
    broker.process.send_signal(1)  # SIGHUP: read the ACL again
    again = drive(broker, speed=1)
    until(lambda: again.tally.sent >= highest)
    until(lambda: set(range(1, highest + 1)) <= listener.samples().keys())
    listener.close()


class FullDisk(SqliteBuffer):
    """Refuses to store while `full`."""

    full = False

    def append(self, *args: Any, **more: Any) -> BufferRow:
        """Store, or not."""
        if self.full:
            raise Retryable("disk full")
        return super().append(*args, **more)


def test_what_a_full_disk_refuses_is_held_in_memory_and_stored_in_order_later(
    broker: Broker, listener: Listener, tmp_path: Path, drive: Drive
) -> None:
    buffer = FullDisk(tmp_path / "full.db", TRUCK)
    truck = drive(broker, buffer=buffer)
    until(lambda: truck.tally.sent >= 3)
    buffer.full = True
    reads = truck.sensor.reads
    until(lambda: truck.sensor.reads >= reads + 5)
    buffer.full = False
    until(lambda: truck.tally.sent >= reads + 8)
    tally = truck.stop()
    assert (tally.sampled, tally.not_stored) == (truck.sensor.reads, 0)
    until(lambda: _whole(listener, tally.sampled))
    samples = [json.loads(*contents) for _, contents in sorted(listener.samples().items())]
    assert [one["engine_diagnostics"]["engine_rpm"] for one in samples] == list(range(1, tally.sampled + 1))
    assert [one["sampled_at"] for one in samples] == sorted(one["sampled_at"] for one in samples)


class FullForMarks(SqliteBuffer):
    """Takes no mark while `full`, as a disk that is full between a sample and its PUBACK."""

    full = True

    def mark_sent(self, seqs: Collection[int], *, at: str) -> None:
        """Mark, or not."""
        if self.full:
            raise Retryable("disk full")
        super().mark_sent(seqs, at=at)


def test_what_arrived_while_the_disk_was_full_is_marked_when_it_has_room(
    broker: Broker, listener: Listener, tmp_path: Path, drive: Drive, caplog: pytest.LogCaptureFixture
) -> None:
    """And so it is neither pending until the next connection nor sent a second time. The fault is said once."""
    buffer = FullForMarks(tmp_path / "full.db", TRUCK)
    truck = drive(broker, buffer=buffer)
    until(lambda: len(listener.of("telemetry")) >= 10)
    assert truck.tally.sent == 0
    buffer.full = False
    tally = truck.stop()
    assert (tally.sent, tally.pending, tally.connections) == (tally.sampled, 0, 1)
    until(lambda: _whole(listener, tally.sampled))
    assert caplog.text.count("buffer_fault") == 1


def test_a_clock_that_is_set_back_does_not_stop_the_sampling(broker: Broker, drive: Drive) -> None:
    clock = FastClock(600)
    truck = drive(broker, clock=clock)
    until(lambda: truck.tally.sampled >= 3)
    clock._start = clock._start.replace(year=2020)
    until(lambda: truck.tally.sampled >= 8)


def test_a_stop_without_a_network_is_quick(tmp_path: Path, make_broker: Callable[..., Broker], drive: Drive) -> None:
    broker = make_broker()
    broker.kill()
    truck = drive(broker)
    until(lambda: truck.tally.sampled >= 3)
    began = time.monotonic()
    tally = truck.stop()
    assert time.monotonic() - began < 20
    assert tally.pending == tally.sampled


def test_status_says_why_there_is_no_connection(
    tmp_path: Path, make_broker: Callable[..., Broker], drive: Drive
) -> None:
    broker = make_broker()
    broker.kill()
    truck = drive(broker)
    why = "cannot connect: ConnectionRefused"
    until(lambda: glance(truck.settings.buffer).notes.get("connection", "").startswith(why))
