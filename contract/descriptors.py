"""File descriptors: how many this process may have, has, and whether an error says that there are no more."""

import contextlib
import errno
import resource
from pathlib import Path

RESERVED = 256
"""Left to stores, logs, child processes and the broker's connections, whatever the doors hold."""

_MOST = 65536
_LAST_ONES = 16
_OWN_TROUBLE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def raise_limit() -> int:
    """Raise this process' soft limit of descriptors to the hard one, 65,536 at most.

    Returns:
        The limit that now holds, which may be the old one: nothing is raised where the system refuses.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, _MOST) if hard != resource.RLIM_INFINITY else _MOST
    if wanted > soft:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def in_use() -> int:
    """Count the descriptors that this process has open.

    Returns:
        0 where the system does not tell.
    """
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return 0


def are_used_up(pid: int) -> bool:
    """Tell whether a process of this user has no descriptor left for anything new.

    Args:
        pid: of a process that runs.

    Returns:
        True where fewer than 16 are left; False also where the system does not tell.
    """
    try:
        used = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        return used > resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] - _LAST_ONES
    except OSError:
        return False


def is_own_trouble(error: OSError) -> bool:
    """Tell one's own lack of room from a fault of the peer.

    Args:
        error: of a socket call.

    Returns:
        Whether this process or machine has no room left (descriptors, buffers, memory); it says nothing of the peer
        then.
    """
    return error.errno in _OWN_TROUBLE
