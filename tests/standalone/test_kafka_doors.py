"""`milepost up --stream` on Apache Kafka: everything goes through it, and nothing is lost when parts are killed."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local_kafka import LocalKafka
from tests import kafka
from tests.standalone.up import Up


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalKafka]:
    """One of the test's own, to be killed."""
    kafka.require()
    with LocalKafka(tmp_path / "kafka") as running:
        yield running


def worker_of(folder: Path) -> int:
    """The process id of the worker that `up` keeps."""
    listed = subprocess.run(
        ["pgrep", "-f", f"milepost collect .*{folder}"], capture_output=True, text=True, check=False
    )
    return int(listed.stdout.split()[0])


def test_up_balances_through_kafka_with_worker_and_broker_killed(tmp_path: Path, broker: LocalKafka) -> None:
    """Samples and clicks that were sent are in the store once, though worker and Kafka were killed on the way."""
    up = Up(tmp_path / "data", ["--trucks", "2", "--shoppers", "2", "--speedup", "60", "--minutes", "0.4"])
    up.start("--stream", kafka.url(broker.address))
    time.sleep(6)
    os.kill(worker_of(up.folder), signal.SIGKILL)
    time.sleep(3)
    broker.kill()
    broker.start()
    code, summary = up.finish()
    assert code == 0, summary
    assert sum(row["stored"] for row in summary["trucks"]) > 20
    assert summary["clicks"]["counted"] > 5
    log = (up.folder / "collect.log").read_text()
    assert "partitions_taken" in log
