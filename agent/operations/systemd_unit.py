"""The systemd unit of the agent, as text: what it runs, as whom, and what it may touch. Pure.

Two things here are not what a hardening guide would say. The clock's seccomp filter must not take adjtimex away, by
which the agent asks the kernel whether its time is to be believed (reading needs no privilege); so there is no
ProtectClock and the call is named. And a watchdog that is not fed ends in SIGTERM, not SIGABRT, so that an agent whose
disk is full, but which runs, can still say what it could never store.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

NAME = "milepost-agent.service"
USER = "milepost"
WATCHDOG_SECONDS = 120
_STATE = PurePath("/var/lib")
_HOMES = ("/home", "/root", "/run/user")


@dataclass(frozen=True, slots=True)
class Service:
    """What a unit is made of. python: the interpreter that has Milepost. base: where Python itself lies, which a
    virtual environment only points to. devices: character devices that a sensor reads, such as /dev/ttyACM0. identity:
    the folder in which the agent renews its certificate, if it was enrolled. user: None for a unit of the calling
    user's own manager."""

    truck_id: str
    python: Path
    base: Path
    config: Path
    buffer: Path
    devices: tuple[str, ...] = ()
    identity: Path | None = None
    user: str | None = USER


def unit_text(service: Service) -> str:
    """The file's content."""
    sections = {
        "Unit": [
            f"Description=Milepost agent of truck {service.truck_id}",
            "After=local-fs.target gpsd.service",
            "StartLimitIntervalSec=0",
        ],
        "Service": [*_process(service), *(_fence(service) if service.user else ["NoNewPrivileges=yes"])],
        "Install": [f"WantedBy={'multi-user.target' if service.user else 'default.target'}"],
    }
    written = (f"[{name}]\n" + "\n".join(lines) + "\n" for name, lines in sections.items())
    return "# Written by `milepost agent install`; changes belong into a drop-in: systemctl edit.\n\n" + "\n".join(
        written
    )


def _process(service: Service) -> list[str]:
    return [
        "Type=notify",
        "NotifyAccess=main",
        f"ExecStart={_word(service.python)} -m agent --config {_word(service.config)}",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "WorkingDirectory=/",
        "Environment=PYTHONUNBUFFERED=1",
        "Restart=always",
        "RestartSec=5",
        f"WatchdogSec={WATCHDOG_SECONDS}",
        "WatchdogSignal=SIGTERM",
        "TimeoutStartSec=90",
        "TimeoutStopSec=20",
        "UMask=0027",
    ]


def _fence(service: Service) -> list[str]:
    return [
        f"User={service.user}",
        f"Group={service.user}",
        *_writable(service.buffer.parent),
        *([f"ReadWritePaths={_word(service.identity)}"] if service.identity else []),
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "ProtectSystem=strict",
        f"ProtectHome={_homes((service.python, service.base, service.config, service.buffer, service.identity))}",
        "PrivateTmp=yes",
        "DevicePolicy=closed",
        *(f"DeviceAllow={device} rw" for device in service.devices),
        *(["SupplementaryGroups=dialout"] if service.devices else []),
        "ProtectHostname=yes",
        "ProtectKernelTunables=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelLogs=yes",
        "ProtectControlGroups=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_CAN",
        "RestrictNamespaces=yes",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
        "LockPersonality=yes",
        "SystemCallArchitectures=native",
        "SystemCallFilter=@system-service",
        "SystemCallFilter=adjtimex clock_adjtime",
    ]


def _writable(folder: Path) -> list[str]:
    if folder.is_relative_to(_STATE) and folder != Path(_STATE):
        return [f"StateDirectory={_escape(str(folder.relative_to(_STATE)))}", "StateDirectoryMode=0750"]
    return [f"ReadWritePaths={_word(folder)}"]


def _homes(paths: Iterable[Path | None]) -> str:
    """Hidden, unless what the service needs lies there: then to be read."""
    inside = any(str(path).startswith(home + "/") for path in paths for home in _HOMES)
    return "read-only" if inside else "yes"


def _word(path: Path) -> str:
    text = _escape(str(path))
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if set(text) & set(" \t\"\\'") else text


def _escape(text: str) -> str:
    return text.replace("%", "%%").replace("$", "$$")
