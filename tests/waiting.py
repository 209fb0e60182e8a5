"""Waiting for what another thread or process does, with one limit for all tests: only what hangs reaches it."""

import time
from collections.abc import Callable
from typing import Any

_LIMIT_SECONDS = 90.0  # under the 180 s after which pytest ends a test


def until(condition: Callable[[], Any], seconds: float = _LIMIT_SECONDS) -> Any:
    """Wait until a condition holds.

    Args:
        condition: asked again and again, on this thread.
        seconds: the limit, for what takes minutes by its nature.

    Returns:
        What the condition said, which is true.

    Raises:
        AssertionError: it did not hold in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        if found := condition():
            return found
        now = time.monotonic()
        assert now < deadline, f"not within {seconds:g} s: {condition.__doc__ or condition}"
        time.sleep(max(0.01, min(now - asked, 1.0)))  # half of the time, and more, is for what is waited for
