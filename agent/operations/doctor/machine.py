"""Checks of the gateway itself: clock, disk, buffer, and what systemd says of the service."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from agent.buffer.connection import NO_ROOM
from agent.buffer.inspection import glance
from agent.buffer.never_stored import holding
from agent.operations.doctor.finding import DoctorFinding
from agent.operations.rendering import held_in_memory
from agent.operations.systemd_unit import NAME
from agent.settings import AgentSettings
from agent.timing.clock import kernel_synchronised
from agent.timing.trusted_time import EARLIEST, LATEST
from contract.errors import Misconfigured

_MEGABYTE = 1024 * 1024
_SLOW_SYNC = 1.0
_WORN = 8
_BACKLOG = 10_000


def clock(settings: AgentSettings) -> Iterator[DoctorFinding]:
    """Whether somebody vouches for the time: the kernel's flag, or a receiver among the sensors."""
    now = datetime.now(UTC)
    if not EARLIEST <= now <= LATEST:
        remedy = "set up NTP (timedatectl set-ntp true) or a gpsd sensor; until then samples wait to be dated"
        yield DoctorFinding("clock", "failed", f"the machine's clock says {now:%F %T} UTC, which cannot be", remedy)
    elif kernel_synchronised():
        yield DoctorFinding("clock", "ok", f"synchronised, {now:%F %T} UTC")
    elif any(sensor.type == "gpsd" for sensor in settings.sensors):
        yield DoctorFinding(
            "clock", "ok", f"{now:%F %T} UTC, not synchronised by NTP: gpsd's fix has to date the samples"
        )
    else:
        remedy = "set up NTP (timedatectl set-ntp true) or a gpsd sensor; until then samples are sent as estimated"
        yield DoctorFinding("clock", "warning", f"{now:%F %T} UTC, and nobody vouches for it", remedy)


def disk(settings: AgentSettings) -> Iterator[DoctorFinding]:
    """Space for the buffer, whether a write gets through and how fast, and what the card says of its age."""
    folder = _existing(settings.buffer.parent)
    free, need = shutil.disk_usage(folder).free / _MEGABYTE, settings.buffer_limit * 1.2
    remedy = f"free some space, or lower [agent] buffer_limit ({settings.buffer_limit:g} MB)"
    yield DoctorFinding(
        "disk space", "ok" if free > need else "failed", f"{free:,.0f} MB free in {folder}", _if(free <= need, remedy)
    )
    yield _write(folder)
    if held := holding(settings.lost_file):
        remedy = f"free some space in {folder} before the agent ends: what is in its memory is lost then"
        yield DoctorFinding("disk", "failed", held_in_memory(asdict(held)), remedy)
    yield from _wear()


def _write(folder: Path) -> DoctorFinding:
    if not os.access(folder, os.W_OK):
        return DoctorFinding(
            "disk", "skipped", f"{folder} is not writable for this user", "run it as root or as the agent's user"
        )
    began = time.monotonic()
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as probe:
            probe.write(b"x" * 4096)
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        remedy = "see dmesg for I/O errors; a card that has gone read-only is worn out: replace it"
        if error.errno in NO_ROOM:
            remedy = f"free some space in {folder}, or raise the quota or limit that its user has"
        return DoctorFinding("disk", "failed", f"a write to {folder} failed: {error}", remedy)
    took = time.monotonic() - began
    remedy = "see dmesg for I/O errors; a slow card is often a worn one"
    return DoctorFinding(
        "disk",
        "ok" if took < _SLOW_SYNC else "warning",
        f"a synced write takes {took * 1000:.0f} ms",
        _if(took >= _SLOW_SYNC, remedy),
    )


def _wear() -> Iterator[DoctorFinding]:
    """eMMC says in tenths of its life how far it is; 0x0b is past the end."""
    for file in sorted(Path("/sys/block").glob("mmcblk*/device/life_time")):
        tenths = max(int(word, 16) for word in file.read_text().split())
        worn = tenths > _WORN
        remedy = "replace the card soon: it has used up most of the writes it was made for"
        yield DoctorFinding(
            "flash wear",
            "warning" if worn else "ok",
            f"{file.parts[3]}: {min(tenths * 10, 100)} % used",
            _if(worn, remedy),
        )


def buffer(settings: AgentSettings) -> Iterator[DoctorFinding]:
    """Whether the file is whole, and how much waits in it."""
    path = settings.buffer
    if not path.exists():
        yield DoctorFinding("buffer", "skipped", f"none yet at {path}", "it is made when the agent first runs")
        return
    try:
        seen = glance(path, check=True)
    except Misconfigured as error:
        remedy = "restart the agent: it sets a damaged file aside and salvages it; without the right to read, use sudo"
        yield DoctorFinding("buffer", "failed", str(error), remedy)
        return
    if seen.damage:
        remedy = "restart the agent: it sets the file aside, salvages what can be read, and goes on"
        yield DoctorFinding("buffer", "failed", f"{path} is damaged: {seen.damage}", remedy)
        return
    found = f"whole; {seen.pending:,} waiting to be sent, {seen.sent:,} sent and kept"
    many = seen.pending > _BACKLOG
    yield DoctorFinding("buffer", "warning" if many else "ok", found, _if(many, "see the checks of the broker below"))
    for aside in sorted(path.parent.glob(f"{path.name}.damaged-*")):
        if not aside.name.endswith(("-wal", "-shm")):
            remedy = "what could be read was salvaged; look at dmesg, then remove the file"
            yield DoctorFinding("buffer", "warning", f"a damaged file was set aside: {aside.name}", remedy)


def service(settings: AgentSettings) -> Iterator[DoctorFinding]:
    """What systemd says."""
    systemctl = shutil.which("systemctl")
    if not systemctl or not Path("/run/systemd/system").is_dir():
        yield DoctorFinding("service", "skipped", "systemd does not run here", "")
        return
    words = ("show", NAME, "--property=LoadState,ActiveState,SubState,NRestarts,Result,StatusText")
    answer = subprocess.run((systemctl, *words), capture_output=True, text=True, timeout=10, check=False).stdout
    said = dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
    line = said.get("StatusText") or said.get("Result", "")
    found = f"{said.get('ActiveState', 'unknown')} ({said.get('SubState', '')}): {line}"
    if said.get("LoadState") != "loaded":
        yield DoctorFinding("service", "warning", "not installed", "sudo milepost agent install")
    elif said.get("ActiveState") != "active":
        yield DoctorFinding("service", "failed", found, f"journalctl -u {NAME} says why; systemctl restart {NAME}")
    elif int(said.get("NRestarts", "0")) > 0:
        yield DoctorFinding(
            "service", "warning", f"{found}; restarted {said['NRestarts']} times", f"journalctl -u {NAME} says why"
        )
    else:
        yield DoctorFinding("service", "ok", found)


def _existing(folder: Path) -> Path:
    return next((each for each in (folder.resolve(), *folder.resolve().parents) if each.exists()), Path("/"))


def _if(wrong: bool, remedy: str) -> str:
    return remedy if wrong else ""
