"""A ministack of our own: it dies with whoever started it."""

import subprocess
import sys
from pathlib import Path

from tests.deploy.processes import below, left_of
from tests.local_aws import ministack

STARTS = """
import sys, time
from pathlib import Path
from deploy.ministack import Ministack, deploy
with Ministack(Path(sys.argv[1])) as cloud:
    deploy(cloud, {"BatchingWindow": "0"})
    cloud.client("lambda").invoke(FunctionName="milepost-repair", Payload=b"{}")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_killed_test_session_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither ministack nor the functions that it runs."""
    ministack()  # skips where there is none
    with subprocess.Popen([sys.executable, "-c", STARTS, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        begun = below(process.pid)
        process.kill()
    assert len(begun) >= 2, "ministack and a function"
    assert not left_of(begun)
