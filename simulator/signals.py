"""How a simulator is stopped: the first SIGTERM or SIGINT lets it finish and send what is left, the second ends it."""

import os
import signal
from logging import getLogger
from threading import Event

log = getLogger(__name__)


def stop_event() -> Event:
    """An event that SIGTERM and SIGINT set; another signal after that exits at once, with code 1."""
    stop = Event()

    def ask(number: int, _: object) -> None:
        if stop.is_set():
            os._exit(1)
        log.info("stopping signal=%s", signal.Signals(number).name)
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    return stop
