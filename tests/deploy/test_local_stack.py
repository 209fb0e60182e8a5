"""`milepost up --aws`, as whoever tries it sees it: trucks and shoppers, the deployed stack, and a balance."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.processes import below, left_of
from tests.local_aws import ministack
from tests.processes import free_port

pytestmark = pytest.mark.skipif(not Path("/usr/sbin/mosquitto").exists(), reason="mosquitto is not installed")
MILEPOST = [sys.executable, "-m", "milepost"]
UP = [*MILEPOST, "up", "--aws", "--speedup", "60", "--trucks", "1"]
READY_SECONDS = 90


@contextmanager
def running(folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """`up --aws`, ready; killed at the end if it still runs."""
    ministack()  # skips where there is none
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([*UP, *options, "--data-dir", str(folder)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not told(folder) or told(folder)["pid"] != process.pid:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait(60)


def told(folder: Path) -> dict[str, Any]:
    """up.json; empty where there is none."""
    try:
        found: dict[str, Any] = json.loads((folder / "up.json").read_text())
    except FileNotFoundError:
        return {}
    return found


def ask(folder: Path, *command: str) -> Any:
    """What the command line prints with --json in a shell that knows an account of its own."""
    shell = {**os.environ, "AWS_PROFILE": "someone", "AWS_REGION": "eu-north-1"}
    argv = [*MILEPOST, *command, "--json", "--data-dir", str(folder)]
    done = subprocess.run(argv, capture_output=True, check=False, env=shell)
    assert done.stdout, done.stderr.decode()
    return json.loads(done.stdout)


def stored(folder: Path, at_least: int) -> int:
    """How many samples of the truck are in history's ledger, as soon as they are so many."""
    deadline = time.monotonic() + 90
    while (found := sum(row["received"] for row in ask(folder, "audit")["trucks"])) < at_least:
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.2)
    return found


def end(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGINT)
    return process.wait(60)


def test_it_balances(tmp_path: Path) -> None:
    """Real agents and shoppers, from the rules to the tables."""
    ministack()
    argv = [*UP, "--trucks", "2", "--shoppers", "1", "--minutes", "0.1", "--json", "--port", "0"]
    done = subprocess.run([*argv, "--data-dir", str(tmp_path)], capture_output=True, check=False, timeout=150)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    summary = json.loads(done.stdout)
    assert [row["truck_id"] for row in summary["trucks"]] == ["TRUCK-001", "TRUCK-002"]
    assert all(row["stored"] == row["sampled"] > 0 for row in summary["trucks"])
    assert summary["clicks"]["counted"] == summary["clicks"]["sent"]
    assert not (tmp_path / "up.json").exists()


@pytest.mark.prove
def test_it_is_used_as_the_box_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    """The port asked for, reads by the data directory alone, one owner, a prompt end, and the same history after it."""
    port = free_port()
    with running(tmp_path, "--shoppers", "0", "--port", str(port)) as process:
        assert told(tmp_path)["http"] == f"http://127.0.0.1:{port}"
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        event = {"event_id": "by-hand", "event_type": "click", "timestamp": at, "item_id": "kettle"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/clicks", json.dumps(event).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.loads(answer.read())["receipts"][0]["status"] == "accepted"
        before = stored(tmp_path, at_least=3)
        second = subprocess.run([*UP, "--data-dir", str(tmp_path)], capture_output=True, check=False, timeout=60)
        assert second.returncode == 2
        assert b"in use" in second.stderr
        assert end(process) == 0
    with running(tmp_path, "--shoppers", "0", "--port", "0"):
        assert stored(tmp_path, at_least=before + 1) > before
        (row,) = ask(tmp_path, "audit")["trucks"]
        assert (row["holes"], row["conflicts"]) == ([], [])
        assert [row["count"] for row in ask(tmp_path, "clicks")] == [1]


@pytest.mark.prove
def test_nothing_of_it_outlives_a_kill(tmp_path: Path) -> None:
    """ministack, its functions and mosquitto end with the process that started them, and what they held is kept."""
    with running(tmp_path, "--shoppers", "0", "--port", "0") as process:
        before = stored(tmp_path, at_least=3)
        begun = below(process.pid)
        assert len(begun) >= 5, "trucks, mosquitto, ministack and two functions"
        process.kill()
        process.wait(60)
    assert not left_of(begun)
    asked = subprocess.run([*MILEPOST, "trucks", "--data-dir", str(tmp_path)], capture_output=True, check=False)
    assert asked.returncode == 3
    assert b"start it again" in asked.stderr
    with running(tmp_path, "--shoppers", "0", "--port", "0") as process:
        assert stored(tmp_path, at_least=before + 1) > before
        assert ask(tmp_path, "audit")["trucks"][0]["holes"] == []
        assert end(process) == 0


@pytest.mark.prove
def test_where_ministack_is_killed_it_begins_anew_and_says_so(tmp_path: Path) -> None:
    """No half of an account, and no truck that believes what nobody holds any longer."""
    with running(tmp_path, "--shoppers", "0", "--port", "0") as process:
        stored(tmp_path, at_least=3)
        os.kill(
            json.loads((tmp_path / "aws/ministack/children.json").read_text())["children"][0]["pid"], signal.SIGKILL
        )
        process.kill()
    with running(tmp_path, "--shoppers", "0", "--port", "0") as process:
        stored(tmp_path, at_least=1)
        (row,) = ask(tmp_path, "audit")["trucks"]
        assert row["holes"] == []
        assert end(process) == 0
    assert "aws_begins_anew" in (tmp_path / "log").read_text()
