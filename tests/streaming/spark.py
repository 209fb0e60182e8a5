"""The Spark jobs as a process, and what they left in PostgreSQL."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from collector.streams.kafka import KafkaAddress
from tests.milepost_process import REPOSITORY, environment

PYTHON = REPOSITORY / ".venv-spark/bin/python"
LOG = "spark.log"


def require() -> None:
    """Skips the test where the environment of the jobs is not made, with the remedy."""
    if not PYTHON.exists():
        pytest.skip("the Spark environment is not made: make .venv-spark/ready")


def start(
    address: KafkaAddress, database: str, folder: Path, *, for_ever: bool = False, **more: str
) -> "subprocess.Popen[bytes]":
    """The jobs, until they have caught up or for ever; what they say goes to LOG in the folder.

    more: environment variables.
    """
    variables = {
        "MILEPOST_STREAMING__DATABASE": database,
        "MILEPOST_STREAMING__CHECKPOINTS": str(folder / "checkpoints"),
        **more,
    }
    url = f"kafka://{address.brokers}/{address.prefix}"
    with (folder / LOG).open("wb") as log:
        return subprocess.Popen(
            [str(PYTHON), "-m", "streaming", "--stream", url, *([] if for_ever else ["--until-caught-up"])],
            env=environment(**variables), cwd=REPOSITORY, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


def finish(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    """Wait for its end, which must be a good one."""
    assert process.wait(timeout=900) == 0, said(folder)


def said(folder: Path) -> str:
    """The end of what the jobs said."""
    return (folder / LOG).read_text(errors="replace")[-6000:]


def kill(process: "subprocess.Popen[bytes]") -> None:
    """The driver, its JVM and its Python workers, all at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def left(process: "subprocess.Popen[bytes]") -> list[str]:
    """Process ids of the driver's session that are still there."""
    found = subprocess.run(["pgrep", "--session", str(process.pid)], capture_output=True, text=True, check=False)
    return found.stdout.split()


def stop_jvm(process: "subprocess.Popen[bytes]") -> None:
    """SIGSTOP of the JVM alone: what the driver's Python has in hand goes on, and no checkpoint is written."""
    found = subprocess.run(
        ["pgrep", "--session", str(process.pid), "java"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(found) == 1, found
    os.kill(int(found[0]), signal.SIGSTOP)


def ask(database: str, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query; times without a zone are UTC."""
    with psycopg.connect(database) as connection:
        return connection.execute(sql).fetchall()
