"""The agent as a systemd service: the steps that put it there and take it away again. Deciding is apart from doing.

`plan_install` and `plan_uninstall` give the steps as data; `carry_out` does them, in order, and stops at the first that
fails. Nothing that a truck has sampled is ever removed.
"""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.operations.systemd_unit import NAME, USER, Service, unit_text
from agent.settings import AgentSettings
from contract.errors import MilepostError, Misconfigured

SYSTEM_UNITS = Path("/etc/systemd/system")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. command: argv; path and text: a file to write; path alone: a file to remove."""

    what: str
    command: tuple[str, ...] = ()
    path: Path | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it is installed. units: the folder for units. own: for the calling user's manager, without root.
    running: whether that systemd runs here. has_user: whether the service's user is there."""

    units: Path
    own: bool
    running: bool
    has_user: bool

    @property
    def unit(self) -> Path:
        """The unit's file."""
        return self.units / NAME

    def systemctl(self, *words: str) -> tuple[str, ...]:
        """The command to its manager."""
        return ("systemctl", *(("--user",) if self.own else ()), *words)


def this_machine(*, own: bool) -> Machine:
    """What is here."""
    running = Path("/run/systemd/system").is_dir() and shutil.which("systemctl") is not None
    try:
        pwd.getpwnam(USER)
        has_user = True
    except KeyError:
        has_user = False
    return Machine(Path.home() / ".config/systemd/user" if own else SYSTEM_UNITS, own, running, has_user)


def plan_install(settings: AgentSettings, config: Path | None, machine: Machine) -> list[Step]:
    """The steps. Misconfigured where the settings would mean something else to a service: no file, a relative path."""
    if config is None:
        raise Misconfigured("a service needs a settings file: write /etc/milepost/milepost.toml, or give --config")
    _refuse_relative(settings)
    service = Service(
        truck_id=settings.truck_id,
        python=Path(sys.executable),
        base=Path(sys.base_prefix),
        config=config.resolve(),
        buffer=settings.buffer,
        devices=_devices(settings),
        identity=_identity(settings),
        user=None if machine.own else USER,
    )
    steps = [] if machine.own else _own_user(settings, machine)
    steps.append(Step(f"write {machine.unit}", path=machine.unit, text=unit_text(service)))
    if machine.running:
        steps.append(Step("let systemd read it", machine.systemctl("daemon-reload")))
        steps.append(Step("have it start at every boot", machine.systemctl("enable", NAME)))
        steps.append(Step("start it now, anew if it ran", machine.systemctl("restart", NAME)))
    return steps


def plan_uninstall(machine: Machine) -> list[Step]:
    """The steps; settings, certificates and the buffer stay."""
    if not machine.unit.exists():
        raise Misconfigured(
            f"no unit at {machine.unit}: nothing is installed{'' if machine.own else '; or try --user'}"
        )
    steps = [Step("stop it and keep it from booting", machine.systemctl("disable", "--now", NAME))]
    steps = steps if machine.running else []
    steps.append(Step(f"remove {machine.unit}", path=machine.unit))
    return [*steps, Step("let systemd forget it", machine.systemctl("daemon-reload"))] if machine.running else steps


def carry_out(steps: Sequence[Step], machine: Machine) -> None:
    """Do them. Misconfigured without the right to; MilepostError naming the step that failed."""
    if not machine.own and os.geteuid() != 0:
        raise Misconfigured("a system service needs root: run it with sudo, or give --user for a service of your own")
    for step in steps:
        try:
            _do(step)
        except OSError as error:
            raise MilepostError(f"could not {step.what}: {error}") from error
        except subprocess.CalledProcessError as error:
            raise MilepostError(f"could not {step.what}: {error.stderr.strip() or error}") from error


def unreadable(settings: AgentSettings, config: Path | None) -> list[str]:
    """What the service's user cannot get at, each with its remedy."""
    identity = _identity(settings)
    pem = () if identity else (settings.ca, settings.certificate, settings.key)
    files = [path for path in (config, *pem) if path and path.exists()]
    notes = [f"{path} cannot be read by {USER}: chgrp {USER}, chmod 640" for path in files if not _allows(path, 0o4)]
    python = [Path(sys.executable), Path(sys.base_prefix) / "bin"]
    needed = [*python, settings.buffer.parent, *([identity] if identity else []), *files]
    closed = {_barred(path): path for path in needed}
    closed.pop(None, None)
    notes += [
        f"{path} is out of reach for {USER} in {at}: use /opt or /var/lib/milepost" for at, path in closed.items()
    ]
    return notes


def _barred(path: Path) -> Path | None:
    """The outermost folder around a path that the service's user cannot enter."""
    return next((each for each in reversed(path.parents) if each.exists() and not _allows(each, 0o1)), None)


def _devices(settings: AgentSettings) -> tuple[str, ...]:
    """Serial adapters in the sensors' paths: `/dev/ttyUSB0`, `slcan:/dev/ttyACM0?bitrate=500000`."""
    found = []
    for sensor in settings.sensors:
        path = (sensor.path or "").partition("?")[0]
        if "/dev/" in path:
            found.append(path[path.index("/dev/") :])
    return tuple(found)


def _allows(path: Path, bit: int) -> bool:
    """Whether the service's user, who may not be there yet, has this permission: 4 to read, 1 to enter."""
    state = path.stat()
    granted = state.st_mode
    try:
        user = pwd.getpwnam(USER)
    except KeyError:
        return bool(granted & bit)
    if state.st_uid == user.pw_uid:
        granted |= state.st_mode >> 6
    if state.st_gid == user.pw_gid:
        granted |= state.st_mode >> 3
    return bool(granted & bit)


def _do(step: Step) -> None:
    if step.command:
        subprocess.run(step.command, check=True, capture_output=True, text=True)
    elif step.path and step.text is not None:
        step.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = step.path.with_name(step.path.name + ".new")
        fresh.write_text(step.text)
        fresh.chmod(0o644)
        fresh.replace(step.path)
    elif step.path:
        step.path.unlink(missing_ok=True)


def _identity(settings: AgentSettings) -> Path | None:
    """The folder that `milepost agent enroll` made, in which the agent renews its certificate."""
    certificate = settings.certificate
    return certificate.parents[1] if certificate and certificate.parent.is_symlink() else None


def _own_user(settings: AgentSettings, machine: Machine) -> list[Step]:
    buffer, steps = settings.buffer, []
    folder = buffer.parent
    if not machine.has_user:
        words = ("--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent")
        make = ("useradd", *words, "--shell", "/usr/sbin/nologin", USER)
        steps.append(Step(f"make the user {USER}", make))
    steps.append(Step(f"give {folder} to it", ("install", "-d", "-o", USER, "-g", USER, "-m", "0750", str(folder))))
    if files := sorted(str(path) for path in folder.glob(buffer.name + "*")):
        steps.append(Step("give it the buffer that is there", ("chown", f"{USER}:{USER}", *files)))
    if identity := _identity(settings):
        steps.append(Step("give it the truck's identity", ("chown", "-R", f"{USER}:{USER}", str(identity))))
    return steps


def _refuse_relative(settings: AgentSettings) -> None:
    named = {"buffer": settings.buffer, "ca": settings.ca, "certificate": settings.certificate, "key": settings.key}
    relative = [key for key, path in named.items() if path and not path.is_absolute()]
    if relative:
        raise Misconfigured(
            f"[agent] {', '.join(relative)}: a service needs absolute paths, such as /var/lib/milepost/buffer.db"
        )
