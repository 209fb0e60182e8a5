"""`python -m milepost` as a process of its own, as scripts call it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: bytes
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout; anything beside it is an error."""
        return json.loads(self.out)


def environment(**more: str) -> dict[str, str]:
    """Ours, without settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MILEPOST_")}
    return {**kept, "PYTHONPATH": str(REPOSITORY), **more}


def start(*arguments: str | Path, **environ: str) -> "subprocess.Popen[bytes]":
    """The command, running."""
    return subprocess.Popen(
        [sys.executable, "-m", "milepost", *map(str, arguments)],
        env=environment(**environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: "subprocess.Popen[bytes]", seconds: float = 120) -> Ran:
    """Wait for it."""
    out, err = process.communicate(timeout=seconds)
    return Ran(process.returncode, out, err.decode())


def run(*arguments: str | Path, **environ: str) -> Ran:
    """The command, to its end."""
    return finish(start(*arguments, **environ))
