"""How many samples found no place on the disk, by process of the agent: told in each report, and kept over restarts.
And what a running agent holds in memory because the disk refuses it, for `milepost agent status` and `doctor`.

The file has its full size from the first start on and is written in place, in two slots in turn, so that neither a full
disk nor a torn write can take the count away. Where even the first write fails, this process's count is still told
while it runs.
"""

import json
import os
import secrets
import zlib
from contextlib import suppress
from dataclasses import dataclass
from logging import getLogger
from pathlib import Path
from typing import Any

log = getLogger(__name__)

SLOT = 4096
SIZE = 2 * SLOT
_RUNS = 24
"""Processes told apart: what fits into a slot. Later ones go on counting under the last of these names: a receiver
keeps the highest count of each name, so that a count may grow, but never move to another."""
_REASON = 300


@dataclass(frozen=True, slots=True)
class Holding:
    """Samples in the memory of a process that runs. count: at least so many; since: when the disk refused the first of
    them, by the truck's clock; reason: in the disk's words."""

    pid: int
    count: int
    since: str
    reason: str


def holding(path: Path) -> Holding | None:
    """What the process that wrote `path` last holds in memory, read beside it.

    Args:
        path: the file of a NeverStoredCounts.

    Returns:
        None where nothing is held, or that process has ended.
    """
    held = _newest(path).get("held")
    return Holding(held["pid"], held["count"], held["since"], held["reason"]) if held and _lives(held) else None


def _lives(held: dict[str, Any]) -> bool:
    return bool(held["boot"] == _boot()) and Path(f"/proc/{held['pid']}").exists()


def _newest(path: Path) -> dict[str, Any]:
    """The whole slot that was written last; empty where there is none."""
    try:
        content = path.read_bytes()
    except OSError:
        return {}
    newest: dict[str, Any] = {}
    for slot in (content[:SLOT], content[SLOT:SIZE]):
        crc, _, text = slot.strip().partition(b" ")
        if f"{zlib.crc32(text):08x}".encode() == crc:
            found = json.loads(text)
            if found["turn"] >= newest.get("turn", 0):
                newest = found
    return newest


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class NeverStoredCounts:
    """The counts of one buffer. path: beside the buffer file; None keeps them in memory only."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        found = _newest(path) if path else {}
        self._turn: int = found.get("turn", 0)
        self._runs: list[dict[str, Any]] = found.get("runs", [])
        self._held: dict[str, Any] | None = None
        if (left := found.get("held")) and (left["pid"] == os.getpid() or not _lives(left)):
            self._put(left["run"], left["count"], left["since"], left["since"])  # killed, or cut off, with these
            self._write()
        self._run = self._runs[-1]["run"] if len(self._runs) >= _RUNS else secrets.token_hex(8)
        if path is not None and not path.exists():
            with suppress(OSError):  # what cannot be made cannot be written to either, which is said
                path.parent.mkdir(parents=True, exist_ok=True)
            self._write()  # while the disk still has room for it

    @property
    def runs(self) -> list[dict[str, Any]]:
        """One `{run, count, from, to}` for each process that lost any, as in contract.control_messages.Report."""
        return [dict(run) for run in self._runs]

    def add(self, count: int, first: str, last: str, *, held: int = 0) -> None:
        """This process has lost so many more samples. Durable when it returns, unless the log says
        `never_stored_not_kept`. Never raises.

        Args:
            count: how many.
            first: when the first of them was taken, by the truck's clock.
            last: when the last was.
            held: how many it still holds in memory.
        """
        self._put(self._run, count, first, last)
        self._held = {**self._held, "count": held} if self._held and held else None
        self._write()

    def _put(self, name: str, count: int, first: str, last: str) -> None:
        run = next((run for run in self._runs if run["run"] == name), None)
        if run is None:
            run = {"run": name, "count": 0, "from": first, "to": last}
            self._runs.append(run)
        run["count"] += count
        run["from"], run["to"] = min(run["from"], first), max(run["to"], last)

    def hold(self, count: int, since: str, reason: str) -> None:
        """Say that this process holds samples in memory: written when the first is held and at each doubling, so that
        a start after a power cut counts as lost at least half of what memory held.

        Args:
            count: how many now.
            since: when the first of them was taken, by the truck's clock.
            reason: why the disk does not take them.
        """
        if self._held is None or count >= 2 * self._held["count"]:
            who = {"run": self._run, "pid": os.getpid(), "boot": _boot()}
            self._held = {**who, "count": count, "since": since, "reason": reason[:_REASON]}
            self._write()

    def release(self) -> None:
        """The disk takes samples again."""
        if self._held is not None:
            self._held = None
            self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        document = {"turn": self._turn + 1, "runs": self._runs, "held": self._held}
        text = json.dumps(document, separators=(",", ":")).encode()
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
