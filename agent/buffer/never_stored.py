"""How many samples found no place on the disk, by process of the agent: told in each report, and kept over restarts.

The file has its full size from the first write on and is written in place, so that a full disk cannot stop it once it
exists; where even that fails, this process's count is still told while it runs.
"""

import json
import os
import secrets
from logging import getLogger
from pathlib import Path
from typing import Any

log = getLogger(__name__)

SIZE = 4096
_RUNS = 24
"""Processes told apart: what fits into the file; of more, the two oldest are added up."""


class NeverStored:
    """The counts of one buffer. path: beside the buffer file; None keeps them in memory only."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._run = secrets.token_hex(8)
        self._runs: list[dict[str, Any]] = self._read()
        if path is not None and not path.exists():
            self._write()  # while the disk still has room for it

    @property
    def runs(self) -> list[dict[str, Any]]:
        """One `{run, count, from, to}` for each process that lost any, as in contract.control_messages.Report."""
        return [dict(run) for run in self._runs]

    def add(self, count: int, first: str, last: str) -> None:
        """This process has lost so many more samples, taken between two times of the truck's clock."""
        mine = next((run for run in self._runs if run["run"] == self._run), None)
        if mine is None:
            mine = {"run": self._run, "count": 0, "from": first, "to": last}
            self._runs.append(mine)
        mine["count"] += count
        mine["to"] = last
        while len(self._runs) > _RUNS:
            oldest, second = self._runs[:2]
            self._runs[:2] = [{**second, "count": oldest["count"] + second["count"], "from": oldest["from"]}]
        self._write()

    def _read(self) -> list[dict[str, Any]]:
        try:
            found = json.loads(self._path.read_bytes()) if self._path else []
        except (OSError, ValueError):
            return []
        return [run for run in found if isinstance(run, dict) and {"run", "count", "from", "to"} <= run.keys()]

    def _write(self) -> None:
        if self._path is None:
            return
        text = json.dumps(self._runs, separators=(",", ":")).encode().ljust(SIZE)
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o640)
            try:
                os.pwrite(file, text, 0)
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            log.error("never_stored_not_kept reason=%r", str(error))
