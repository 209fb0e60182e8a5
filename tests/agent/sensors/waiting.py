"""Waits for a condition with a deadline."""

import time
from collections.abc import Callable


def expect(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Returns once the condition holds; fails when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)
