"""A recording of the raw CAN frames on this truck's lines: candump's log format, gzipped, of bounded time and size.

Each line is opened beside the sensor that listens on it. SocketCAN gives every listener all frames; an adapter on a
serial line has one reader only, so it is left to its sensor.
"""

import threading
import time
import zlib
from collections.abc import Sequence
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.sensors.can_address import CAPTURE, CanAddress, parse_address
from agent.settings import AgentSettings

if TYPE_CHECKING:
    import can

log = getLogger(__name__)

MOST_BYTES = 1_000_000
PIECE_BYTES = 3000
"""Of a recording in one report, which then stays under 5 KB, by which AWS IoT counts messages."""
KEPT = 3
_CAN_SENSORS = ("j1939", "obd2", "can")
_SHARED = ("socketcan", CAPTURE, "udp_multicast", "virtual")
_IN_ZLIB = 80_000
"""Bytes that the compressor may still hold back."""
_POLL = 0.1


class NoLine(Exception):
    """There is nothing to record from; says why."""


def lines_of(settings: AgentSettings) -> list[CanAddress]:
    """The CAN lines of the settings that can have a second listener.

    Args:
        settings: with sensors, maybe of a bus.

    Returns:
        Each line once, at least one.

    Raises:
        NoLine: there is none.
    """
    found = {one.path: parse_address(one.type, one.path) for one in settings.sensors if one.type in _CAN_SENSORS}
    shared = [address for address in found.values() if address.interface in _SHARED]
    if not found:
        raise NoLine("no CAN line is configured: add [[agent.sensors]] of type j1939, obd2 or can")
    if not shared:
        raise NoLine(f"{', '.join(map(str, found.values()))} can have one listener only, and the sensor is that")
    return shared


class Recording:
    """The file of one recording while it is made. Safe for several threads."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(exist_ok=True)
        self._file = file.open("wb")
        self._packer = zlib.compressobj(wbits=31)
        self._guard = threading.Lock()
        self.frames = self.bytes = 0
        self.full = False

    def add(self, line: str) -> None:
        """One frame; nothing any more once the file is as large as it may get."""
        with self._guard:
            if self.full:
                return
            self.frames += 1
            self._put(self._packer.compress(line.encode("ascii", "replace")))
            self.full = self.bytes > MOST_BYTES - _IN_ZLIB

    def close(self) -> None:
        """Finish the file."""
        with self._guard:
            try:
                self._put(self._packer.flush())
            finally:
                self.full = True
                self._file.close()

    def _put(self, packed: bytes) -> None:
        self._file.write(packed)
        self.bytes += len(packed)


def record(lines: Sequence[CanAddress], seconds: float, file: Path) -> dict[str, Any]:
    """Record, and return when it is done.

    Args:
        lines: at least one.
        seconds: how long.
        file: what is written; of others beside it the newest are kept.

    Returns:
        frames, seconds, bytes, lines, and `cut` where the file was full before the time was over.

    Raises:
        OSError: a line or the disk failed and nothing was heard on any line.
    """
    began, recording = time.monotonic(), Recording(file)
    failed: dict[str, BaseException] = {}

    def listen(line: CanAddress) -> None:
        try:
            _listen(line, recording, began + seconds)
        except Exception as error:  # a thread's door: drivers raise what they like, and the other lines go on
            log.exception("snapshot_failed line=%s", line)
            failed[str(line)] = error

    threads = [threading.Thread(target=listen, args=(line,), daemon=True) for line in lines]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        recording.close()
    _prune(file.parent)
    reasons = {line: f"{type(error).__name__}: {error}"[:200] for line, error in failed.items()}
    if failed and not recording.frames:
        raise OSError("; ".join(f"{line}: {reason}" for line, reason in reasons.items()))
    took = time.monotonic() - began
    told: dict[str, Any] = {"frames": recording.frames, "seconds": round(took, 1), "bytes": recording.bytes}
    told |= {"lines": [str(line) for line in lines]} | ({"failed": reasons} if reasons else {})
    return told | ({"cut": True} if took < seconds - 1 and not reasons else {})


def pieces_of(file: Path) -> int:
    """In how many reports a recording travels."""
    return -(-file.stat().st_size // PIECE_BYTES)


def piece(file: Path, number: int) -> bytes:
    """One of them. OSError where the file is gone. number: from 1."""
    with file.open("rb") as recording:
        recording.seek((number - 1) * PIECE_BYTES)
        return recording.read(PIECE_BYTES)


def _listen(line: CanAddress, recording: Recording, until: float) -> None:
    bus = line.open()
    name = "".join(one if one.isalnum() else "_" for one in line.channel)[-15:]
    try:
        while time.monotonic() < until and not recording.full:
            message = bus.recv(_POLL)
            if message is not None and not message.is_error_frame:
                recording.add(_written(message, name))
    finally:
        bus.shutdown()


def _written(message: "can.Message", name: str) -> str:
    """As `candump -L` writes it."""
    identifier = f"{message.arbitration_id:0{8 if message.is_extended_id else 3}X}"
    data = bytes(message.data).hex().upper()
    if message.is_remote_frame:
        body = "#R"
    elif message.is_fd:
        body = f"##{message.bitrate_switch | message.error_state_indicator << 1:X}{data}"
    else:
        body = f"#{data}"
    return f"({message.timestamp or time.time():.6f}) {name} {identifier}{body}\n"


def _prune(folder: Path) -> None:
    newest = sorted(folder.glob("*.log.gz"), key=lambda one: one.stat().st_mtime, reverse=True)
    for old in newest[KEPT:]:
        old.unlink(missing_ok=True)
