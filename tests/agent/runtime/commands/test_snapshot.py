"""Recordings of CAN lines: what was on the bus, in candump's format, bounded in time and size."""

import gzip
import random
import threading
from pathlib import Path
from typing import Any

import can
import pytest

from agent.runtime.commands import snapshot
from agent.sensors.can_address import CanAddress
from agent.sensors.candump import Candump
from agent.settings import AgentSettings, SensorSettings
from tests.waiting import until


def settings(*paths: str | None, kind: str = "j1939") -> AgentSettings:
    return AgentSettings(truck_id="T1", sensors=tuple(SensorSettings(type=kind, path=path) for path in paths))


def capture(folder: Path, frames: int, *, seed: int = 1) -> Path:
    """A log of random frames, a hundred a second."""
    chance, file = random.Random(seed), folder / f"drive{seed}.log"
    lines = [
        f"({1_700_000_000 + n / 100:.6f}) can0 18FEF100#{chance.randbytes(8).hex().upper()}\n" for n in range(frames)
    ]
    file.write_text("".join(lines))
    return file


def lines_in(file: Path) -> list[str]:
    return gzip.decompress(file.read_bytes()).decode().splitlines()


def test_the_very_frames_of_two_lines_and_each_pieces_bytes(tmp_path: Path) -> None:
    sources = [capture(tmp_path, 300, seed=seed) for seed in (1, 2)]
    lines = snapshot.lines_of(settings(*(f"capture:{source}?speed=10" for source in sources)))
    file = tmp_path / "snapshots" / "a.log.gz"

    def both() -> dict[str, Any] | None:
        told = snapshot.record(lines, 0.2, file)
        return told if len({frame.interface for _, frame in Candump(lines_in(file))}) == 2 else None

    told = until(both)
    heard = list(Candump(lines_in(file)))
    assert told["frames"] == len(heard)
    assert told["bytes"] == file.stat().st_size
    truth = {frame.data for source in sources for _, frame in Candump(source.read_text().splitlines())}
    assert {frame.data for _, frame in heard} <= truth
    pieces = [snapshot.piece(file, number) for number in range(1, snapshot.pieces_of(file) + 1)]
    assert b"".join(pieces) == file.read_bytes()


def test_every_kind_of_frame_as_candump_writes_it(tmp_path: Path) -> None:
    line = CanAddress("virtual", "snapshot-kinds")
    done = threading.Event()

    def send() -> None:
        with can.Bus("snapshot-kinds", "virtual") as bus:
            while not done.wait(0.01):
                bus.send(can.Message(arbitration_id=0x7FF, is_extended_id=False, data=b"\x01\xab"))
                bus.send(can.Message(arbitration_id=0x18FEF100, is_remote_frame=True))
                bus.send(can.Message(arbitration_id=0x123, is_extended_id=False, is_fd=True, data=bytes(12)))
                bus.send(can.Message(is_error_frame=True))

    sender = threading.Thread(target=send)
    sender.start()
    file = tmp_path / "snapshots" / "a.log.gz"
    try:
        until(lambda: snapshot.record([line], 0.1, file)["frames"] > 3)
    finally:
        done.set()
        sender.join()
    assert {line.split()[2] for line in lines_in(file)} == {"7FF#01AB", "18FEF100#R", f"123##0{'00' * 12}"}


def test_a_busy_line_ends_the_recording_at_a_megabyte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "MOST_BYTES", 200_000)
    source = capture(tmp_path, 8000)
    told = snapshot.record(
        snapshot.lines_of(settings(f"capture:{source}?speed=10000")), 60, tmp_path / "s" / "a.log.gz"
    )
    assert told["cut"]
    assert 100_000 < told["bytes"] <= 200_000


def test_the_newest_three_are_kept(tmp_path: Path) -> None:
    lines = snapshot.lines_of(settings(f"capture:{capture(tmp_path, 50)}?speed=100"))
    for name in "abcd":
        snapshot.record(lines, 0.02, tmp_path / "s" / f"{name}.log.gz")
    assert sorted(one.name[0] for one in (tmp_path / "s").iterdir()) == ["b", "c", "d"]


def test_a_line_that_cannot_be_opened_is_said_and_the_other_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "MOST_BYTES", 100_000)  # full at once, however slow the machine
    there, gone = f"capture:{capture(tmp_path, 8000)}?speed=10000", f"capture:{tmp_path / 'gone.log'}"
    told = snapshot.record(snapshot.lines_of(settings(there, gone)), 60, tmp_path / "s" / "a.log.gz")
    assert told["frames"]
    assert list(told["failed"]) == [gone]
    with pytest.raises(OSError, match=r"gone\.log"):
        snapshot.record(snapshot.lines_of(settings(gone)), 0.1, tmp_path / "s" / "a.log.gz")


def test_no_line_or_one_that_only_its_sensor_can_hear_is_said() -> None:
    with pytest.raises(snapshot.NoLine, match="no CAN line is configured"):
        snapshot.lines_of(settings(None, kind="gpsd"))
    with pytest.raises(snapshot.NoLine, match="slcan:/dev/ttyACM0 can have one listener only"):
        snapshot.lines_of(settings("slcan:/dev/ttyACM0"))
