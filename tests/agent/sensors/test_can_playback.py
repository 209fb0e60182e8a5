"""A recording as a bus: at the pace of its stamps, round and round."""

import time
from pathlib import Path

import pytest

can = pytest.importorskip("can", reason="python-can is not installed: pip install 'milepost[agent-can]'")

from agent.sensors.can_playback import CaptureBus  # noqa: E402 - behind the skip


def log(tmp_path: Path, *seconds: float) -> str:
    path = tmp_path / "a.log"
    path.write_text("".join(f"({1000 + at:.6f}) can0 18FEF100#{number:016X}\n" for number, at in enumerate(seconds)))
    return str(path)


def heard(bus: CaptureBus, frames: int) -> list[int]:
    found = []
    while len(found) < frames:
        message = bus.recv(1.0)
        if message is not None:
            found.append(int(message.data.hex(), 16))
    return found


def test_frames_come_in_order_and_round_and_round(tmp_path: Path) -> None:
    bus = CaptureBus(log(tmp_path, 0, 0.01, 0.02))
    assert heard(bus, 7) == [0, 1, 2, 0, 1, 2, 0]
    bus.shutdown()


def test_frames_come_when_they_are_due(tmp_path: Path) -> None:
    bus, start = CaptureBus(log(tmp_path, 0, 3), speed=10), time.monotonic()
    assert heard(bus, 2) == [0, 1]
    assert time.monotonic() - start >= 0.3


def test_a_recv_does_not_outlast_its_timeout(tmp_path: Path) -> None:
    bus, start = CaptureBus(log(tmp_path, 0, 50)), time.monotonic()
    assert bus.recv(0.05) is not None
    assert bus.recv(0.05) is None
    assert time.monotonic() - start < 45


def test_a_recorders_pause_is_cut_out(tmp_path: Path) -> None:
    assert heard(CaptureBus(log(tmp_path, 0, 0.01, 5000, 5000.01)), 4) == [0, 1, 2, 3]


@pytest.mark.parametrize("content", ["", "no frames here at all\n"])
def test_a_recording_without_frames_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.log"
    path.write_text(content)
    with pytest.raises((ValueError, IndexError)):
        CaptureBus(str(path)).recv(1)


def test_other_formats_play_too(tmp_path: Path) -> None:
    path = tmp_path / "a.asc"
    with can.ASCWriter(str(path)) as writer:
        for number in range(3):
            writer(can.Message(timestamp=1000 + number / 100, arbitration_id=0x18FEF100, data=[number]))
    assert heard(CaptureBus(str(path)), 3) == [0, 1, 2]
