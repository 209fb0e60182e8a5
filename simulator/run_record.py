"""The record of one run: a file of JSON Lines that grows while it runs, and from which its report page is drawn.

Lines by their `kind`: `run` (once, first: what is run, on which machine), `tick` (about one a second), `fault` (from
when until when something was wrong on purpose), `balance` (once, last). Times are Unix milliseconds. A run that was
killed leaves a record without balance, which is still read.
"""

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from contract import codec, machine_clock
from contract.errors import Misconfigured, Rejected

FILE = "record.jsonl"


class RunRecord:
    """Appends to `RUN/record.jsonl`, from any thread; a record of an earlier run in that folder is replaced."""

    def __init__(self, folder: Path, *, title: str, **facts: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE
        self._file = self.path.open("w", encoding="utf-8")
        self._guard = Lock()
        self._write({"kind": "run", "at": machine_clock.now_ms(), "title": title, "machine": machine(), **facts})

    def tick(self, **figures: object) -> None:
        """What is so now: `online, sampled, pending, stored` (totals), `arrived` and `p50, p99` (seconds) since the
        last tick, `processes: {name: {cpu_s, rss_mb}}`. What is not known is left out."""
        self._write({"kind": "tick", "at": machine_clock.now_ms(), **figures})

    def fault(self, name: str, began_ms: int, detail: str = "") -> None:
        """Something that was wrong from then until now."""
        self._write({"kind": "fault", "at": began_ms, "until": machine_clock.now_ms(), "name": name, "detail": detail})

    def balance(self, document: Mapping[str, Any]) -> None:
        """The run's last line."""
        self._write({"kind": "balance", "at": machine_clock.now_ms(), **document})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        with self._guard:
            self._file.write(codec.dump(line) + "\n")
            self._file.flush()


@dataclass(slots=True)
class Recorded:
    """A record as it is read: `run` and `balance` are {} where the file lacks them."""

    run: dict[str, Any] = field(default_factory=dict)
    ticks: list[dict[str, Any]] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    balance: dict[str, Any] = field(default_factory=dict)


def read(run: Path) -> Recorded:
    """The record in a run's folder, or the file itself. A last line that is cut off is left out.

    Raises Misconfigured where there is none.
    """
    path = run / FILE if run.is_dir() else run
    found = Recorded()
    for line in _lines(path):
        kind = line.get("kind")
        if kind == "tick":
            found.ticks.append(line)
        elif kind == "fault":
            found.faults.append(line)
        elif kind == "run":
            found.run = line
        elif kind == "balance":
            found.balance = line
    if not found.run:
        raise Misconfigured(f"{path} is no record of a run: give a folder that `milepost simulate scenario` wrote")
    return found


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path} cannot be read ({error}): give a run's folder") from None
    for line in text.split("\n")[:-1]:
        try:
            document = codec.parse(line)
        except Rejected as error:
            raise Misconfigured(f"{path} is no record of a run ({error})") from None
        if isinstance(document, dict):
            yield document


def machine() -> str:
    """Cores, processor, memory and Python, in a line."""
    model = _value("/proc/cpuinfo", "model name") or platform.machine()
    kib = (_value("/proc/meminfo", "MemTotal") or "0").split()[0]
    return f"{os.cpu_count()} cores {model}, {int(kib) / 1024**2:.0f} GiB, Python {platform.python_version()}"


def _value(path: str, key: str) -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
