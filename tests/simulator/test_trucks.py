"""A virtual fleet loses no sample: the real agent, a real broker, a real subscriber, and real kills."""

import json
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from agent.buffer.sqlite import SqliteBuffer
from contract.errors import Misconfigured
from contract.records import read_sample
from simulator import sent_ledger
from simulator.trucks import FleetRun, truck_ids

COMMAND = [sys.executable, "-m", "simulator.cli", "trucks"]


def _command(folder: Path, url: str, *more: str) -> list[str]:
    return [*COMMAND, "--count", "3", "--broker", url, "--data-dir", str(folder), "--speedup", "600", *more]


def _balances(folder: Path, cloud: Any) -> bool:
    sampled = sent_ledger.sampled(folder)
    return set(sampled) == set(cloud.seqs) and all(
        cloud.arrived(truck_id).pairs == ((1, count),) for truck_id, count in sampled.items()
    )


def test_a_planned_run_ends_at_now_and_balances(broker: Any, cloud: Any, tmp_path: Path, wait: Any) -> None:
    """With --minutes it stops by itself; every sample committed has arrived, once, in simulated time up to now."""
    began = datetime.now(UTC)
    done = subprocess.run(
        _command(tmp_path, broker.url, "--minutes", "0.06", "--json"),
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    ended = datetime.now(UTC)
    assert done.returncode == 0, done.stderr
    sampled = sent_ledger.sampled(tmp_path)
    assert json.loads(done.stdout) == {
        "trucks": [{"truck_id": truck_id, "sampled": sampled[truck_id]} for truck_id in truck_ids(3)]
    }
    wait(lambda: _balances(tmp_path, cloud))
    assert all(count >= 20 for count in sampled.values())  # 36 simulated minutes, less what the start took
    for sample in cloud.samples:
        read = read_sample(sample, received_ms=int(ended.timestamp() * 1000), date_by_arrival=False)
        assert began - timedelta(minutes=37) <= datetime.fromisoformat(read.sampled_at) <= ended


def test_killed_and_started_again_it_goes_on(broker: Any, cloud: Any, tmp_path: Path, wait: Any) -> None:
    """SIGKILL twice, then SIGTERM: contiguous numbers in one stream a truck, and time that never went back."""
    for wanted in (8, 16):
        process = subprocess.Popen(_command(tmp_path, broker.url), stderr=subprocess.DEVNULL)
        wait(lambda wanted=wanted: len(cloud.seqs) == 3 and min(map(_high, cloud.seqs.values())) >= wanted)
        process.kill()
        process.wait()
    process = subprocess.Popen(_command(tmp_path, broker.url), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    wait(lambda: min(map(_high, cloud.seqs.values())) >= 24)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (0, b"")
    wait(lambda: _balances(tmp_path, cloud))
    for truck_id in truck_ids(3):
        own = {sample["seq"]: sample["sampled_at"] for sample in cloud.samples if sample["truck_id"] == truck_id}
        assert all(own[seq] < own[after] for seq, after in pairwise(sorted(own)))


def _high(streams: Any) -> int:
    return max(max(seqs) for seqs in streams.values())


def test_a_broker_that_comes_back_gets_what_waited(broker: Any, cloud: Any, tmp_path: Path, wait: Any) -> None:
    """The trucks sample on without it, and the drain at the end waits for the network."""
    stop = threading.Event()
    fleet = FleetRun(
        count=3,
        broker=broker.url,
        folder=tmp_path,
        speedup=600,
        minutes=None,
        until=None,
        interval=60,
        drain=20,
        seed=1,
    )
    thread = threading.Thread(target=fleet.run, args=(stop,))
    thread.start()
    try:
        wait(lambda: len(cloud.seqs) == 3)
        broker.stop()
        reached = max(sent_ledger.sampled(tmp_path).values())
        wait(lambda: min(sent_ledger.sampled(tmp_path).values()) > reached + 10)
        stop.set()
        broker.start()
    finally:
        stop.set()
        thread.join(40)
    held = sent_ledger.sampled(tmp_path)
    wait(lambda: all(cloud.arrived(truck_id).last == count for truck_id, count in held.items()))
    assert all(sent_ledger.pending(tmp_path)[truck_id] == 0 for truck_id in held)


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    """Two fleets on one folder would fight over the buffers; nothing is started."""
    fleet = FleetRun(
        count=1,
        broker="mqtt://127.0.0.1:9",
        folder=tmp_path,
        speedup=1,
        minutes=0.001,
        until=None,
        interval=60,
        drain=0,
        seed=1,
    )
    with SqliteBuffer(sent_ledger.buffer_path(tmp_path, "TRUCK-001"), "TRUCK-001"), pytest.raises(Misconfigured):
        fleet.run(threading.Event())
    fleet.run(threading.Event())


def test_a_broker_that_is_no_address_is_refused(tmp_path: Path) -> None:
    """By name, before anything is made."""
    fleet = FleetRun(
        count=1, broker="localhost", folder=tmp_path, speedup=1, minutes=None, until=None, interval=60, drain=0, seed=1
    )
    with pytest.raises(Misconfigured, match="mqtt://"):
        fleet.run(threading.Event())
    assert not sent_ledger.sampled(tmp_path)


def test_the_ledger_counts_what_a_lost_file_held(tmp_path: Path) -> None:
    """A damaged buffer is set aside and a new stream begun; the samples of the old one were taken all the same."""
    path = sent_ledger.buffer_path(tmp_path, "TRUCK-001")
    with SqliteBuffer(path, "TRUCK-001") as buffer:
        for second in range(3):
            buffer.append({"sampled_at": f"2026-11-21T00:00:0{second}.000Z"})
    assert sent_ledger.sampled(tmp_path) == sent_ledger.pending(tmp_path) == {"TRUCK-001": 3}
    path.write_bytes(b"damaged" * 1000)
    with SqliteBuffer(path, "TRUCK-001") as buffer:
        buffer.append({"sampled_at": "2026-11-21T00:00:03.000Z"})
        assert sent_ledger.sampled(tmp_path) == {"TRUCK-001": 4}
