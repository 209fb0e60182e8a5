"""A disk that is really full, under a real agent process: sampling goes on in memory and drains when there is room."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from contract import timestamps
from tests.agent.live import Broker, Listener
from tests.agent.process import Process
from tests.milepost_here import run
from tests.standalone.up import Up
from tests.waiting import until


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


def _start_and_be_refused(agent: Process) -> None:
    """Start on a full disk: the buffer is there, and takes no sample."""
    before = len(agent.log.read_text())
    agent.start()
    until(lambda: "sample_not_stored" in agent.log.read_text()[before:])


def _all_arrive(agent: Process, listener: Listener, last: int) -> None:
    """Every number up to this one: what the agent had not sent when it was ended goes out when it runs again."""
    agent.start()
    until(lambda: set(range(1, last + 1)) <= listener.samples().keys())


def test_a_full_disk_costs_nothing_and_stops_nothing(agent: Process, small_disk: Path, listener: Listener) -> None:
    until(lambda: (seen := agent.glance()) and seen.sent >= 10)
    _fill(small_disk / "ballast")
    until(lambda: _refused(agent))
    stopped, full = agent.glance(), time.monotonic()
    assert stopped
    time.sleep(3)
    assert agent.process
    assert agent.process.poll() is None
    (small_disk / "ballast").unlink()
    full = time.monotonic() - full
    until(lambda: (seen := agent.glance()) and seen.highest_seq >= stopped.highest_seq + 40)
    tally = agent.terminate()
    last = agent.glance()
    assert last
    assert (tally["not_stored"], tally["sampled"]) == (0, last.highest_seq)
    _all_arrive(agent, listener, last.highest_seq)
    times = [
        timestamps.to_datetime(json.loads(*contents)["sampled_at"])
        for number, contents in sorted(listener.samples().items())
        if number <= last.highest_seq
    ]
    longest = max(b - a for a, b in pairwise(times))
    assert timedelta() <= min(b - a for a, b in pairwise(times))
    assert longest < timedelta(seconds=full), "sampling stood still while the disk was full"
    log = agent.log.read_text()
    assert "disk_takes_samples_again" in log


def test_what_never_found_a_place_is_said(agent: Process, small_disk: Path, listener: Listener) -> None:
    """Stopped while the disk is full: what memory held has no number, and the last report and the tally count it."""
    until(lambda: (seen := agent.glance()) and seen.sent >= 5)
    _fill(small_disk / "ballast")
    until(lambda: _refused(agent))
    time.sleep(1)
    tally = agent.terminate()
    assert tally["not_stored"] > 5
    assert "samples_never_stored" in agent.log.read_text()
    until(lambda: sum(run["count"] for run in listener.of("report")[-1]["never_stored"]) == tally["not_stored"])
    (small_disk / "ballast").unlink()
    agent.start()
    before = tally["sampled"]
    until(lambda: (seen := agent.glance()) and seen.highest_seq > before and not seen.pending)


def test_a_start_on_a_full_disk_samples_in_memory_and_stores_all_of_it_later(
    agent: Process, small_disk: Path, listener: Listener
) -> None:
    """As after a power cut on a card that somebody has filled: ready for systemd, alarmed, and nothing is lost."""
    until(lambda: (seen := agent.glance()) and seen.sent >= 5)
    before = agent.terminate()["sampled"]
    _fill(small_disk / "ballast")
    _start_and_be_refused(agent)
    time.sleep(1)
    assert agent.process
    assert agent.process.poll() is None
    (small_disk / "ballast").unlink()
    until(lambda: (seen := agent.glance()) and seen.highest_seq >= before + 20)
    tally = agent.terminate()
    assert tally["not_stored"] == 0
    _all_arrive(agent, listener, before + tally["sampled"])


def test_status_and_doctor_say_what_a_full_disk_keeps_in_memory(agent: Process, small_disk: Path) -> None:
    """While it runs, and after a start on the full disk; no longer once there is room."""
    until(lambda: agent.glance())
    agent.terminate()
    agent.configure(0.3)  # so that its own samples do not fill the small disk
    agent.start()
    until(lambda: (seen := agent.glance()) and seen.sent >= 5)
    assert _ask(agent, "status")["held_in_memory"] is None
    _fill(small_disk / "ballast")
    until(lambda: _refused(agent))
    assert agent.process
    _says_what_it_holds(agent)
    agent.terminate()
    _start_and_be_refused(agent)
    _says_what_it_holds(agent)
    (small_disk / "ballast").unlink()
    until(lambda: (seen := agent.glance()) and not seen.pending and "started_at" in seen.notes)
    until(lambda: _ask(agent, "status")["held_in_memory"] is None)
    assert not [each for each in _ask(agent, "doctor")["checks"] if "in memory" in each["found"]]


def _says_what_it_holds(agent: Process) -> None:
    assert agent.process
    held = until(lambda: (said := _ask(agent, "status")) and said["held_in_memory"])
    assert (held["pid"], held["count"] >= 1, bool(held["reason"])) == (agent.process.pid, True, True)
    disk = [each for each in _ask(agent, "doctor")["checks"] if each["check"] == "disk"]
    assert [each["state"] for each in disk] == ["failed", "failed"], disk
    assert all("free some space" in each["remedy"] for each in disk)


def _ask(agent: Process, command: str) -> Any:
    return run("agent", command, "--json", "--config", agent.config).json


def test_a_new_truck_starts_on_a_full_disk(agent: Process, small_disk: Path, listener: Listener) -> None:
    agent.kill()
    shutil.rmtree(agent.buffer.parent)
    agent.buffer.parent.mkdir()
    agent.log.write_text("a page of the log, for what it is to say\n")
    _fill(small_disk / "ballast")
    agent.start()
    until(lambda: "started_without_a_buffer held_in_memory=yes" in agent.log.read_text())
    (small_disk / "ballast").unlink()
    until(lambda: (seen := agent.glance()) and seen.highest_seq >= 10)
    assert agent.terminate()["not_stored"] == 0


def test_what_is_lost_by_a_start_on_a_full_disk_is_told_by_the_next_one(
    agent: Process, small_disk: Path, listener: Listener
) -> None:
    """The count's file has its size from the first start on, so that the full disk takes it."""
    until(lambda: (seen := agent.glance()) and seen.sent >= 5)
    agent.terminate()
    _fill(small_disk / "ballast")
    _start_and_be_refused(agent)
    time.sleep(1)
    lost = agent.terminate()["not_stored"]
    assert lost > 5
    (small_disk / "ballast").unlink()
    agent.start()
    until(lambda: sum(run["count"] for run in listener.of("report")[-1]["never_stored"]) == lost)


