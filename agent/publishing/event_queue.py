"""What the transport's thread has to tell the agent's one, which sleeps on it."""

from collections import deque
from queue import Empty, SimpleQueue

from agent.transport import Event


class EventQueue:
    """Events in the order in which they came."""

    def __init__(self) -> None:
        self._came: SimpleQueue[Event | None] = SimpleQueue()
        self._left: deque[Event] = deque()  # what came during `sleep`

    def put(self, event: Event | None) -> None:
        """Something has happened; None only wakes whoever sleeps. Safe from any thread."""
        self._came.put(event)

    def next(self, seconds: float) -> Event | None:
        """The next event, or None after so many seconds without one, or where it was only woken."""
        if self._left:
            return self._left.popleft()
        try:
            return self._came.get(timeout=seconds) if seconds > 0 else self._came.get_nowait()
        except Empty:
            return None

    def sleep(self, seconds: float) -> None:
        """Wait for an event, which is left for `next`, so many seconds at most."""
        try:
            event = self._came.get(timeout=max(0.0, seconds))
        except Empty:
            return
        if event is not None:
            self._left.append(event)
