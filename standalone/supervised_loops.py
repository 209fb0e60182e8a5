"""Threads that look after something until the end: one that fails is logged, told by /healthz, and begins again."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

log = logging.getLogger(__name__)

_SHORTEST_SECONDS = 0.5
_LONGEST_SECONDS = 30.0
_CALM_SECONDS = 60.0


class Loops:
    """Runs loops, each on the thread that calls `run`, and knows which of them are failing."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._failing: dict[str, tuple[str, float]] = {}
        self.failures = 0

    def run(self, target: Callable[..., None], *args: Any, stop: threading.Event, **options: Any) -> None:
        """Call `target(*args, stop=stop, **options)` until it returns with `stop` set; after an error, again.

        An error is no end: what it looked after would be alone, and nobody would know.
        """
        name = f"{target.__module__}.{target.__qualname__}"
        wait = _SHORTEST_SECONDS
        while not stop.is_set():
            began = time.monotonic()
            try:
                target(*args, stop=stop, **options)
            except Exception as error:
                log.exception("loop_failed name=%s", name)
                self._note(name, f"{type(error).__name__}: {error}")
            else:
                if stop.is_set():
                    return
                log.error("loop_ended name=%s", name)
                self._note(name, "it ended")
            wait = _SHORTEST_SECONDS if time.monotonic() - began > _CALM_SECONDS else min(wait * 2, _LONGEST_SECONDS)
            stop.wait(wait)

    def failing(self) -> Mapping[str, str]:
        """name → why, of the loops that failed in the last minute."""
        now = time.monotonic()
        with self._guard:
            return {name: why for name, (why, at) in self._failing.items() if now - at < _CALM_SECONDS}

    def _note(self, name: str, why: str) -> None:
        with self._guard:
            self.failures += 1
            self._failing[name] = why, time.monotonic()
