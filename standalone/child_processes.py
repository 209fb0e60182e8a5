"""Child processes that never outlive their parent, and the lock that gives a data directory one owner.

Three nets, because a parent may be SIGKILLed at any instruction: the kernel sends every child `death_signal` when the
parent dies; `children.json` in the data directory names who was running, so that the next start can `reap` what
ignored that; and `lock` keeps two starts from doing it at once. Linux only: it needs prctl and /proc.
"""

import contextlib
import fcntl
import json
import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, TypedDict

from contract import atomic_file, leashed_process
from contract.errors import Misconfigured

log = logging.getLogger(__name__)

RECORD = "children.json"
LOCK = "milepost.lock"
STOP_SECONDS = 5.0
LOG_LIMIT = 4 * 1024 * 1024
_POLL_SECONDS = 0.02


class Entry(TypedDict):
    """One line of `children.json`; boot and started (clock ticks since boot) tell a recycled pid from the child."""

    name: str
    pid: int
    started: int
    boot: str


@dataclass(frozen=True, slots=True)
class Child:
    """One running program; safe to use from several threads."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path | None
    entry: Entry

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def returncode(self) -> int | None:
        return self.process.poll()

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens if the child has ended.

        Args:
            number: of the signal, as `signal` names them.
        """
        self.process.send_signal(number)

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait for its end.

        Args:
            seconds: how long; None: as long as it takes.

        Returns:
            The exit code (negative: killed by that signal), or None if it still runs.
        """
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, seconds: float = STOP_SECONDS) -> int:
        """End it by SIGTERM, and by SIGKILL if it still runs.

        Args:
            seconds: between the two.

        Returns:
            The exit code, negative where a signal ended it.
        """
        self.signal(signal.SIGTERM)
        if (code := self.wait(seconds)) is not None:
            return code
        log.warning("child_killed name=%s pid=%d after_seconds=%s", self.name, self.pid, seconds)
        self.signal(signal.SIGKILL)
        return self.process.wait()


class Children:
    """The child processes of one data directory, recorded there. Hold `lock(folder)` and call `reap(folder)` first."""

    def __init__(self, folder: Path) -> None:
        self._record = folder / RECORD
        self._children: list[Child] = []
        self._guard = threading.Lock()

    def spawn(
        self, argv: Sequence[str], *, name: str, log: Path | None = None, death_signal: int = signal.SIGTERM
    ) -> Child:
        """Start a program in a session of its own (Ctrl-C reaches the parent alone), with no input.

        A program that changes its user loses the death signal (prctl(2)).

        Args:
            argv: the program, looked up in PATH, and its arguments.
            name: for the log and the record.
            log: output is appended there, else discarded; see `trim`.
            death_signal: what the kernel sends it when this process dies.

        Returns:
            The child, which is in the record of the data directory already.

        Raises:
            Misconfigured: there is no such program.
        """
        program = shutil.which(argv[0])
        if program is None:
            raise Misconfigured(f"no program {argv[0]!r} in PATH: install it or give its full path")
        with self._guard, _output(log) as output:
            process = leashed_process.start(
                [program, *argv[1:]], death_signal=death_signal, stdout=output, stderr=output
            )
            entry = Entry(name=name, pid=process.pid, started=_started(process.pid) or 0, boot=_boot())
            child = Child(name, process, log, entry)
            self._children = [*self.alive, child]
            self._write()
        return child

    @property
    def alive(self) -> list[Child]:
        return [child for child in self._children if child.alive]

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """SIGTERM to all at once, SIGKILL to those that still run later; then the record is removed.

        Args:
            seconds: between the two.
        """
        with self._guard:
            deadline = time.monotonic() + seconds
            for child in self._children:
                child.signal(signal.SIGTERM)
            for child in self._children:
                child.wait(max(0.0, deadline - time.monotonic()))
            for child in self._children:
                child.stop(0)
            self._children = []
            self._record.unlink(missing_ok=True)

    def _write(self) -> None:
        text = json.dumps({"children": [child.entry for child in self._children]}, indent=1)
        atomic_file.write(self._record, text + "\n", durable=False)  # it is of this boot only


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[int | IO[bytes]]:
    if path is None:
        yield subprocess.DEVNULL
        return
    with path.open("ab") as file:
        yield file


def trim(path: Path, limit: int = LOG_LIMIT) -> None:
    """Bound a child's log: over `limit` bytes it moves to `NAME.1`, whose contents go. The child keeps its file open
    (for appending), so it is copied and cut; a line written in between is lost."""
    if path.exists() and path.stat().st_size > limit:
        shutil.copyfile(path, path.with_name(path.name + ".1"))
        os.truncate(path, 0)


def reap(folder: Path, *, seconds: float = STOP_SECONDS) -> list[str]:
    """End what a killed parent left running in this data directory, and wait until all are gone.

    A pid that now belongs to another process is left alone. Call it with the lock held.

    Args:
        folder: the data directory.
        seconds: between SIGTERM and SIGKILL.

    Returns:
        The names of those that were still there.
    """
    record = folder / RECORD
    orphans = [entry for entry in _read(record) if _runs(entry)]
    for number, wait in ((signal.SIGTERM, seconds), (signal.SIGKILL, STOP_SECONDS)):
        for entry in filter(_runs, orphans):
            log.warning("orphan_ended name=%s pid=%d signal=%s", entry["name"], entry["pid"], number.name)
            with contextlib.suppress(ProcessLookupError):
                os.kill(entry["pid"], number)
        deadline = time.monotonic() + wait
        while any(map(_runs, orphans)) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
    record.unlink(missing_ok=True)
    return [entry["name"] for entry in orphans]


def _read(record: Path) -> list[Entry]:
    try:
        entries = json.loads(record.read_text(encoding="utf-8"))["children"]
        return [
            Entry(name=str(e["name"]), pid=int(e["pid"]), started=int(e["started"]), boot=e["boot"]) for e in entries
        ]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError):
        log.warning("children_record_unreadable path=%s", record)
        return []


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _started(pid: int) -> int | None:
    """Clock ticks since boot at which a process started, None if it is gone or a zombie (proc(5), fields 3 and 22)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _runs(entry: Entry) -> bool:
    return entry["boot"] == _boot() and _started(entry["pid"]) == entry["started"]


class Lock:
    """A held lock on a data directory; the kernel releases it when the process ends, however it ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Give the directory free; again is harmless."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def lock(folder: Path) -> Lock:
    """Own a data directory (made if missing) until `release` or the end of this process.

    The lock is on the open file, which is closed on exec, so no child keeps it. The file stays: removing it would let
    two owners in.

    Args:
        folder: the data directory.

    Returns:
        The lock, a context that releases it at its end.

    Raises:
        Misconfigured: another process has it, or the folder cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise Misconfigured(f"cannot use {folder}: {error.strerror}: give another --data-dir") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise Misconfigured(f"{folder} is in use by pid {owner}: stop it or give another --data-dir") from None
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    return Lock(descriptor)