def test_a_file_size_limit_is_a_full_disk_too(tmp_path: Path, broker: Broker) -> None:
    """RLIMIT_FSIZE, as a quota does it: writes fail with EFBIG, not ENOSPC."""
    process = Process(tmp_path / "truck", broker.url, interval=0.05)
    process.start(prefix=("prlimit", "--fsize=6000"))
    until(lambda: "started_without_a_buffer held_in_memory=yes" in process.log.read_text())
    time.sleep(1)
    assert process.terminate()["not_stored"] > 0


def test_the_audit_of_a_running_milepost_counts_as_lost_what_had_no_place(
    tmp_path: Path, agent: Process, broker: Broker, small_disk: Path
) -> None:
    up = Up(tmp_path / "data", ["--trucks", "0", "--shoppers", "0", "--broker", broker.url])
    up.start()
    until(lambda: (seen := agent.glance()) and seen.sent >= 5)
    _fill(small_disk / "ballast")
    until(lambda: _refused(agent))
    time.sleep(0.5)
    lost = agent.terminate()["not_stored"]
    assert lost
    audit = until(lambda: (found := up.ask("audit")) and found["trucks"] and found["lost"] and found)
    up.end()
    assert (audit["lost"], audit["trucks"][0]["never_stored"]) == (lost, lost)
