"""A real agent process, killed at random moments: what it gave a number is never lost, and never says two things.

The long form also kills the broker, which then has forgotten what it acknowledged, and asks for the holes as the
collector does.
"""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.buffer.glance import Glance, glance
from tests.agent.live import Broker, Listener, wait_for
from tests.agent.trucks import TRUCK, write_candump

INTERVAL = 0.02


class Process:
    """`python -m agent` with its own settings file; `start` again after `kill`."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.folder, self.buffer = folder, folder / "buffer.db"
        write_candump(folder / "engine.log")
        self.config = folder / "milepost.toml"
        self.config.write_text(
            f'[agent]\ntruck_id = "{TRUCK}"\nbroker = "{broker.url}"\nbuffer = "{self.buffer}"\ninterval = {INTERVAL}\n'
            "time_patience = 0\n"
            f'[[agent.sensors]]\ntype = "replay"\npath = "{folder / "engine.log"}"\n'
        )
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Run it."""
        command = [sys.executable, "-m", "agent", "--config", str(self.config), "--json"]
        with (self.folder / "agent.log").open("a") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def terminate(self) -> dict[str, int]:
        """SIGTERM; what it said at the end."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=20)
        assert self.process.returncode == 0
        self.process = None
        tally: dict[str, int] = json.loads(output)
        return tally

    def glance(self) -> Glance | None:
        """What the buffer says while it runs; None before the first sample."""
        return glance(self.buffer) if self.buffer.exists() and self.buffer.stat().st_size else None


@pytest.fixture
def agent(tmp_path: Path, broker: Broker) -> Iterator[Process]:
    """An agent process, dead at the end."""
    process = Process(tmp_path, broker)
    yield process
    process.kill()


def _check(listener: Listener, seen: Glance) -> None:
    """Every number from 1 to the highest arrived, and none in two versions, all of one stream."""
    samples = listener.samples()
    assert sorted(samples) == list(range(1, seen.highest_seq + 1))
    assert all(len(contents) == 1 for contents in samples.values())
    assert {json.loads(text)["stream_id"] for contents in samples.values() for text in contents} == {seen.stream_id}
    assert seen.pending == 0


def test_ten_kills_lose_nothing(agent: Process, listener: Listener) -> None:
    chance = random.Random(20260131)
    highest = 0
    for _ in range(10):
        agent.start()
        time.sleep(0.4)  # the interpreter's own start, in which there is nothing to kill
        time.sleep(chance.uniform(0, 0.6))
        agent.kill()
        seen = agent.glance()
        assert seen is None or seen.highest_seq >= highest
        highest = seen.highest_seq if seen else 0
    assert highest > 20
    agent.start()
    wait_for(lambda: (seen := agent.glance()) and seen.highest_seq > highest + 10)
    tally = agent.terminate()
    assert tally["pending"] == 0
    last = agent.glance()
    assert last
    assert last.highest_seq > highest + 10
    wait_for(lambda: len(listener.samples()) >= last.highest_seq)
    _check(listener, last)


@pytest.mark.prove
@pytest.mark.timeout(1800)
def test_two_hundred_kills_of_agent_and_broker_heal(agent: Process, broker: Broker, listener: Listener) -> None:
    chance = random.Random(4711)
    agent.start()
    for number in range(200):
        time.sleep(chance.uniform(0.1, 1.2))
        if number % 5 == 4:
            broker.kill()
            time.sleep(chance.uniform(0, 0.5))
            broker.start()
        else:
            agent.kill()
            agent.start()
    wait_for(lambda: (seen := agent.glance()) and seen.pending == 0 and seen.highest_seq > 200, 120)
    seen = agent.glance()
    assert seen
    until = seen.highest_seq
    forgotten = set(range(1, until + 1)) - listener.samples().keys()
    print(f"200 kills, {until} samples, {len(forgotten)} forgotten by the broker and asked for again")
    deadline = time.monotonic() + 300
    while (holes := sorted(set(range(1, until + 1)) - listener.samples().keys())) and time.monotonic() < deadline:
        ask = {"stream_id": seen.stream_id, "ranges": [[seq, seq] for seq in holes[:20]]}
        listener.publish(f"fleet/{TRUCK}/resend", ask)
        wait_for(lambda: not set(holes[:20]) - listener.samples().keys(), 60)
    agent.terminate()
    last = agent.glance()
    assert last
    wait_for(lambda: len(listener.samples()) >= last.highest_seq)
    _check(listener, last)
