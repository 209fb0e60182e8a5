"""One installation under test: `milepost up` with its own broker and store, in a folder of its own.

Everything happens by the commands that an operator has: identities by `provision`, the service by `up`, trucks by
`simulate trucks`. All of it ends with the runner, also when that is killed.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from contract import leashed_process
from contract.errors import MilepostError, Unreachable
from contract.ports import free_port

_MILEPOST = (sys.executable, "-P", "-m", "milepost")
_START_S = 120.0
_STOP_S = 60.0


class Installation:
    """Use as a context: leaving it ends everything that it started.

    folder: data, identities, ledgers and logs lie in it. data_dir: where the service keeps its own, if not there.
    environment: settings by variables, for the service and the trucks.
    """

    def __init__(self, folder: Path, *, data_dir: Path | None = None, environment: Mapping[str, str] = {}) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data_dir = data_dir or self.folder / "data"
        self.ledger = self.folder / "fleet"
        self.identities: Path | None = None
        self._environment = {**os.environ, **environment}
        self._options: tuple[str, ...] = ()
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(list(self._running)):
            self.end(name)

    @property
    def store(self) -> Path:
        """The service's SQLite file."""
        return self.data_dir / "milepost.db"

    @property
    def ready(self) -> dict[str, Any]:
        """What `up` says of itself: pid, http, mqtt, broker_pid, with identities also mqtts and enroll."""
        return dict(json.loads((self.data_dir / "up.json").read_text(encoding="utf-8")))

    @property
    def broker(self) -> str:
        """The address for trucks."""
        ready = self.ready
        return str(ready["mqtts"] if self.identities else ready["mqtt"])

    def pids(self) -> dict[str, int]:
        """name → pid of what runs: `up`, `mosquitto`, `trucks`."""
        found = {name: process.pid for name, process in self._running.items() if process.poll() is None}
        if "up" in found and "mosquitto" not in found and (self.data_dir / "up.json").exists():
            found["mosquitto"] = int(self.ready["broker_pid"] or 0)
        return {name: pid for name, pid in found.items() if pid}

    def issue(self, truck_ids: Sequence[str], *, generation: int = 1, certificate_seconds: float = 0.0) -> float:
        """An identity for each truck, in bulk, into `identities`; again it goes on. Returns the seconds it took.

        generation: another number makes new keys and certificates, which take the place of those before.
        certificate_seconds: how soon they run out; 0: as `provision` has it.

        Raises MilepostError with what `provision` said.
        """
        began = time.monotonic()
        if not (self.data_dir / "provisioning").exists():
            mqtt, https = free_port(), free_port()
            ports = ["--mqtt-port", str(mqtt), "--https-port", str(https)]
            self._call("provision", "init", "--host", "127.0.0.1", *ports)
        fleet = self.folder / "fleet.csv"
        fleet.write_text("truck_id\n" + "".join(f"{truck_id}\n" for truck_id in truck_ids), encoding="ascii")
        folder = self.folder / f"identities-{generation}"
        days = f"{certificate_seconds / 86_400:.8f}"
        life = {"MILEPOST_PROVISIONING__CERTIFICATE_DAYS": days} if certificate_seconds else {}
        self._call("provision", "import", str(fleet), "--to", str(folder), "--make-keys", **life)
        self.identities, draft = self.folder / "identities", self.folder / "identities.new"
        draft.unlink(missing_ok=True)
        draft.symlink_to(folder.name)
        draft.replace(self.identities)  # at once for all trucks, also while they connect
        return time.monotonic() - began

    def start(self, *options: str) -> None:
        """Start the service and wait until it is ready; without options as the last time. Raises Unreachable with the
        end of its log."""
        self._options = options = options or self._options
        (self.data_dir / "up.json").unlink(missing_ok=True)
        process = self._spawn(
            "up",
            "up",
            "--trucks",
            "0",
            "--shoppers",
            "0",
            "--port",
            "0",
            "--json",
            "--data-dir",
            str(self.data_dir),
            *options,
        )
        until = time.monotonic() + _START_S
        while not (self.data_dir / "up.json").exists():
            if process.poll() is not None or time.monotonic() > until:
                raise Unreachable(f"milepost up did not start: {self._last_words('up')}")
            time.sleep(0.05)

    def start_broker(self) -> int:
        """Start a mosquitto of its operator's, for `up --broker`; its port. Raises Unreachable where it is missing."""
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if program is None:
            raise Unreachable("mosquitto is not installed: apt-get install mosquitto")
        port = free_port()
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
            f"max_inflight_messages 1000\npersistence true\npersistence_location {self.folder}/\n",
            encoding="utf-8",
        )
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._running["mosquitto"] = leashed_process.start(
                [program, "-c", str(config)], death_signal=signal.SIGKILL, stdout=log, stderr=log
            )
        _wait_for(port)
        return port

    def drive(
        self,
        count: int,
        *options: str,
        broker: str | None = None,
        environment: Mapping[str, str] = {},
        through: Sequence[str] = (),
    ) -> None:
        """Start the trucks: `simulate trucks --count N` against this broker or another address. through: comes before
        the command, such as that which enters a network namespace."""
        named = [] if self.identities is None else ["--identities", str(self.identities)]
        where = ["--broker", broker or self.broker, "--data-dir", str(self.ledger), *named]
        arguments = ["simulate", "trucks", "--count", str(count), "--json", *where, *options]
        self._spawn("trucks", *arguments, through=through, **environment)

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a process that runs: `up`, `mosquitto` or `trucks`."""
        os.kill(self.pids()[name], number)

    def end(self, name: str, seconds: float = _STOP_S) -> int:
        """SIGTERM and wait, SIGKILL after that; the exit code (0 where it does not run)."""
        process = self._running.pop(name, None)
        if process is None:
            return 0
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def kill(self, name: str) -> None:
        """SIGKILL."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def said(self, name: str) -> str:
        """Standard output of a process so far."""
        return (self.folder / f"{name}.out").read_text(encoding="utf-8")

    def call(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command on this data directory and wait. environment: beside what all commands get."""
        return subprocess.run(
            [*_MILEPOST, *arguments, "--data-dir", str(self.data_dir)],
            env={**self._environment, **environment}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def _call(self, *arguments: str, **environment: str) -> None:
        done = self.call(*arguments, **environment)
        if done.returncode:
            raise MilepostError(f"milepost {' '.join(arguments[:2])}: {done.stderr.strip()[-500:]}")

    def _spawn(
        self, name: str, *arguments: str, through: Sequence[str] = (), **environment: str
    ) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.out").open("wb") as out, (self.folder / f"{name}.log").open("ab") as errors:
            self._running[name] = process = leashed_process.start(
                [*through, *_MILEPOST, *arguments], death_signal=signal.SIGKILL, stdout=out, stderr=errors,
                environment={**self._environment, **environment},
            )  # fmt: skip
        return process

    def _last_words(self, name: str) -> str:
        lines = (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
        return "; ".join(lines[-3:]) or "it said nothing"


def _wait_for(port: int) -> None:
    until = time.monotonic() + _STOP_S
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > until:
            raise Unreachable(f"nothing answers on port {port}")
        time.sleep(0.02)
