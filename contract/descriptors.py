"""File descriptors: how many this process may have, has, and whether an error says that there are no more."""

import contextlib
import errno
import resource
from pathlib import Path

RESERVED = 256
"""Left to stores, logs, child processes and the broker's connections, whatever the doors hold."""

_MOST = 65536
_OWN_TROUBLE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def raise_limit() -> int:
    """Raise this process' soft limit of descriptors to the hard one (65,536 at most); the limit that now holds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, _MOST) if hard != resource.RLIM_INFINITY else _MOST
    if wanted > soft:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def in_use() -> int:
    """Descriptors that this process has open; 0 where the system does not tell."""
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return 0


def is_own_trouble(error: OSError) -> bool:
    """Whether an error of a socket says that this process or machine has no room left, and nothing of the peer."""
    return error.errno in _OWN_TROUBLE
