"""`python -m agent` that kills itself at one exact moment: SIGKILL, nothing is flushed, nobody is told.

    python -m tests.agent.kamikaze MOMENT COUNT --config FILE

MOMENT: `committed` = the COUNT-th sample has its number and was not handed to the transport; `published` = the COUNT-th
message was handed over and no answer seen; `marked` = the COUNT-th time that samples were marked as sent.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.__main__ import run
from agent.buffer.sqlite import SqliteBuffer
from agent.transport.paho import PahoTransport

MOMENTS: dict[str, tuple[type, str]] = {
    "committed": (SqliteBuffer, "append"),
    "published": (PahoTransport, "publish"),
    "marked": (SqliteBuffer, "mark_sent"),
}


def main() -> int:
    """Until it dies."""
    moment, count, _, config = sys.argv[1:]
    owner, name = MOMENTS[moment]
    act: Callable[..., Any] = getattr(owner, name)
    left = [int(count)]

    def and_die(*args: Any, **more: Any) -> Any:
        result = act(*args, **more)
        left[0] -= 1
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, and_die)
    return run(Path(config), as_json=True)


if __name__ == "__main__":
    sys.exit(main())
