"""How a simulator is stopped: the first SIGTERM or SIGINT lets it finish and send what is left, the second ends it.

The handler only writes to a pipe that a thread reads: a handler runs in the middle of whatever the main thread does,
and setting an event there can wait for ever for the lock of that same event. Blocking the signals and waiting for them
in a thread would be shorter, but a thread that a library started earlier does not block them, and the process dies.
"""

import os
import signal
from logging import getLogger
from threading import Event, Thread

log = getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def stop_event() -> Event:
    """An event that SIGTERM and SIGINT set; another signal after that exits at once, with code 1.

    To be called in the main thread (Python allows no other to set handlers).
    """
    stop = Event()
    read, write = os.pipe()

    def listen() -> None:
        name = signal.Signals(os.read(read, 1)[0]).name
        stop.set()
        log.info("stopping signal=%s", name)
        os.read(read, 1)
        os._exit(1)

    for number in _SIGNALS:
        signal.signal(number, lambda received, _frame: os.write(write, bytes([received])))
    Thread(target=listen, name="signals", daemon=True).start()
    return stop
