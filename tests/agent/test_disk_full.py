"""A disk that is really full, under a real agent process: sampling goes on in memory and drains when there is room."""

import json
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from contract import timestamps
from tests.agent.live import Broker, Listener, wait_for
from tests.agent.process import Process


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """1 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount on this machine")
    if done.returncode:
        pytest.skip(f"cannot mount a small disk here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.fixture
def agent(broker: Broker, small_disk: Path) -> Iterator[Process]:
    process = Process(small_disk / "truck", broker.url, interval=0.05)
    process.start()
    yield process
    process.kill()


def _fill(ballast: Path) -> None:
    """Take all the room that there is."""
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue


def _refused(agent: Process) -> bool:
    return "sample_not_stored" in agent.log.read_text()


def test_a_full_disk_costs_nothing_and_stops_nothing(agent: Process, small_disk: Path, listener: Listener) -> None:
    wait_for(lambda: (seen := agent.glance()) and seen.sent >= 10, 30)
    _fill(small_disk / "ballast")
    wait_for(lambda: _refused(agent), 60)
    stopped = agent.glance()
    assert stopped
    time.sleep(3)
    assert agent.process
    assert agent.process.poll() is None
    (small_disk / "ballast").unlink()
    wait_for(lambda: (seen := agent.glance()) and seen.highest_seq >= stopped.highest_seq + 40, 30)
    tally = agent.terminate()
    last = agent.glance()
    assert last
    assert (tally["not_stored"], tally["sampled"], tally["pending"]) == (0, last.highest_seq, 0)
    wait_for(lambda: sorted(listener.samples()) == list(range(1, last.highest_seq + 1)))
    times = [
        timestamps.to_datetime(json.loads(*contents)["sampled_at"])
        for _, contents in sorted(listener.samples().items())
    ]
    longest = max(b - a for a, b in pairwise(times))
    assert timedelta() <= min(b - a for a, b in pairwise(times))
    assert longest < timedelta(seconds=2), "sampling stood still while the disk was full"
    log = agent.log.read_text()
    assert "disk_takes_samples_again" in log


def test_what_never_found_a_place_is_said(agent: Process, small_disk: Path, listener: Listener) -> None:
    """Stopped while the disk is full: what memory held has no number, and the last report and the tally count it."""
    wait_for(lambda: (seen := agent.glance()) and seen.sent >= 5, 30)
    _fill(small_disk / "ballast")
    wait_for(lambda: _refused(agent), 60)
    time.sleep(1)
    tally = agent.terminate()
    assert tally["not_stored"] > 5
    assert "samples_never_stored" in agent.log.read_text()
    wait_for(lambda: sum(run["count"] for run in listener.of("report")[-1]["never_stored"]) == tally["not_stored"])
    (small_disk / "ballast").unlink()
    agent.start()
    before = tally["sampled"]
    wait_for(lambda: (seen := agent.glance()) and seen.highest_seq > before and not seen.pending, 30)
