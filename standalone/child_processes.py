"""Child processes that never outlive their parent, and the lock that gives a data directory one owner.

Three nets, because a parent may be SIGKILLed at any instruction: the kernel sends every child `death_signal` when the
parent dies; `children.json` in the data directory names who was running, so that the next start can `reap` what
ignored that; and `lock` keeps two starts from doing it at once. Linux only: it needs prctl and /proc.

Two traps decide the shape. The kernel ties the death signal to the *thread* that forked, so all forks happen on one
thread that lives as long as the process. And code between fork and exec may deadlock in a threaded parent, so nothing
runs there: the child starts as a tiny Python (about 20 ms) that leashes itself and then becomes the program.
"""

import contextlib
import fcntl
import json
import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypedDict

from contract import atomic_file
from contract.errors import Misconfigured

log = logging.getLogger(__name__)

RECORD = "children.json"
LOCK = "milepost.lock"
STOP_SECONDS = 5.0
LOG_LIMIT = 4 * 1024 * 1024
_POLL_SECONDS = 0.02

# argv: death signal, the parent's pid, the program and its arguments. A parent that died before prctl took hold is
# noticed by getppid. Open files are raised to the hard limit: a broker needs one for each truck.
_LEASH = """
import ctypes, os, resource, sys
ctypes.CDLL(None).prctl(1, int(sys.argv[1]), 0, 0, 0)
if os.getppid() != int(sys.argv[2]): os._exit(0)
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
os.execv(sys.argv[3], sys.argv[3:])
"""


class Entry(TypedDict):
    """One line of `children.json`; boot and started (clock ticks since boot) tell a recycled pid from the child."""

    name: str
    pid: int
    started: int
    boot: str


class _Forker:
    """The one thread that forks; a daemon thread, so it ends only with the process."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="forker", daemon=True).start()

    def call(self, task: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        future: Future[subprocess.Popen[bytes]] = Future()
        self._tasks.put((task, future))
        return future.result()

    def _run(self) -> None:
        while True:
            task, future = self._tasks.get()
            try:
                future.set_result(task())
            except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
                future.set_exception(error)


_forker: _Forker | None = None
_forker_guard = threading.Lock()


def _fork(task: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    global _forker
    with _forker_guard:
        _forker = _forker or _Forker()
    return _forker.call(task)


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
        """Send a signal; nothing happens if the child has ended."""
        self.process.send_signal(number)

    def wait(self, seconds: float | None = None) -> int | None:
        """The exit code (negative: killed by that signal), or None if it still runs after `seconds`."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, seconds: float = STOP_SECONDS) -> int:
        """SIGTERM, and SIGKILL if it still runs after `seconds`; returns the exit code."""
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

        argv[0] is looked up in PATH. log: output is appended there, else discarded; see `trim`. death_signal: what the
        kernel sends it when this process dies. A program that changes its user loses that signal (prctl(2)). Raises
        Misconfigured if there is no such program.
        """
        program = shutil.which(argv[0])
        if program is None:
            raise Misconfigured(f"no program {argv[0]!r} in PATH: install it or give its full path")
        leash = [sys.executable, "-I", "-S", "-c", _LEASH, str(int(death_signal)), str(os.getpid())]
        with self._guard, _output(log) as output:
            process = _fork(
                lambda: subprocess.Popen(
                    [*leash, program, *argv[1:]],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
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
        """SIGTERM to all at once, SIGKILL to those that still run after `seconds`; then the record is removed."""
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
    """End what a killed parent left running in this data directory; returns the names.

    Returns only when all are gone: SIGTERM, then SIGKILL after `seconds`. A pid that now belongs to another process is
    left alone. Call it with the lock held.
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
    two owners in. Raises Misconfigured if another process has it.
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
