"""One machine of a story: a folder of its own in which `milepost` commands run as processes."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tests.milepost_here import call

ROOT = Path(__file__).resolve().parents[2]


class Machine:
    """One machine's folder, in which commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.commands: list[str] = []
        self.said = ""

    def start(self, *arguments: object, **variables: str) -> "subprocess.Popen[str]":
        environment = {**self._environment(), **variables}
        argv = [sys.executable, "-m", "milepost", *map(str, arguments)]
        return subprocess.Popen(
            argv, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *arguments: object, code: int = 0) -> Any:
        """The command's JSON."""
        self.commands.append(" ".join(map(str, arguments)))
        process = self.start(*arguments, "--json")
        out, err = process.communicate(timeout=60)
        self.said += out + err
        assert process.returncode == code, (arguments, out, err)
        return json.loads(out) if out else None

    def look(self, *arguments: object) -> Any:
        """The JSON of a command that only looks, which has no process of its own."""
        with contextlib.chdir(self.folder):
            done = call(*arguments, "--json", environ=self._environment())
        assert done.code == 0, (arguments, done)
        return done.json

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(self.folder)}


def process_list() -> set[str]:
    """Every argument of every process, and every environment that this user may read."""
    found: set[str] = set()
    for pattern in ("[0-9]*/cmdline", "[0-9]*/environ"):
        for file in Path("/proc").glob(pattern):
            with contextlib.suppress(OSError):
                found |= set(file.read_bytes().decode(errors="replace").split("\0"))
    return found


class Onlooker:
    """Another user of the machine: reads the process list again and again while it is a context."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Onlooker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.1):  # a command takes several times as long
            self.seen |= process_list()


def readable_by_others(folder: Path) -> dict[Path, bytes]:
    """Every file there that others may read, by its own mode and those of its folders in between."""
    found: dict[Path, bytes] = {}
    for path in folder.rglob("*"):
        inside = [one for one in (path, *path.parents) if one.is_relative_to(folder) and one != folder]
        if path.is_file() and all(one.stat().st_mode & 0o077 for one in inside):
            found[path] = path.read_bytes()
    return found
