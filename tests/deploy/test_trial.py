"""`milepost up --aws`, as whoever tries it sees it: trucks and shoppers, the deployed stack, and a balance."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.local_aws import ministack

pytestmark = pytest.mark.skipif(not Path("/usr/sbin/mosquitto").exists(), reason="mosquitto is not installed")
UP = [sys.executable, "-m", "milepost", "up", "--aws", "--speedup", "60"]


def test_it_balances(tmp_path: Path) -> None:
    """Real agents and shoppers; queries of another process while it runs."""
    ministack()
    argv = [*UP, "--trucks", "2", "--shoppers", "1", "--minutes", "0.1", "--json", "--data-dir", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, check=False, timeout=150)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    summary = json.loads(done.stdout)
    assert [row["truck_id"] for row in summary["trucks"]] == ["TRUCK-001", "TRUCK-002"]
    assert all(row["stored"] == row["sampled"] > 0 for row in summary["trucks"])
    assert summary["clicks"]["counted"] == summary["clicks"]["sent"]
    assert not (tmp_path / "up.json").exists()


@pytest.mark.prove
def test_nothing_of_it_outlives_a_kill(tmp_path: Path) -> None:
    """ministack and mosquitto end with the process that started them; until then any shell can ask."""
    ministack()
    argv = [*UP, "--trucks", "1", "--shoppers", "0", "--data-dir", str(tmp_path)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "up.json").exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.1)
        shell = f". {tmp_path}/aws/environment && {sys.executable} -m milepost trucks --json"
        rows: list[object] = []
        while not rows and time.monotonic() < deadline:
            rows = json.loads(subprocess.run(["sh", "-c", shell], capture_output=True, check=True).stdout)
        assert rows
        children = _pids(json.loads((tmp_path / "aws" / "children.json").read_text()))
        assert len(children) >= 3
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    deadline = time.monotonic() + 10
    while any(map(_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in children if _alive(pid)]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def _pids(record: object) -> list[int]:
    """Every pid in what box.children recorded."""
    if isinstance(record, dict):
        return [record["pid"]] if "pid" in record else [pid for below in record.values() for pid in _pids(below)]
    return [pid for below in record for pid in _pids(below)] if isinstance(record, list) else []
