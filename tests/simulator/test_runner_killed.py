"""A scenario or benchmark runner that is SIGKILLed leaves nothing running."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

_RUNNER = """
import json, sys, threading, time
from pathlib import Path
from simulator.scenario.installation import Installation
with Installation(Path(sys.argv[1])) as installation:
    maker = threading.Thread(target=installation.start)  # as a fault that starts the service again
    maker.start()
    maker.join()
    installation.drive(2, "--mode", "fleet")
    time.sleep(float(sys.argv[2]))
    print(json.dumps(installation.pids()), flush=True)
    time.sleep(60)
"""


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


@pytest.mark.timeout(90)
def test_service_broker_and_trucks_end_with_a_killed_runner(tmp_path: Path) -> None:
    runner = subprocess.Popen([sys.executable, "-c", _RUNNER, str(tmp_path), "0.2"], stdout=subprocess.PIPE)
    try:
        assert runner.stdout
        pids = json.loads(runner.stdout.readline())
        assert sorted(pids) == ["mosquitto", "trucks", "up"]
        assert all(map(_runs, pids.values()))
    finally:
        runner.kill()
        runner.communicate()
    until = time.monotonic() + 90
    while left := {name: pid for name, pid in pids.items() if _runs(pid)}:
        if time.monotonic() > until:
            for pid in left.values():
                os.kill(pid, 9)
            raise AssertionError(f"left behind: {left}")
        time.sleep(0.05)
