"""What runs below a process, and what is left of it."""

import time
from pathlib import Path


def below(pid: int) -> list[tuple[int, str]]:
    """Every process under this one: its id and when it began."""
    parents = {int(each.name): fields(int(each.name)) for each in Path("/proc").iterdir() if each.name.isdigit()}
    found, waiting = [], [pid]
    while waiting:
        above = waiting.pop()
        waiting += (children := [child for child, stat in parents.items() if stat and int(stat[1]) == above])
        found += [(child, stat[19]) for child in children if (stat := parents[child])]
    return found


def left_of(begun: list[tuple[int, str]]) -> list[int]:
    """Which of these still run ten seconds later."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        left = [pid for pid, at in begun if (stat := fields(pid)) and stat[0] != "Z" and stat[19] == at]
        if not left:
            break
        time.sleep(0.05)
    return left


def fields(pid: int) -> list[str]:
    """/proc/PID/stat from the state on; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
