"""The two-machine story on the loopback interface, with the commands of docs/quickstart.md, as processes.

Box: `provision init`, `up`, `truck add`. Gateway, in a folder of its own: `agent enroll`, `agent once`. Then the sample
is in history; a renewal while nothing stops; and a retired truck is out.
"""

import json
import time
from pathlib import Path

import pytest

from tests.processes import free_port
from tests.provisioning.machine import Machine, Onlooker, readable_by_others
from tests.provisioning.mosquitto import MOSQUITTO
from tests.waiting import until

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
ROOT = Path(__file__).resolve().parents[2]


def test_from_nothing_to_the_first_sample_and_no_secret_on_the_way(tmp_path: Path) -> None:
    """test_quickstart.py has the same by the page's own commands; here each step is looked at, also by an onlooker."""
    box, gateway = Machine(tmp_path / "box"), Machine(tmp_path / "gateway")
    ports = ("--mqtt-port", free_port(), "--https-port", free_port())
    secrets: set[str] = set()
    with Onlooker() as onlooker:
        box.run("provision", "init", "--host", "127.0.0.1", *ports)
        up = box.start("up", "--trucks", 0, "--shoppers", 0, "--port", 0)
        try:
            until(lambda: (box.folder / "milepost-data/up.json").exists() or up.poll() is not None)
            assert up.poll() is None, up.communicate()
            box.run("provision", "truck", "add", "T1", "--file", tmp_path / "gateway/T1.json")
            secrets |= _secrets(box, gateway)
            enrolled = gateway.run("agent", "enroll", "--file", "T1.json")
            assert enrolled["confirmed"]
            _choose_sensor(gateway)
            once = gateway.run("agent", "once")
            assert once["sent"], once
            (version,) = until(lambda: box.run("history", "T1"))
            assert version["truck_id"] == "T1"
            secrets |= _secrets(box, gateway)
            _renew_and_retire(box, gateway)
            secrets |= _secrets(box, gateway)
            others = {**readable_by_others(box.folder), **readable_by_others(gateway.folder)}
        finally:
            up.terminate()
            out, err = up.communicate(timeout=20)
    assert len(secrets) == 8  # keys: the CA's, the server's, the commands', two of the truck; its token; two passwords
    assert any("provision" in argument for argument in onlooker.seen)
    said = {"stdout": out, "stderr": err, "commands": box.said + gateway.said}
    said |= {str(path): path.read_text(errors="replace") for path in tmp_path.rglob("*.log*")}
    for secret in secrets:
        assert not any(secret in argument for argument in onlooker.seen)
        assert [name for name, text in said.items() if secret in text] == []
        assert [path for path, content in others.items() if secret.encode() in content] == []


def _choose_sensor(gateway: Machine) -> None:
    """One that answers at once: a receiver that is not there would be listened for."""
    settings = gateway.folder / "milepost.toml"
    written = settings.read_text()
    assert 'type = "gpsd"' in written
    settings.write_text(written.replace('type = "gpsd"', 'type = "simulated"'))


def _secrets(box: Machine, gateway: Machine) -> set[str]:
    """As they are now: of keys the second line, which no other file can have by chance."""
    held = [*(box.folder / "milepost-data").rglob("*.key"), *(gateway.folder / "identity").glob("*/key.pem")]
    keys = {path.read_text().splitlines()[1] for path in held}
    token = json.loads((gateway.folder / "T1.json").read_text())["token"]
    broker = box.folder / "milepost-data/broker"
    return {*keys, token, *((broker / f"{name}.password").read_text() for name in ("collector", "operator"))}


def _renew_and_retire(box: Machine, gateway: Machine) -> None:
    before = box.run("provision", "truck", "show", "T1")["certificates"][0]["id"]
    gateway.run("agent", "enroll", "--renew")
    shown = box.run("provision", "truck", "show", "T1")
    assert [one["state"] for one in shown["certificates"]] == ["active", "revoked"]
    assert shown["certificates"][1]["id"] == before
    assert gateway.run("agent", "once")["sent"]
    agent = gateway.start("agent", "run")
    log = box.folder / "milepost-data/broker/mosquitto.log"
    seen = log.read_text().count(" as T1 (p")
    until(lambda: log.read_text().count(" as T1 (p") > seen)
    time.sleep(0.5)
    box.run("provision", "truck", "retire", "T1", "--yes")
    until(lambda: "Client T1 been disconnected" in log.read_text() or "Client T1 disconnected" in log.read_text())
    until(lambda: "certificate verify failed" in log.read_text())
    agent.terminate()
    agent.communicate(timeout=20)
    assert gateway.run("agent", "once")["sent"] is False
