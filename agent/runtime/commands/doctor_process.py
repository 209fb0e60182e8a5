"""The doctor, asked by a command: in a process of its own, since its checks open the very files and lines that the
service holds, and closing a file lets go of the locks that this process has on it."""

import json
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from contract import leashed_process

_SECONDS = 120.0
_TEXT = 300
_MOST_BYTES = 8000


def findings(argv: Sequence[str]) -> dict[str, Any]:
    """Run it and wait, two minutes at most.

    Args:
        argv: `milepost agent doctor --json`, as a program and its arguments.

    Returns:
        `healthy`, and `checks` as the doctor prints them; texts are cut, and what is too much in all is left out, those
        first that say ok.

    Raises:
        OSError: it cannot be started, or was not done in time.
        ValueError: it printed no findings.
    """
    process = leashed_process.start(argv, death_signal=signal.SIGKILL, stdout=subprocess.PIPE)
    try:
        printed, _ = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"the doctor was not done after {_SECONDS:g} s") from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
    try:
        told = json.loads(printed)
        checks = [{key: str(value)[:_TEXT] for key, value in one.items() if value} for one in told["checks"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"the doctor ended with code {process.returncode} and no findings") from None
    while len(json.dumps(checks)) > _MOST_BYTES:
        fine = [one for one in checks if one.get("state") == "ok"]
        checks.remove((fine or checks)[-1])
    return {"healthy": told.get("healthy"), "checks": checks}
