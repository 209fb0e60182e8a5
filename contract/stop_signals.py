"""How a process of Milepost is stopped: SIGTERM or SIGINT sets an event, and what runs finishes what it has.

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


def stop_event(*, second_ends: bool = False) -> Event:
    """An event that SIGTERM and SIGINT set. To be called in the main thread: Python lets no other set handlers.

    Args:
        second_ends: another signal after the first exits at once, with code 1, for a process that may take long to
            send what is left and loses nothing by being ended; otherwise it changes nothing.

    Returns:
        The event; not set until the first signal.
    """
    stop = Event()
    read, write = os.pipe()

    def listen() -> None:
        name = signal.Signals(os.read(read, 1)[0]).name
        stop.set()
        log.info("stopping signal=%s", name)
        os.read(read, 1)
        if second_ends:
            os._exit(1)

    for number in _SIGNALS:
        signal.signal(number, lambda received, _frame: os.write(write, bytes([received])))
    Thread(target=listen, name="signals", daemon=True).start()
    return stop
