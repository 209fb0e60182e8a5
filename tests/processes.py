"""Processes that tests start: a free port to give them, and their end by their own id."""

import subprocess

from contract.ports import free_port

__all__ = ["end", "free_port"]


def end(process: "subprocess.Popen[bytes]", seconds: float = 10) -> None:
    """Ask it to end, and kill it where it has not within `seconds`."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(seconds)
