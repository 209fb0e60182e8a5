"""How many samples found no place on the disk, by process of the agent: told in each report, and kept over restarts.

The file has its full size from the first start on and is written in place, in two slots in turn, so that neither a full
disk nor a torn write can take the count away. Where even the first write fails, this process's count is still told
while it runs.
"""

import json
import os
import secrets
import zlib
from logging import getLogger
from pathlib import Path
from typing import Any

log = getLogger(__name__)

SLOT = 4096
SIZE = 2 * SLOT
_RUNS = 24
"""Processes told apart: what fits into a slot. Later ones go on counting under the last of these names: a receiver
keeps the highest count of each name, so that a count may grow, but never move to another."""


class NeverStored:
    """The counts of one buffer. path: beside the buffer file; None keeps them in memory only."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._turn = 0
        self._runs: list[dict[str, Any]] = []
        self._read()
        self._run = self._runs[-1]["run"] if len(self._runs) >= _RUNS else secrets.token_hex(8)
        if path is not None and not path.exists():
            self._write()  # while the disk still has room for it

    @property
    def runs(self) -> list[dict[str, Any]]:
        """One `{run, count, from, to}` for each process that lost any, as in contract.control_messages.Report."""
        return [dict(run) for run in self._runs]

    def add(self, count: int, first: str, last: str) -> None:
        """This process has lost so many more samples, taken between two times of the truck's clock.

        Durable when it returns, unless the log says `never_stored_not_kept`. Never raises.
        """
        mine = next((run for run in self._runs if run["run"] == self._run), None)
        if mine is None:
            mine = {"run": self._run, "count": 0, "from": first, "to": last}
            self._runs.append(mine)
        mine["count"] += count
        mine["from"], mine["to"] = min(mine["from"], first), max(mine["to"], last)
        self._write()

    def _read(self) -> None:
        try:
            content = self._path.read_bytes() if self._path else b""
        except OSError:
            return
        for slot in (content[:SLOT], content[SLOT:SIZE]):
            crc, _, text = slot.strip().partition(b" ")
            if f"{zlib.crc32(text):08x}".encode() == crc:
                found = json.loads(text)
                if found["turn"] >= self._turn:
                    self._turn, self._runs = found["turn"], found["runs"]

    def _write(self) -> None:
        if self._path is None:
            return
        text = json.dumps({"turn": self._turn + 1, "runs": self._runs}, separators=(",", ":")).encode()
        slot = f"{zlib.crc32(text):08x} ".encode() + text
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o640)
            try:
                if self._turn:
                    os.pwrite(file, slot.ljust(SLOT), (self._turn + 1) % 2 * SLOT)
                else:
                    os.pwrite(file, slot.ljust(SLOT) * 2, 0)
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            log.error("never_stored_not_kept reason=%r", str(error))
            return
        self._turn += 1
