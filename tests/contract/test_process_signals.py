"""Signals reach a process whatever its main thread does (contract.process_signals)."""

import os
import signal
import subprocess
import sys
from threading import Event

import pytest

from contract.process_signals import told

BUSY = """
import hashlib, os, threading
from contract.process_signals import stop_event

stop = stop_event({arguments})
threading.Thread(target=lambda: (stop.wait(), print("stopped", flush=True)), daemon=True).start()
print("ready", flush=True)
hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # minutes of C code: Python runs no handler meanwhile
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_is_heard_while_the_main_thread_runs_no_python(number: int) -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY.format(arguments="")], stdout=subprocess.PIPE, text=True) as busy:
        try:
            assert busy.stdout is not None
            assert busy.stdout.readline() == "ready\n"
            busy.send_signal(number)
            assert busy.stdout.readline() == "stopped\n"
        finally:
            busy.kill()


def test_a_second_signal_ends_a_process_whose_main_thread_runs_no_python() -> None:
    code = BUSY.format(arguments="second_ends=True")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as busy:
        try:
            assert busy.stdout is not None
            assert busy.stdout.readline() == "ready\n"
            busy.send_signal(signal.SIGINT)
            assert busy.stdout.readline() == "stopped\n"
            busy.send_signal(signal.SIGINT)
            assert busy.wait(60) == 1
        finally:
            busy.kill()


def test_closed_it_leaves_the_handlers_that_stood_before() -> None:
    before = signal.getsignal(signal.SIGHUP), signal.getsignal(signal.SIGTERM)
    heard = Event()
    with told({signal.SIGHUP: heard.set}):
        os.kill(os.getpid(), signal.SIGHUP)
        assert heard.wait(60)
    assert (signal.getsignal(signal.SIGHUP), signal.getsignal(signal.SIGTERM)) == before
