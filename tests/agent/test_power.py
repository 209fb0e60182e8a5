"""A power cut: nothing is published that the disk could forget. Watched from outside, by strace, system call by system
call: the mark, which keeps the sample, is synced before the sample goes over the line; and nothing that it keeps is
written over before the file has it, synced."""

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.live import Broker
from tests.agent.process import Process
from tests.waiting import until

STRACE = shutil.which("strace")
CALLS = "pwrite64,write,fdatasync,fsync,sendto,sendmsg"
TRACE = ("-f", "-y", "-s", "70000", "-e", f"trace={CALLS}", "-e", "signal=none")
_CALL = re.compile(r"^(\d+) +(\w+)\(\d+<([^>]*)>(.*)$", re.DOTALL)
_SEQ = re.compile(r'\\"seq\\":(\d+),')
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>")


@pytest.fixture
def agent(broker: Broker, tmp_path: Path) -> Iterator[Process]:
    """An agent that samples 20 times a second."""
    if not STRACE:
        pytest.skip("strace is not installed: apt-get install strace")
    process = Process(tmp_path / "truck", broker.url, interval=0.05)
    yield process
    process.kill()


def _events(trace: Path) -> list[tuple[str, str, str]]:
    """(call, file, data) in order; a sync counts when it has returned, anything else when it begins."""
    found: list[tuple[str, str, str]] = []
    open_calls: dict[str, tuple[str, str]] = {}
    for line in trace.read_text(errors="replace").splitlines():
        if resumed := _RESUMED.match(line):
            if resumed[1] in open_calls:
                found.append((*open_calls.pop(resumed[1]), ""))
            continue
        if not (match := _CALL.match(line)):
            continue
        thread, call, file, rest = match.groups()
        name = "socket" if "socket" in file or "TCP" in file else Path(file).name
        if call in ("fdatasync", "fsync"):
            if rest.endswith("<unfinished ...>"):
                open_calls[thread] = ("sync", name)
            else:
                assert rest.endswith("= 0"), line
                found.append(("sync", name, ""))
        else:
            found.append(("send" if name == "socket" else "write", name, rest))
    return found


def _first(events: list[tuple[str, str, str]], call: str, name: str, text: str, after: int = 0) -> int:
    for number in range(after, len(events)):
        if events[number][:2] == (call, name) and text in events[number][2]:
            return number
    raise AssertionError(f"no {call} of {text} on {name} after call {after}")


def test_nothing_is_published_before_the_sync_of_its_commit_has_returned(agent: Process, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    agent.start(prefix=("strace", *TRACE, "-o", str(trace)))
    try:
        until(lambda: (seen := agent.glance()) and seen.sent >= 60)
    finally:
        time.sleep(0.1)
        assert agent.process
        tracer = agent.process.pid
        (traced,) = Path(f"/proc/{tracer}/task/{tracer}/children").read_text().split()
        os.kill(int(traced), signal.SIGTERM)  # strace itself would only let go of it
        agent.process.communicate(timeout=20)
        agent.process = None
    events = _events(trace)
    checked = 0
    for seq in range(1, 21):
        told = rf"\"seq\":{seq},"
        written = _first(events, "write", "buffer.db.stream", told)
        synced = _first(events, "sync", "buffer.db.stream", "", written)
        sent = _first(events, "send", "socket", told)
        assert written < synced < sent, f"sample {seq}"
        checked += 1
    anew = _first(events, "write", "buffer.db.stream", ", 0) = ", _first(events, "write", "buffer.db.stream", told))
    last = max(
        int(found) for _, name, data in events[:anew] if name == "buffer.db.stream" for found in _SEQ.findall(data)
    )
    stored = _first(events, "write", "buffer.db-wal", rf"\"seq\":{last},")
    assert stored < _first(events, "sync", "buffer.db-wal", "", stored) < anew
    print(f"\n{checked} samples: mark, sync, publish, in this order, in {len(events)} system calls")
