"""Makes what an installation of a release leaves on disk: `python make_fixture.py CHECKOUT TARGET.tar.gz`.

Run once for each release, with the release's checkout; the result is shipped and test_upgrade.py starts from it.

    box/milepost-data/    a store with samples, clicks and dead letters; simulated trucks and shoppers; identities
    gateway/              milepost.toml, identity/, a buffer with samples sent and samples that wait, the systemd unit
    expected.json         what the release's own commands answered
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

MQTT, HTTPS = "48883", "48443"
"""Ports that stand in the fixture's files; the test replaces them by free ones of as many digits."""
ASKED = ("trucks", "history TRUCK-001", "history OLD-1", "clicks", "audit", "dead-letters list")


def main(checkout: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        box, gateway = Path(name) / "box", Path(name) / "gateway"
        box.mkdir()
        gateway.mkdir()
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        milepost = [sys.executable, "-P", "-m", "milepost"]

        def run(folder: Path, *arguments: str, okay: tuple[int, ...] = (0,)) -> str:
            command = [*milepost, *arguments]
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            if done.returncode not in okay:
                raise SystemExit(f"{arguments}: {done.returncode} {done.stdout} {done.stderr}")
            return done.stdout

        (box / "milepost.toml").write_text("[provisioning]\ncertificate_days = 3650\n")
        run(box, "provision", "init", "--host", "127.0.0.1", "--mqtt-port", MQTT, "--https-port", HTTPS)
        command = [
            *milepost,
            "up",
            "--trucks",
            "2",
            "--shoppers",
            "1",
            "--port",
            "0",
            "--speedup",
            "60",
            "--minutes",
            "0.5",
        ]
        up = subprocess.Popen([*command, "--json"], cwd=box, env=environment, stdout=subprocess.DEVNULL)
        while not (box / "milepost-data/up.json").exists():
            time.sleep(0.1)
        run(box, "provision", "truck", "add", "T1", "--file", str(gateway / "T1.json"))
        run(gateway, "agent", "enroll", "--file", "T1.json")
        run(gateway, "agent", "once")
        if up.wait() != 0:
            raise SystemExit("the release's own run does not balance")
        _offline(gateway, milepost, environment)
        old = [
            {"TRUCK_ID": "OLD-1", "LOAD_TIMESTAMP": f"2024-05-01 08:3{minute}:00", "ENGINE_RPM": 800 + minute}
            for minute in range(5)
        ]
        (box / "old.jsonl").write_text("".join(json.dumps(record) + "\n" for record in [*old, {"no": "truck"}]))
        run(box, "ingest", "old.jsonl", okay=(1,))
        steps = json.loads(run(gateway, "agent", "install", "--dry-run", "--json", okay=(0, 1, 2)))["steps"]
        (unit,) = (step["text"] for step in steps if (step["path"] or "").endswith(".service"))
        (gateway / "milepost-agent.service").write_text(unit)
        expected = {asked: json.loads(run(box, *asked.split(), "--json", okay=(0, 1))) for asked in ASKED}
        expected["status"] = json.loads(run(gateway, "agent", "status", "--json", okay=(0, 1)))
        (Path(name) / "expected.json").write_text(json.dumps(expected, indent=1))
        _forget_this_machine(Path(name))
        with tarfile.open(target, "w:gz", compresslevel=9) as archive:
            for part in ("box", "gateway", "expected.json"):
                archive.add(Path(name) / part, part)


def _forget_this_machine(folder: Path) -> None:
    """Paths become placeholders; what a new start writes anyway goes."""
    for part in (
        "gateway/T1.json",
        "box/old.jsonl",
        "box/milepost-data/broker/mosquitto.log",
        "box/milepost-data/broker/mosquitto.conf",
        "box/milepost-data/milepost.lock",
    ):
        (folder / part).unlink()
    for part in ("gateway/milepost.toml", "gateway/milepost-agent.service"):
        text = (folder / part).read_text().replace(str(folder / "gateway"), "@GATEWAY@")
        (folder / part).write_text(text.replace(sys.executable, "@PYTHON@"))


def _offline(gateway: Path, milepost: list[str], environment: dict[str, str]) -> None:
    """Some samples that nobody has taken yet: the box is off."""
    settings = (gateway / "milepost.toml").read_text()
    settings = settings.replace("[agent]\n", "[agent]\ninterval = 0.5\n", 1).replace('"gpsd"', '"simulated"')
    (gateway / "milepost.toml").write_text(settings)
    agent = subprocess.Popen([*milepost, "agent", "run"], cwd=gateway, env=environment, stderr=subprocess.DEVNULL)
    time.sleep(6)
    agent.terminate()
    agent.wait(60)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
