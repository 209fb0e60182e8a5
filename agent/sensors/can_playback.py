"""A recording as a bus: python-can's readers, played round and round at the pace of their stamps.

For trials on a desk: the live sensors run as they do on a truck. What is sent is swallowed.
"""

import math
import time
from collections.abc import Generator

import can

from agent.sensors.recording_clock import Tape

_LEAST_LAP = 0.1
"""Seconds that a recording takes at least, were it a single frame."""


class CaptureBus:
    """Implements agent.sensors.can_address.Bus for a file. Raises OSError or ValueError when it cannot be read.

    Pauses of more than a minute are cut out, and stamps that go back do not stop it (see tape.py).
    """

    def __init__(self, path: str, *, speed: float = 1.0) -> None:
        self._path, self._speed = path, speed
        self._messages = self._play()
        self._next: tuple[float, can.Message] | None = None

    def recv(self, timeout: float | None = None) -> can.Message | None:
        """The next message when it is due, or None after `timeout` seconds."""
        until = time.monotonic() + (timeout or 0.0)
        due, message = self._next or next(self._messages)
        if due > until:
            self._next = due, message
            time.sleep(max(0.0, until - time.monotonic()))
            return None
        self._next = None
        time.sleep(max(0.0, due - time.monotonic()))
        return message

    def send(self, message: can.Message, timeout: float | None = None, /) -> None:
        """Goes nowhere."""

    def shutdown(self) -> None:
        """Lets go of the file."""
        self._messages.close()

    def _play(self) -> Generator[tuple[float, can.Message], None, None]:
        start = time.monotonic()
        while True:
            heard = 0
            with can.LogReader(self._path) as reader:
                tape = Tape((message.timestamp, message) for message in reader)
                while not tape.finished:
                    for at, message in tape.until(math.inf):
                        heard += 1
                        yield start + at / self._speed, message
                    start += max(tape.now / self._speed, _LEAST_LAP)
                    tape.turn()
            if not heard:
                raise ValueError(f"{self._path} holds no CAN frames")
