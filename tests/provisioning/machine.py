"""One machine of a story: a folder of its own in which `milepost` commands run as processes."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Machine:
    """One machine's folder, in which commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.commands: list[str] = []

    def start(self, *arguments: object, **variables: str) -> "subprocess.Popen[str]":
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(self.folder), **variables}
        argv = [sys.executable, "-m", "milepost", *map(str, arguments)]
        return subprocess.Popen(
            argv, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *arguments: object, code: int = 0) -> Any:
        """The command's JSON."""
        self.commands.append(" ".join(map(str, arguments)))
        process = self.start(*arguments, "--json")
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, (arguments, out, err)
        return json.loads(out) if out else None


def process_list() -> set[str]:
    """Every argument of every process, and every environment that this user may read."""
    found: set[str] = set()
    for pattern in ("[0-9]*/cmdline", "[0-9]*/environ"):
        for file in Path("/proc").glob(pattern):
            with suppress(OSError):
                found |= set(file.read_bytes().decode(errors="replace").split("\0"))
    return found
