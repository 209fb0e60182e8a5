"""Which process has a buffer open, from the kernel's list of locks: looking takes no lock, so it disturbs nobody."""

import os
from pathlib import Path

PROC = Path("/proc")


def holder(buffer: Path) -> int | None:
    """The process id of the agent that runs on `buffer`; None where none does, or it cannot be told."""
    lock = buffer.with_name(buffer.name + ".lock")
    try:
        file = _as_locked(lock)
        lines = (PROC / "locks").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        words = line.split()  # 1: FLOCK  ADVISORY  WRITE 4711 08:01:12345 0 EOF
        if len(words) > 5 and words[1] == "FLOCK" and words[5] == file:
            return int(words[4])
    return None


def _as_locked(lock: Path) -> str:
    """As the list names a file. The device is its mount's: on overlay and btrfs `stat` tells another one."""
    handle = os.open(lock, os.O_PATH | os.O_CLOEXEC)
    try:
        inode = os.fstat(handle).st_ino
        said = dict(line.split(":", 1) for line in (PROC / f"self/fdinfo/{handle}").read_text().splitlines())
    finally:
        os.close(handle)
    mounts = (line.split() for line in (PROC / "self/mountinfo").read_text().splitlines())
    device = next((mount[2] for mount in mounts if mount[0] == said["mnt_id"].strip()), "0:0")
    major, minor = map(int, device.split(":"))
    return f"{major:02x}:{minor:02x}:{inode}"
