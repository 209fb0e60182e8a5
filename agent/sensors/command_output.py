"""`type = "exec"`: a program of the fleet's own, run once an interval; its last line of output is a JSON object.

The program can do nothing to the truck's samples but be missing from them: it runs beside the sampling, it is killed
with all that it started when it takes longer than its time limit, and what it prints beyond MOST_OUTPUT ends it. What
it says is `stale` after two intervals without a new line, and `error` where it failed.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from logging import getLogger

from agent.sensors import Reading
from agent.sensors.device_thread import Link
from agent.sensors.fields import CUSTOM_AT_MOST, Reason
from agent.sensors.plausibility import PositionRule
from agent.sensors.targets import TARGETS, put, wrong_target
from agent.sensors.uptime import uptime
from contract.codec import Json, parse
from contract.errors import Misconfigured

log = getLogger(__name__)

MOST_OUTPUT = 64 * 1024
"""Bytes of one run."""
MOST_TARGETS = len(TARGETS) + CUSTOM_AT_MOST
"""Fields of one program, also over all of its runs: each that it said once is missed in every sample after that."""
_SLACK = 5.0
_PIECE = 4096
_LOOK = 0.02
_TOO_LONG = "took longer than its time_limit and was killed"


class CommandSensor:
    """Implements agent.sensors.Listening.

    Args:
        path: none; what is run stands in `command`.
        interval: seconds between two reads, and between two runs.
        command: the program and its arguments, run without a shell.
        time_limit: seconds that one run may take.
        map: key of the output → field of the wire or `custom.NAME`; a key without an entry is taken for such a name.

    Raises:
        Misconfigured: no command, or a map that names no field.
    """

    def __init__(
        self,
        path: str | None,
        *,
        interval: float,
        command: Sequence[str] = (),
        time_limit: float = 10.0,
        map: Mapping[str, str] | None = None,
    ) -> None:
        refuse_what_cannot_be(path, command, map or {})
        self.heard: float | None = None
        self._command, self._interval, self._limit = list(command), interval, time_limit
        self._map = dict(map or {})
        self._targets: dict[str, None] = dict.fromkeys(self._map.values())
        self._said: tuple[float, dict[str, Json]] | None = None
        self._unknown: set[str] = set()
        self._position = PositionRule()
        self._link = Link(f"exec {self._command[0]}", self._serve)
        self._link.start()

    def read(self, now: datetime) -> Reading:
        """What it said last, as far as that is fresh."""
        values: dict[str, object] = {}
        quality: dict[str, Reason] = {}
        said, at = self._said, uptime()
        if self._link.failing or said is None or at - said[0] > 2 * self._interval + self._limit + _SLACK:
            why: Reason = "error" if self._link.failing else "not_available" if said is None else "stale"
            return Reading({}, dict.fromkeys(self._targets, why))
        for target in self._targets:
            put(target, said[1].get(target), values, quality)
        self._position.apply(at, values, quality)
        return Reading(values, dict(quality))

    def close(self) -> None:
        """Ends the thread, and what it runs."""
        self._link.close()

    def _serve(self, link: Link) -> None:
        while not link.closing:
            began = time.monotonic()
            self._file(_last_object(_run(self._command, self._limit, link)))
            link.alive()
            self.heard = self.heard or uptime()
            link.wait(self._interval - (time.monotonic() - began))

    def _file(self, document: Mapping[str, Json]) -> None:
        said: dict[str, Json] = {}
        for key, value in document.items():
            target = self._map.get(key, key)
            if wrong := wrong_target(target):
                self._complain(key, wrong)
                continue
            if target not in self._targets and len(self._targets) >= MOST_TARGETS:
                self._complain(key, f"{key!r}: {MOST_TARGETS} fields are all that one program may have")
                continue
            said[target] = value
            self._targets.setdefault(target)
        self._said = (uptime(), said)

    def _complain(self, key: str, wrong: str) -> None:
        """Once for each key, and not for ever new ones."""
        if key not in self._unknown and len(self._unknown) < 32:
            self._unknown.add(key)
            log.warning("sensor_key_ignored command=%s reason=%r", self._command[0], wrong)


def refuse_what_cannot_be(path: str | None, command: Sequence[str], map: Mapping[str, str]) -> None:
    """Look at the table's keys; nothing is run.

    Args:
        path: none.
        command: the program and its arguments.
        map: key → target.

    Raises:
        Misconfigured: as CommandSensor does.
    """
    if not command or path:
        raise Misconfigured('[[agent.sensors]] type="exec" needs command = ["PROGRAM", "ARGUMENT", …], and no path.')
    for target in map.values():
        if wrong := wrong_target(target):
            raise Misconfigured(f'[[agent.sensors]] type="exec" map: {wrong}.')


def _run(command: list[str], limit: float, link: Link) -> bytes:
    """What it printed. Raises OSError and ValueError for whatever went wrong, after it has ended."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    assert process.stdout
    deadline = time.monotonic() + limit
    try:
        output = _output(process.stdout.fileno(), deadline, link)
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None and not link.closing:
            if time.monotonic() > deadline:
                raise ValueError(_TOO_LONG)
            link.wait(_LOOK)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # before it is waited for, so that the number is still its own
        process.stdout.close()
        code = process.wait()
    if code:
        raise ValueError(f"ended with code {code}")
    return output


def _output(pipe: int, deadline: float, link: Link) -> bytes:
    output = b""
    while not link.closing:
        left = deadline - time.monotonic()
        if left <= 0:
            raise ValueError(_TOO_LONG)
        if not select.select([pipe], [], [], min(left, 0.25))[0]:
            continue
        piece = os.read(pipe, _PIECE)
        output += piece
        if not piece:
            return output
        if len(output) > MOST_OUTPUT:
            raise ValueError(f"printed more than {MOST_OUTPUT} bytes and was killed")
    return output


def _last_object(output: bytes) -> dict[str, Json]:
    lines = [line for line in output.splitlines() if line.strip()]
    document = parse(lines[-1]) if lines else None
    if not isinstance(document, dict):
        raise ValueError("the last line of its output is no JSON object")
    return document
