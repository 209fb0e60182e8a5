"""How a simulator is stopped: the first SIGTERM or SIGINT lets it finish and send what is left, the second ends it.

A thread waits for the signals, since a handler would run in the middle of whatever the main thread does: setting an
event there can wait for ever for the lock of that same event.
"""

import os
import signal
from logging import getLogger
from threading import Event, Thread

log = getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def stop_event() -> Event:
    """An event that SIGTERM and SIGINT set; another signal after that exits at once, with code 1.

    To be called in the main thread, before any other thread is started.
    """
    stop = Event()
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def listen() -> None:
        name = signal.Signals(signal.sigwait(_SIGNALS)).name
        stop.set()
        log.info("stopping signal=%s", name)
        signal.sigwait(_SIGNALS)
        os._exit(1)

    Thread(target=listen, name="signals", daemon=True).start()
    return stop
