"""What sensors believe outlives the process, by the notes of a real buffer."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from agent.buffer.sqlite import SqliteBuffer
from agent.runtime.sensor_memory import UNKNOWN_AGE, SensorMemory
from agent.sampling.sampler import Sampler
from agent.sensors import Memory, Reading
from tests.agent.fakes import TruckClock


class Believing:
    """A sensor that believes one odometer."""

    def __init__(self) -> None:
        self.recalled: tuple[Memory, float] | None = None
        self.kilometres = 438_978.0

    def read(self, now: datetime) -> Reading:
        """Nothing."""
        return Reading({}, {})

    def memory(self) -> Memory:
        """Heard just now."""
        return {"odometer": {"value": self.kilometres, "age": 0.0}}

    def recall(self, memory: Memory, later: float) -> None:
        """Note it."""
        self.recalled = memory, later

    def close(self) -> None:
        """Nothing to release."""


def _life(path: Path, clock: TruckClock) -> Believing:
    sensor = Believing()
    with SqliteBuffer(path, "T1") as buffer:
        memory = SensorMemory(Sampler("T1", [sensor], clock), buffer, clock, lambda notes: _note(buffer, notes))
        memory.keep()
        sensor.kilometres = 0.0
        memory.keep()  # not due
    return sensor


def _note(buffer: SqliteBuffer, notes: Mapping[str, str]) -> bool:
    buffer.note(notes)
    return True


def test_a_new_process_hears_what_the_one_before_believed_and_how_long_ago(tmp_path: Path) -> None:
    clock = TruckClock()
    assert _life(tmp_path / "b.db", clock).recalled is None
    clock.passes(3600)
    assert _life(tmp_path / "b.db", clock).recalled == ({"odometer": {"value": 438_978.0, "age": 0.0}}, 3600.0)


def test_a_clock_that_was_set_back_says_nothing_of_the_time_between(tmp_path: Path) -> None:
    clock = TruckClock()
    _life(tmp_path / "b.db", clock)
    clock.truth = clock.truth.replace(year=2020)
    recalled = _life(tmp_path / "b.db", clock).recalled
    assert recalled
    assert recalled[1] == UNKNOWN_AGE
