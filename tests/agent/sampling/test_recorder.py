"""Time on the truck: what is dated how, when it may be sent, and that it never changes once it may."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.buffer import BufferRow
from agent.buffer.sqlite import SqliteBuffer
from agent.sampling.held_samples import HELD_AT_MOST
from agent.sampling.recorder import PATIENCE_SECONDS, Recorder
from agent.sampling.sampler import Taken
from agent.timing.trusted_time import EARLIEST
from contract import timestamps
from contract.errors import Retryable
from tests.agent.fakes import TruckClock
from tests.budget import budget

Y1970 = datetime(1970, 1, 1, tzinfo=UTC)


class Drive:
    """A recorder on a real buffer, and the truth beside it."""

    def __init__(self, folder: Path, clock: TruckClock | None = None) -> None:
        self.clock = clock or TruckClock()
        self.fix = False
        self.folder = folder
        self.truth: dict[int, datetime] = {}
        self.connected = False
        self.final: dict[int, bytes] = {}
        self._start()

    def _start(self) -> None:
        self.buffer = SqliteBuffer(self.folder / "b.db", "T1")
        self.recorder = Recorder(self, self.clock, self.buffer)

    def sample(self) -> Taken:
        """As a sampler does."""
        return Taken(self.clock.moment(), self.clock.truth if self.fix else None, {"vehicle_speed": 80})

    def drive(self, ticks: int, seconds: float = 60) -> None:
        """Sample, and settle in between."""
        for _ in range(ticks):
            for row in self.recorder.tick():
                self.truth[row.seq] = self.clock.truth
            self.recorder.date_waiting(connected=self.connected)
            self._look()
            self.clock.passes(seconds)

    def reboot(self, **how: Any) -> None:
        """Power off, power on."""
        self.buffer.close()
        self.clock.reboot(**how)
        self._start()

    def _look(self) -> None:
        """Whatever may be sent is final: it never says anything else again."""
        for row in self.buffer.pending(after=0, through=self.buffer.highest_seq, limit=100_000):
            assert self.final.setdefault(row.seq, row.body) == row.body

    def samples(self) -> dict[int, tuple[datetime, str]]:
        """What may be sent: seq → (sampled_at, time_quality)."""
        return {
            seq: (timestamps.to_datetime(sample["sampled_at"]), sample["time_quality"])
            for seq, body in sorted(self.final.items())
            if (sample := json.loads(body))
        }

    def right(self, *numbers: int) -> bool:
        """Whether these are dated as they were taken, to the millisecond."""
        return all(abs((self.samples()[n][0] - self.truth[n]).total_seconds()) < 0.002 for n in numbers)


@pytest.fixture
def drive(ram: Path) -> Iterator[Drive]:
    made = Drive(ram)
    yield made
    made.buffer.close()


def _in_1970(drive: Drive) -> None:
    drive.clock.error = Y1970 - drive.clock.truth


def test_a_clock_in_1970_sends_nothing_until_the_satellites_say_the_time_then_all_of_it_right(drive: Drive) -> None:
    _in_1970(drive)
    drive.drive(30)
    assert drive.samples() == {}
    assert drive.buffer.pending_ranges().as_lists() == [[1, 30]]
    assert (drive.buffer.counts().waiting, drive.buffer.highest_seq) == (30, 30)
    drive.fix = True
    drive.drive(1)
    assert drive.right(*range(1, 32))
    assert {quality for _, quality in drive.samples().values()} == {"gps"}
    assert drive.buffer.counts().waiting == 0


def test_the_kernels_flag_does_the_same_and_says_ntp(drive: Drive) -> None:
    _in_1970(drive)
    drive.drive(3)
    drive.clock.error, drive.clock.synchronised = timedelta(), True
    drive.drive(1)
    assert drive.right(1, 2, 3, 4)
    assert {quality for _, quality in drive.samples().values()} == {"ntp"}


def test_a_plausible_year_is_no_reason_to_believe_it(drive: Drive) -> None:
    drive.clock.error = timedelta(days=-1)
    drive.drive(5)
    assert drive.samples() == {}


def test_in_a_tunnel_the_boots_own_time_line_goes_on_from_the_last_fix(drive: Drive) -> None:
    _in_1970(drive)
    drive.fix = True
    drive.drive(2)
    drive.fix = False
    drive.drive(60)
    assert drive.right(*range(1, 63))
    assert drive.samples()[62][1] == "gps"


def test_after_ten_minutes_connected_without_a_time_they_go_as_estimated_and_new_ones_at_once(drive: Drive) -> None:
    drive.clock.error = timedelta(days=-1)
    drive.drive(120)
    drive.connected = True
    drive.drive(10)
    assert drive.samples() == {}
    drive.drive(1)
    assert len(drive.samples()) == 131
    drive.drive(5)
    found = drive.samples()
    assert {quality for _, quality in found.values()} == {"estimated"}
    gaps = {(found[n + 1][0] - found[n][0]).total_seconds() for n in range(1, 136)}
    assert gaps == {60.0}
    drive.fix = True
    drive.drive(1)
    assert drive.samples()[137][1] == "gps"
    assert PATIENCE_SECONDS == 600


def test_a_boot_that_was_never_dated_lies_between_its_neighbours(drive: Drive) -> None:
    """Power cut in 1970; it waits for the next boot's fix, and then no longer."""
    drive.fix = True
    drive.drive(3)
    drive.fix = False
    drive.reboot(off=3600, wall=Y1970)
    drive.drive(20)
    drive.reboot(off=3600, wall=Y1970)
    drive.drive(5)
    assert len(drive.samples()) == 3
    drive.fix = True
    drive.drive(1)
    found = drive.samples()
    assert [quality for _, quality in found.values()] == ["gps"] * 3 + ["estimated"] * 20 + ["gps"] * 6
    times = [time for time, _ in found.values()]
    assert times == sorted(times)
    assert drive.right(1, 2, 3, *range(24, 30))


