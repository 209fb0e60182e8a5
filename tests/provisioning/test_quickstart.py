"""docs/quickstart.md, executed: its commands as they stand, on two machines made of network namespaces.

The machines are joined by a pair of virtual interfaces; box.example.com is the box's address in their /etc/hosts, and
each has a folder of its own. What apt-get and pip would install is this checkout's environment.
"""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.provisioning.mosquitto import MOSQUITTO
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/quickstart.md"
FIRST_SAMPLE = ("The box", "The gateway", "See it")


def commands(section: str) -> list[str]:
    """What stands in a section's blocks."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [
        line for block in re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL) for line in block.splitlines()
    ]


class Node:
    """One machine. Each command has the network namespace, and its own /etc/hosts."""

    def __init__(self, folder: Path, namespace: str, hosts: Path) -> None:
        self.folder, self._namespace, self._hosts = folder, namespace, hosts
        folder.mkdir()

    def start(self, command: str) -> "subprocess.Popen[str]":
        inside = f"mount --bind {self._hosts} /etc/hosts && exec {command}"
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return subprocess.Popen(
            ["ip", "netns", "exec", self._namespace, "unshare", "--mount", "sh", "-c", inside],
            cwd=self.folder,
            env={"PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, command: str) -> str:
        process = self.start(command)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, (command, out, err)
        return out


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Node, Node]]:
    """The box and the gateway."""
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root and iproute2; test_story.py tells the same on the loopback interface")
    names = [f"mp{os.getpid()}-{who}" for who in ("box", "gateway")]
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n10.77.0.1 box.example.com\n")
    try:
        try:
            for name in names:
                _ip("netns", "add", name)
            _ip("-n", names[0], "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", names[1])
            for number, name in enumerate(names, 1):
                _ip("-n", name, "address", "add", f"10.77.0.{number}/24", "dev", "eth0")
                _ip("-n", name, "link", "set", "eth0", "up")
                _ip("-n", name, "link", "set", "lo", "up")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this machine makes no network namespaces: {error.stderr}")
        yield Node(tmp_path / "box", names[0], hosts), Node(tmp_path / "gateway", names[1], hosts)
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def test_the_page_brings_the_first_sample_in_under_ten_commands_and_then_a_fleet(nodes: tuple[Node, Node]) -> None:
    box, gateway = nodes
    assert sum(len(commands(section)) for section in FIRST_SAMPLE) < 10
    running: list[subprocess.Popen[str]] = []
    try:
        for command in _milepost("The box"):
            if command.startswith("milepost up"):
                running.append(box.start(command))
                until(lambda: (box.folder / "milepost-data/up.json").exists() or running[0].poll() is not None)
                assert running[0].poll() is None, running[0].communicate()
            else:
                box.run(command)
        shutil.copy2(box.folder / "T1.json", gateway.folder / "T1.json")
        (box.folder / "T1.json").unlink()
        for command in _milepost("The gateway"):
            gateway.run(command)
        (history,) = _milepost("See it")
        until(lambda: json.loads(box.run(f"{history} --json")))
        assert "T1" in box.run(history)
        (status,) = json.loads(box.run("milepost provision status --json"))
        assert (status["truck_id"], status["state"]) == ("T1", "active")
        (box.folder / "fleet.csv").write_text("truck_id,depot\nT2,north\nT3,south\n")
        for command in _milepost("Many trucks"):
            box.run(command)
        assert sorted(one.parent.name for one in (box.folder / "enrolment").glob("*/enroll.json")) == ["T2", "T3"]
    finally:
        for process in running:
            process.terminate()
            process.communicate(timeout=30)


def _milepost(section: str) -> list[str]:
    found = [command for command in commands(section) if command.startswith("milepost ")]
    assert found, section
    return found


def test_what_the_page_installs_exists() -> None:
    declared = importlib.metadata.metadata("milepost")
    version, extras = declared["Version"], set(declared.get_all("Provides-Extra") or [])
    text = PAGE.read_text()
    assert set(re.findall(r"milepost-([\d.]+)-py3", text)) == {version}
    named = {extra for group in re.findall(r"\[([a-z,-]+)\]['`]", text) for extra in group.split(",")}
    assert named - {"provisioning"} <= extras
    assert "provisioning" in extras
