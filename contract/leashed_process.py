"""Processes that end with the one that started them, also when that is SIGKILLed. Linux only: it needs prctl.

Two traps decide the shape. The kernel ties the death signal to the *thread* that forked, so all forks happen on one
thread that lives as long as the process. And code between fork and exec may deadlock in a threaded parent, so nothing
runs there: the child starts as a tiny Python (about 20 ms) that leashes itself and then becomes the program.
"""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Any

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


def start(  # noqa: PLR0913 - those of subprocess.Popen
    argv: Sequence[str],
    *,
    death_signal: int,
    stdin: int = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a program in a session of its own, so that Ctrl-C reaches the parent alone.

    A program that changes its user loses the death signal (prctl(2)). Its own children are its own matter.

    Args:
        argv: the program's full path and its arguments.
        death_signal: what the kernel sends it when this process dies.
        stdin: as for subprocess.Popen; by default none.
        stdout: by default discarded.
        stderr: by default discarded.
        environment: its variables; None: ours.
        folder: where it works; None: here.

    Returns:
        The process; its pid stays when the leash becomes the program.
    """
    global _forker
    with _forker_guard:
        _forker = _forker or _Forker()
    leash = [sys.executable, "-I", "-S", "-c", _LEASH, str(int(death_signal)), str(os.getpid())]
    return _forker.call(
        lambda: subprocess.Popen(
            [*leash, *argv],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    )
