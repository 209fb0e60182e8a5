"""`make stack` in its short form: every part up, what was sent in the store, and nothing left running."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contract.errors import Misconfigured
from deploy import local_kafka, local_postgresql
from deploy.stack_parts import Ports, commands
from deploy.stack_status import parts_of
from deploy.stack_status import status as look
from tests import waiting
from tests.milepost_process import REPOSITORY, environment, run
from tests.streaming import spark

PARTS = commands(Ports(), "", "").keys() | {"mosquitto", "kafka", "postgresql", "prometheus"}


def start(folder: Path, minutes: float | None) -> "subprocess.Popen[str]":
    until = [] if minutes is None else ["--minutes", str(minutes)]
    argv = [sys.executable, "-P", "-m", "deploy.stack", "run", *until, "--data-dir", str(folder)]
    return subprocess.Popen(
        argv, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY
    )


def status(folder: Path) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-P", "-m", "deploy.stack", "status", "--data-dir", str(folder), "--json"]
    return subprocess.run(argv, env=environment(), capture_output=True, text=True, cwd=REPOSITORY, check=False)


def all_up(folder: Path, running: "subprocess.Popen[str]") -> bool:
    """Every part of the set runs, and Spark has begun."""
    time.sleep(0.5)  # each part is asked
    assert running.poll() is None, running.communicate()[1]
    try:
        rows = {row["part"]: row for row in look(folder)}
    except Misconfigured:
        return False  # not yet
    return rows.keys() == PARTS and all(row["up"] for row in rows.values()) and rows["spark"]["detail"] != "starts"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("minutes", [None, pytest.param(1.0, marks=pytest.mark.prove)])
def test_every_part_runs_what_was_sent_is_there_and_nothing_stays(tmp_path: Path, minutes: float | None) -> None:
    """The set of compose.yaml less Grafana, each part by the command that test_compose.py compares with that file.

    Ended by SIGTERM as soon as all are up, or by its own time.
    """
    if why := local_kafka.missing() or local_postgresql.missing():
        pytest.skip(why)
    spark.require()
    if shutil.which("prometheus") is None:
        pytest.skip("Prometheus is not installed: apt-get install prometheus")
    folder = tmp_path / ("stack" * 20)  # longer than the name of a Unix socket may be
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:-2]:  # PostgreSQL runs as nobody, who has to reach its folder
        parent.chmod(parent.stat().st_mode | 0o011)
    running = start(folder, minutes)
    waiting.until(lambda: all_up(folder, running), 240)
    looked = status(folder)
    assert (looked.returncode, {row["part"] for row in json.loads(looked.stdout)}) == (0, PARTS)
    parts = parts_of(folder)
    if minutes is None:
        running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=300)
    assert running.returncode == 0, out + err
    assert "It balances." in out
    left = [
        name for name, part in parts.items() if Path(f"/proc/{part['pid']}").exists() and part["pid"] != os.getpid()
    ]
    assert left == []
    assert "INFO __main__ ended\n" in (folder / "spark.log").read_text()
    assert not (folder / "spark").exists()


def stack(command: str, folder: Path) -> "subprocess.Popen[bytes]":
    argv = [sys.executable, "-P", "-m", "deploy.stack", command, *(["--data-dir", str(folder)] if folder.name else [])]
    return subprocess.Popen(argv, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPOSITORY)


@pytest.mark.prove
@pytest.mark.timeout(1200)
def test_the_parts_of_it_one_by_one_check_infrastructure_producer_processor(tmp_path: Path) -> None:
    """What the earlier pipeline's scripts did: `make stack-check`, and three terminals that end in good order."""
    checked = stack("check", Path())
    out, err = checked.communicate(timeout=300)
    assert checked.returncode == 0, out + err
    assert b"'milepost-clicks': 1" in out
    folder = tmp_path / "stack"
    for parent in tmp_path.parents[:-2]:  # PostgreSQL runs as nobody, who has to reach its folder
        parent.chmod(parent.stat().st_mode | 0o011)
    tmp_path.chmod(0o755)
    infrastructure = stack("infrastructure", folder)
    waiting.until(lambda: (folder / "stack.json").exists() and status(folder).returncode == 0, 300)
    topic = stack("topic", folder).communicate(timeout=60)[0].decode().strip()
    produced = run("simulate", "events", "--to", topic, "--rate", "500", "--events", "600", "--json")
    assert produced.json == {"sent": 600}
    processor = stack("processor", folder)
    database = parts_of(folder)["postgresql"]["url"]
    waiting.until(lambda: counted(database) == [(600,)], 600)
    for process in (processor, infrastructure):
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    assert status(folder).returncode == 2


def counted(database: str) -> list[tuple[int]]:
    """How many different events the Spark jobs have put into PostgreSQL."""
    if spark.ask(database, "SELECT to_regclass('live.quarantine')") == [(None,)]:
        return []
    return spark.ask(database, "SELECT count(DISTINCT identity)::int FROM live.raw_event WHERE kind = 'click'")


def test_no_stack_is_said(tmp_path: Path) -> None:
    """With the command that starts one."""
    looked = status(tmp_path)
    assert (looked.returncode, looked.stdout) == (2, "")
    assert "`make stack` starts one" in looked.stderr
