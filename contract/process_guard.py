"""What a process does before anything else, since it will hold keys and where people were."""

import contextlib
import os
import resource


def guard_process() -> None:
    """Make new files 0600 and new folders 0700, unless a mode is asked for; write no core dump. Children inherit both.

    A core dump of this process, or of the broker that it starts, would hold keys, tokens and positions.
    """
    os.umask(0o077)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
