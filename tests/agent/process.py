"""A real agent process with its own settings file, to be started, killed and asked."""

import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from agent.buffer.inspection import Glance, glance
from contract.errors import Misconfigured
from tests.agent.trucks import TRUCK, write_candump

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """`python -m agent`; `start` again after `kill`. more: further lines of its `[agent]` table.

    The machine's clock need not be disciplined here: by default it waits for no time.
    """

    def __init__(self, folder: Path, broker: str, *, interval: float = 0.02, more: str = "time_patience = 0\n") -> None:
        self.folder, self.buffer, self.log = folder, folder / "buffer.db", folder / "agent.log"
        folder.mkdir(parents=True, exist_ok=True)
        self._sources = folder.parent / f"{folder.name}.settings"
        self._sources.mkdir(exist_ok=True)
        self.log, self.config = self._sources / "agent.log", self._sources / "milepost.toml"
        write_candump(self._sources / "engine.log")
        self._broker, self._more = broker, more
        self.configure(interval)
        self.process: subprocess.Popen[str] | None = None

    def configure(self, interval: float) -> None:
        """Sample at another rate from the next start on."""
        self.config.write_text(
            f'[agent]\ntruck_id = "{TRUCK}"\nbroker = "{self._broker}"\nbuffer = "{self.buffer}"\n'
            f"interval = {interval}\n{self._more}"
            f'[[agent.sensors]]\ntype = "replay"\npath = "{self._sources / "engine.log"}"\n'
        )

    def start(self, *how: str, prefix: tuple[str, ...] = ()) -> None:
        """Run it; how: the module and its arguments instead of `agent`. prefix: a command that runs it, as strace."""
        command = [*prefix, sys.executable, "-m", *(how or ("agent", "--json")), "--config", str(self.config)]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def wait_for_its_death(self, seconds: float) -> bool:
        """Whether it died by itself."""
        assert self.process
        try:
            self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        died = self.process.returncode == -signal.SIGKILL
        self.process = None
        return died

    def terminate(self) -> dict[str, int]:
        """SIGTERM; what it said at the end."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, self.log.read_text()[-2000:]
        self.process = None
        tally: dict[str, int] = json.loads(output)
        return tally

    def glance(self) -> Glance | None:
        """What the buffer says while it runs; None before the first sample."""
        with suppress(Misconfigured):
            return glance(self.buffer)
        return None
