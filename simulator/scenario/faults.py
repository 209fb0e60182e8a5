"""What can go wrong, each a function that makes it so, waits, and mends it. Real means throughout: signals, sockets,
files, SQLite's own lock, certificates that have run out.

Each takes what it needs from the stage and the fault, returns what it did in a few words, and raises FaultMissing where
it could not be made: a scenario whose fault never came proves nothing.
"""

import contextlib
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from contract.errors import MilepostError
from simulator import sent_ledger
from simulator.scenario.file import PlannedFault
from simulator.scenario.installation import Installation
from simulator.scenario.line import Faults, Line
from simulator.scenario.network_namespace import NetworkNamespace

_SLICE_S = 0.2
_BACK_S = 30.0
_BALLAST_CHUNK = 1 << 16


class FaultMissing(MilepostError):
    """A fault could not be made; the message says why."""


@dataclass(slots=True)
class Stage:
    """Where faults happen.

    stop: ends a wait early. drive: starts the trucks again as they were started. renew: issues new certificates.
    expire_at: when those of the trucks run out (time.monotonic). stream: between broker and collector. network: the
    trucks' own, where they have one.
    """

    installation: Installation
    line: Line
    stop: Event
    drive: Callable[[], None]
    renew: Callable[[], None]
    expire_at: float = 0.0
    stream: Line | None = None
    network: NetworkNamespace | None = None


def make(stage: Stage, fault: PlannedFault) -> str:
    """Make one fault, for as long as it lasts; what was done."""
    return _KINDS[fault.kind](stage, fault)


def _broker_killed(stage: Stage, fault: PlannedFault) -> str:
    """SIGKILL, and with `forget` also what it had written: sessions, queues and retained messages are gone."""
    pid = stage.installation.pids()["mosquitto"]
    database = stage.installation.data_dir / "broker" / "mosquitto.db"
    stage.installation.signal("mosquitto", signal.SIGKILL)
    if fault.forget:
        database.unlink(missing_ok=True)
    until = time.monotonic() + _BACK_S
    while stage.installation.pids().get("mosquitto") in (pid, None):
        if time.monotonic() > until:
            raise FaultMissing("the broker did not come back")
        time.sleep(0.05)
    stage.stop.wait(fault.seconds)
    return "killed, its memory lost" if fault.forget else "killed"


def _partition(stage: Stage, fault: PlannedFault) -> str:
    stage.line.faults = Faults(silent=True)
    stage.stop.wait(fault.seconds)
    stage.line.faults = Faults()
    done = stage.line.done
    return f"{done.connections} connections so far, what they sent held back {done.silent_seconds:.0f} s in all"


def _outage(stage: Stage, fault: PlannedFault) -> str:
    """Nobody is connected and nobody can connect; then everybody may at once."""
    stage.line.faults = Faults(closed=True)
    stage.line.cut_all()
    stage.stop.wait(fault.seconds)
    waiting = sent_ledger.progress(stage.installation.ledger).get("pending", 0)
    stage.line.faults = Faults()
    return f"all cut off, until {waiting:,} samples waited"


def _slow_line(stage: Stage, fault: PlannedFault) -> str:
    stage.line.faults = Faults(delay=fault.delay_ms / 1000, rate=fault.bytes_per_second, cut=fault.cut)
    stage.stop.wait(fault.seconds)
    stage.line.faults = Faults()
    return f"{fault.delay_ms:g} ms later, {fault.bytes_per_second:g} bytes a second, {stage.line.done.cut} broken off"


def _narrow_link(stage: Stage, fault: PlannedFault) -> str:
    network = _network(stage)
    network.narrow(fault.bytes_per_second)
    stage.stop.wait(fault.seconds)
    dropped = network.dropped()
    network.narrow(0)
    if not dropped:
        raise FaultMissing(f"{fault.bytes_per_second:g} bytes a second were enough: no packet was dropped")
    return f"{fault.bytes_per_second:g} bytes a second for all, {dropped} packets dropped"


def _link_down(stage: Stage, fault: PlannedFault) -> str:
    network = _network(stage)
    network.set_up(up=False)
    stage.stop.wait(fault.seconds)
    network.set_up(up=True)
    return "the cable pulled out"


def _network(stage: Stage) -> NetworkNamespace:
    if stage.network is None:
        raise FaultMissing("the trucks have no network of their own")
    return stage.network


