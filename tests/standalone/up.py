"""A real `milepost up` as a process of its own, for the tests that run, kill and restart it."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.milepost_here import call

MILEPOST = (sys.executable, "-m", "milepost")
READY_SECONDS = 90.0
LOOKS = {"alerts", "audit", "clicks", "customers", "dead-letters", "fleet", "history", "orders", "trucks", "verify"}


@dataclass
class Up:
    """One data directory and the `milepost up` on it. `options` are passed on; holes are asked for after a second."""

    folder: Path
    options: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    descriptors: int | None = None
    log: Path | None = None  # takes what it says on stderr, for who reads it meanwhile

    def environment(self) -> dict[str, str]:
        return {**os.environ, "MILEPOST_COLLECTOR__RESEND_AFTER": "1"}

    def start(self, *more: str) -> dict[str, Any]:
        """Start it and wait until it is ready; what up.json says."""
        self.process = subprocess.Popen(
            [*MILEPOST, "up", "--port", "0", "--data-dir", str(self.folder), "--json", *self.options, *more],
            stdout=subprocess.PIPE,
            stderr=self.log.open("ab") if self.log else subprocess.PIPE,
            env=self.environment(),
            preexec_fn=self._limit if self.descriptors else None,
        )
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            ready = self.ready()
            if ready and ready["pid"] == self.process.pid:
                return ready
            assert self.process.poll() is None, self.process.communicate()[1].decode()
            time.sleep(0.02)
        raise AssertionError("milepost up was not ready in time")

    def ready(self) -> dict[str, Any] | None:
        """up.json, which is there only while it runs."""
        try:
            return json.loads((self.folder / "up.json").read_text())  # type: ignore[no-any-return]
        except FileNotFoundError:
            return None

    def _limit(self) -> None:
        limit = self.descriptors or 0
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    def end(self) -> str:
        """Ask it to end; what it said."""
        assert self.process
        self.process.terminate()
        said = self.process.communicate(timeout=90)[1]
        return self.log.read_text() if self.log else said.decode()

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        assert self.process
        self.process.kill()
        self.process.communicate()

    def kill_broker(self) -> None:
        """SIGKILL the mosquitto that up.json names."""
        ready = self.ready()
        assert ready
        os.kill(ready["broker_pid"], signal.SIGKILL)

    def finish(self, timeout: float = 120) -> tuple[int, dict[str, Any]]:
        """Wait for its end; exit code and summary."""
        assert self.process
        out, err = self.process.communicate(timeout=timeout)
        assert out, err.decode()
        return self.process.returncode, json.loads(out)

    def ask(self, *command: str) -> Any:
        """The answer of another milepost command on this data directory; one that only looks has no process."""
        arguments = [*command, "--data-dir", str(self.folder), "--json"]
        if command[0] in LOOKS:
            here = call(*arguments, environ=self.environment())
            assert here.out, here.err
            return here.json
        done = subprocess.run([*MILEPOST, *arguments], capture_output=True, check=False, env=self.environment())
        assert done.stdout, done.stderr.decode()
        return json.loads(done.stdout)


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Up]:
    """One for several tests: up for the block, what it says in `up.log` beside its data; then killed by its id."""
    run = Up(folder / "data", log=folder / "up.log")
    try:
        run.start(*options)
        yield run
    finally:
        if run.process and run.process.poll() is None:
            run.kill()
