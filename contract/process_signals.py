"""How a process of Milepost is told things: SIGTERM or SIGINT sets an event, and what runs finishes what it has.

Signals are read from a pipe by a thread. Python's own handlers run in the middle of whatever the main thread does:
setting an event there can wait for ever for the lock of that same event, and a main thread that is just going to sleep
on a lock runs none until it wakes. So the pipe is filled by Python's C handler (`signal.set_wakeup_fd`), at once.
Blocking the signals and waiting for them in a thread would be shorter, but a thread that a library started earlier
does not block them, and the process dies.
"""

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from logging import getLogger
from threading import Event, Thread

log = getLogger(__name__)

_STOP = (signal.SIGTERM, signal.SIGINT)


def told(by_signal: Mapping[int, Callable[[], None]]) -> ExitStack:
    """From now on each signal calls its function, in a thread of its own and one after the other.

    To be called in the main thread: Python lets no other set handlers.

    Args:
        by_signal: what to call, by the signal's number. A function that raises ends the hearing of signals.

    Returns:
        Closed, it lets the earlier handlers stand again; dropped, the signals are heard to the end of the process.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)  # set_wakeup_fd insists

    def listen() -> None:
        with os.fdopen(read, "rb", buffering=0) as pipe:
            while heard := pipe.read(1):
                if call := by_signal.get(heard[0]):
                    call()

    earlier = ExitStack()
    earlier.callback(os.close, write)
    earlier.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(write, warn_on_full_buffer=False))
    for number in by_signal:
        earlier.callback(signal.signal, number, signal.signal(number, lambda _number, _frame: None))
    Thread(target=listen, name="signals", daemon=True).start()
    return earlier


def stop_event(*, second_ends: bool = False) -> Event:
    """An event that SIGTERM and SIGINT set, from now to the end of the process. To be called in the main thread.

    Args:
        second_ends: another signal after the first exits at once, with code 1, for a process that may take long to
            send what is left and loses nothing by being ended; otherwise it changes nothing.

    Returns:
        The event; not set until the first signal.
    """
    stop = Event()

    def end(number: signal.Signals) -> None:
        if not stop.is_set():
            stop.set()
            log.info("stopping signal=%s", number.name)
        elif second_ends:
            os._exit(1)

    told({number: partial(end, number) for number in _STOP})
    return stop