def _disorder(stage: Stage, fault: PlannedFault) -> str:
    stage.line.faults = Faults(double=fault.double, reorder=fault.reorder)
    stage.stop.wait(fault.seconds)
    stage.line.faults = Faults()
    if not stage.line.done.doubled + stage.line.done.reordered:
        raise FaultMissing("no message was doubled or put out of order")
    return f"{stage.line.done.doubled} doubled, {stage.line.done.reordered} out of order"


def _slow_store(stage: Stage, fault: PlannedFault) -> str:
    """Another process holds SQLite's write lock for most of the time."""
    until = time.monotonic() + fault.seconds
    held = 0
    with contextlib.closing(sqlite3.connect(stage.installation.store, isolation_level=None, timeout=10)) as other:
        while time.monotonic() < until and not stage.stop.is_set():
            other.execute("BEGIN IMMEDIATE")
            held += 1
            time.sleep(_SLICE_S * fault.busy)
            other.execute("ROLLBACK")
            time.sleep(_SLICE_S * (1 - fault.busy))
    return f"its lock held {held} times"


def _throttled_stream(stage: Stage, fault: PlannedFault) -> str:
    if stage.stream is None:
        raise FaultMissing("there is no stream between doors and collector")
    stage.stream.faults = Faults(rate=fault.bytes_per_second)
    stage.stop.wait(fault.seconds)
    stage.stream.faults = Faults()
    return f"{fault.bytes_per_second:g} bytes a second into the stream"


def _full_disk(stage: Stage, fault: PlannedFault) -> str:
    """A file takes all that is left of the service's own disk."""
    ballast = stage.installation.data_dir / "ballast"
    if not _own_disk(stage.installation.data_dir):
        raise FaultMissing(f"{stage.installation.data_dir} is no disk of its own: it would fill this machine's")
    written = 0
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            written += file.write(b"\0" * _BALLAST_CHUNK)
    try:
        until = time.monotonic() + fault.seconds
        while time.monotonic() < until and not stage.stop.is_set():
            _fill_up(ballast)
            time.sleep(_SLICE_S)
        left = shutil.disk_usage(stage.installation.data_dir).free
    finally:
        ballast.unlink()
    return f"{written:,} bytes of ballast, {left:,} free"


def _own_disk(folder: Path) -> bool:
    return folder.stat().st_dev != folder.parent.stat().st_dev


def _fill_up(ballast: Path) -> None:
    """What others have given back meanwhile is taken too."""
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(b"\0" * 512)


def _certificates_expired(stage: Stage, fault: PlannedFault) -> str:
    """They have run out when the trucks are cut off; after `seconds` the operator issues new ones."""
    stage.stop.wait(max(0.0, stage.expire_at - time.monotonic()))
    stage.line.cut_all()
    before = stage.line.done.connections
    stage.stop.wait(fault.seconds)
    tried = stage.line.done.connections - before
    online = sent_ledger.progress(stage.installation.ledger).get("online", 0)
    if not tried or online:
        raise FaultMissing(f"{tried} attempts with old certificates, and {online} trucks connected by them")
    stage.renew()
    return f"{tried} attempts with certificates that have run out, then new ones"


def _service_killed(stage: Stage, fault: PlannedFault) -> str:
    """SIGKILL of `milepost up`, with which its broker dies; started again by its operator."""
    stage.installation.kill("up")
    stage.stop.wait(fault.seconds)
    stage.installation.start()
    return "killed and started again"


def _trucks_killed(stage: Stage, fault: PlannedFault) -> str:
    """All trucks lose their power at once, and start again on what they have on disk."""
    stage.installation.kill("trucks")
    stage.stop.wait(fault.seconds)
    stage.drive()
    return "killed and started again"


_KINDS: dict[str, Callable[[Stage, PlannedFault], str]] = {
    "broker_killed": _broker_killed,
    "partition": _partition,
    "outage": _outage,
    "slow_line": _slow_line,
    "disorder": _disorder,
    "slow_store": _slow_store,
    "throttled_stream": _throttled_stream,
    "full_disk": _full_disk,
    "certificates_expired": _certificates_expired,
    "service_killed": _service_killed,
    "trucks_killed": _trucks_killed,
    "narrow_link": _narrow_link,
    "link_down": _link_down,
}