def test_a_kill_between_the_fix_and_the_repair_costs_nothing(drive: Drive) -> None:
    """The same boot goes on in a new process: it still knows, or learns again."""
    _in_1970(drive)
    drive.drive(5)
    drive.fix = True
    for row in drive.recorder.tick():
        drive.truth[row.seq] = drive.clock.truth
    drive.fix = False
    drive.buffer.close()
    drive._start()
    drive.drive(1)
    assert drive.right(*range(1, 8))


def test_a_clock_that_restarts_where_it_was_switched_off_does_not_mix_up_two_boots(drive: Drive) -> None:
    """fake-hwclock, and nobody ever says the time: order and distances stay, nothing overlaps."""
    for _ in range(4):
        drive.drive(10)
        drive.reboot(off=7200)
    drive.connected = True
    drive.drive(12)
    times = [time for time, _ in drive.samples().values()]
    assert len(times) == 52
    assert times == sorted(times)


def test_never_before_this_program_was_written(drive: Drive) -> None:
    _in_1970(drive)
    drive.connected = True
    drive.drive(15)
    assert min(time for time, _ in drive.samples().values()) >= EARLIEST > datetime(2000, 1, 1, tzinfo=UTC)


@budget(40, 2000)
def test_whatever_the_road_does(ram: Path, examples: int) -> None:
    """Boots, fixes, tunnels, kernels, connections in any mixture: what was witnessed is right, what was not lies in
    order between what was, and nothing ever changes."""
    folders = count()
    settings(max_examples=examples)(given(st.data())(lambda data: _the_road(ram / str(next(folders)), data)))()


def _the_road(folder: Path, data: st.DataObject) -> None:
    drive = Drive(folder)
    try:
        _drive_along(drive, data)
    finally:  # also where hypothesis gives an example up: two thousand open files would end the next test
        drive.buffer.close()
        shutil.rmtree(folder)
    found = drive.samples()
    assert sorted(found) == list(range(1, len(drive.truth) + 1))
    witnessed = [n for n, (_, quality) in found.items() if quality != "estimated"]
    assert drive.right(*witnessed)
    assert all(time >= EARLIEST for time, _ in found.values())


def _drive_along(drive: Drive, data: st.DataObject) -> None:
    acts = ["drive", "drive", "reboot", "kill", "fix", "connect", "sync", "sleep"]
    for act in data.draw(st.lists(st.sampled_from(acts), min_size=5, max_size=25)):
        if act == "drive":
            drive.drive(data.draw(st.integers(1, 15)))
        elif act == "reboot":
            wall = data.draw(st.sampled_from([None, Y1970, datetime(2040, 1, 1, tzinfo=UTC)]))
            drive.reboot(off=data.draw(st.integers(0, 100_000)), wall=wall)
        elif act == "kill":
            drive.buffer.close()
            drive._start()
        elif act == "fix":
            drive.fix = not drive.fix
        elif act == "connect":
            drive.connected = not drive.connected
        elif act == "sync":
            drive.clock.synchronised = not drive.clock.synchronised
            drive.clock.error = timedelta() if drive.clock.synchronised else drive.clock.error
        elif act == "sleep":
            drive.clock.passes(data.draw(st.sampled_from([1, 3600, 8 * 3600])))
    drive.fix = True
    drive.drive(2)


class Refusing(SqliteBuffer):
    """A disk that is full while `full`."""

    full = False

    def append(self, *args: Any, **more: Any) -> BufferRow:
        if self.full:
            raise Retryable("disk full")
        return super().append(*args, **more)


def test_memory_holds_what_the_disk_refuses_bounded_and_in_order(ram: Path) -> None:
    clock = TruckClock()
    clock.synchronised = True
    numbers = iter(range(10**6))

    class Source:
        def sample(self) -> Taken:
            return Taken(clock.moment(), None, {"vehicle_speed": next(numbers), "quality": {}})

    with Refusing(ram / "b.db", "T1") as buffer:
        recorder = Recorder(Source(), clock, buffer)
        buffer.full = True
        for _ in range(HELD_AT_MOST + 500):
            assert recorder.tick() == []
            clock.passes(60)
        assert recorder.held <= HELD_AT_MOST
        buffer.full = False
        rows = recorder.tick()
        speeds = [json.loads(row.body)["vehicle_speed"] for row in rows]
        assert speeds == sorted(speeds)
        assert (speeds[0], speeds[-1]) == (0, HELD_AT_MOST + 500)  # the first one is an event
        assert len(rows) + recorder.never_stored == HELD_AT_MOST + 501 == recorder.stored + recorder.never_stored
        buffer.full = True
        recorder.tick()
        recorder.end()
        assert recorder.held == 0
        assert len(rows) + recorder.never_stored == HELD_AT_MOST + 502
