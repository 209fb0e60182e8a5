"""What the release before left on disk works after an upgrade: the data directory, and a gateway with its unit.

release-0.1.tar.gz was made by make_fixture.py with that release: its certificates live ten years.
"""

import json
import shlex
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import free_port
from tests.provisioning.machine import Machine
from tests.provisioning.mosquitto import MOSQUITTO
from tests.upgrade.make_fixture import ASKED, HTTPS, MQTT
from tests.waiting import until

FIXTURE = Path(__file__).parent / "release-0.1.tar.gz"
OLD_MODULES = ("agent", "milepost", "simulator.cli", "deploy.package")
"""What a unit, a crontab or a Makefile may hold behind `python -m`."""


def _with_free_port(old: str, folder: Path, files: list[str]) -> str:
    """Give a port of the fixture another number in these files; it has as many digits."""
    new = next(port for port in iter(lambda: str(free_port()), "") if len(port) == len(old))
    for name in files:
        path = folder / name
        path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
    return new


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The folders `box` and `gateway` of an installation, as the release left them."""
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(tmp_path)  # our own archive; Debian 12 has no filter=
    gateway = tmp_path / "gateway"
    for name in ("milepost.toml", "milepost-agent.service"):
        text = (gateway / name).read_text().replace("@GATEWAY@", str(gateway))
        (gateway / name).write_text(text.replace("@PYTHON@", sys.executable))
    (gateway / "identity").chmod(0o700)
    return tmp_path


def _machine(folder: Path) -> Machine:
    machine = object.__new__(Machine)
    machine.folder, machine.commands, machine.said = folder, [], ""
    return machine


@pytest.fixture
def up(installed: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts `milepost up` on the data directory, with the ports of its identities free."""
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    registry = "box/milepost-data/provisioning/registry.db"
    _with_free_port(MQTT, installed, [registry, "gateway/milepost.toml", "gateway/identity/office.json"])
    _with_free_port(HTTPS, installed, [registry, "gateway/identity/office.json"])
    box = _machine(installed / "box")
    started: list[subprocess.Popen[str]] = []

    def start(*options: object) -> "subprocess.Popen[str]":
        process = box.start("up", "--port", 0, *options)
        started.append(process)
        until(lambda: (box.folder / "milepost-data/up.json").exists() or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        return process

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=20)


def _holds(now: Any, then: Any) -> bool:
    """All that the release answered is in today's answer; keys may have come beside it."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(key in now and _holds(now[key], value) for key, value in then.items())
    if isinstance(then, list):
        return isinstance(now, list) and len(now) == len(then) and all(map(_holds, now, then))
    return bool(now == then)


def test_the_data_directory_answers_as_before_and_verifies(installed: Path) -> None:
    expected = json.loads((installed / "expected.json").read_text())
    box = _machine(installed / "box")
    box.run("verify")
    for asked in ASKED:
        assert _holds(box.look(*asked.split()), expected[asked]), asked


def test_up_goes_on_where_the_release_ended(installed: Path, up: Callable[..., "subprocess.Popen[str]"]) -> None:
    """Its trucks and shoppers go on with their streams; everything balances; no version of before is lost."""
    box = _machine(installed / "box")
    before = json.loads((installed / "expected.json").read_text())["history TRUCK-001"]
    process = up("--trucks", 2, "--shoppers", 1, "--speedup", 60, "--minutes", 0.1, "--json")
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, (out, err)
    after = box.look("history", "TRUCK-001")
    closed = [row["effective_start_date"] for row in before]
    assert [row["effective_start_date"] for row in after][: len(closed)] == closed
    streams = {row["truck_id"]: row["stream_id"] for row in box.look("audit")["trucks"]}
    assert len(streams) == 3


def test_a_gateway_sends_what_waits_and_renews(installed: Path, up: Callable[..., "subprocess.Popen[str]"]) -> None:
    """By its old unit, settings, identity and buffer: the stream goes on, and no sample that waited is lost."""
    status = json.loads((installed / "expected.json").read_text())["status"]
    box, gateway = _machine(installed / "box"), _machine(installed / "gateway")
    assert _holds(
        gateway.look("agent", "status"), {key: status[key] for key in ("stream_id", "highest_seq", "pending")}
    )
    up("--trucks", 0, "--shoppers", 0)
    unit = (gateway.folder / "milepost-agent.service").read_text()
    (command,) = (line.removeprefix("ExecStart=") for line in unit.splitlines() if line.startswith("ExecStart="))
    agent = subprocess.Popen(shlex.split(command), cwd="/", stderr=subprocess.PIPE, text=True)
    try:
        found = _until_stored(box, status["stream_id"], status["highest_seq"])
    finally:
        agent.terminate()
        said = agent.communicate(timeout=20)[1]
    assert found is not None, said
    assert found["holes"] == found["gone"] == []
    assert gateway.run("agent", "enroll", "--renew")["confirmed"]


def _until_stored(box: Machine, stream_id: str, highest: int) -> dict[str, Any] | None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        (row,) = (row for row in box.look("audit")["trucks"] if row["stream_id"] == stream_id)
        if row["received"] == row["highest_seq"] >= highest:
            return dict(row)
        time.sleep(0.3)
    return None


@pytest.mark.parametrize("module", OLD_MODULES)
def test_old_module_paths_still_run(module: str, tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", module, "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
