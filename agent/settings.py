"""The `[agent]` table of milepost.toml: one object, built at the door and passed down.

Dataclasses, so that a truck runs without pydantic, which costs 9 MB and half of the start (contract.plain_settings).
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from contract.plain_settings import Bounds, Checked, Pattern, TableSettings, taken
from contract.setting_bounds import (
    BatchBytes,
    Interval,
    Kibibytes,
    Megabytes,
    Publishes,
    Records,
    ReportInterval,
    SendInterval,
)
from contract.settings_file import table
from contract.topics import ID

_LONGEST_NAME = 200
"""Bytes of a file's name, which leaves room for the ends of what lies beside it."""
PORTS = {"mqtt": 1883, "mqtts": 8883}


def _broker(url: str) -> str:
    parts = urlsplit(url)
    example = "such as mqtt://127.0.0.1:1883 or mqtts://broker.example.com"
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"must be mqtt:// or mqtts:// and a host, {example}")
    if parts.username or parts.password or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(
            f"must be a scheme, a host and a port only, {example}; a name and password go into username and password"
        )
    if parts.port == 0:
        raise ValueError(f"must have a port from 1 to 65535, {example}")
    return url


def _buffer_file(path: Path) -> Path:
    example = "give the path of a file, such as /var/lib/milepost/buffer.db"
    if not path.name or path.parts[0] == "~" or "\0" in str(path):
        raise ValueError(f"must be a file's path, in which ~ means nothing: {example}")
    if any(len(part.encode(errors="replace")) > _LONGEST_NAME for part in path.parts):
        raise ValueError(f"has a name of over {_LONGEST_NAME} bytes: {example}")
    with suppress(OSError):  # what cannot be looked at now is the business of whoever opens it
        if path.exists() and not path.is_file():
            raise ValueError(f"is there and no file: {example}")
    return path


def _not_empty(text: str) -> str:
    if not text:
        raise ValueError("must have at least 1 character")
    return text


_OPTIONS: dict[str, tuple[str, ...]] = {"can": ("dbc", "map"), "exec": ("command", "time_limit", "map")}
"""Type → the keys that it has beside its path."""


@dataclass(frozen=True, kw_only=True)
class SensorSettings(TableSettings):
    """One `[[agent.sensors]]` table: what kind it is, and the file or device it reads.

    dbc, map: of type can: the file that describes the bus, and signal → field of the wire or `custom.NAME`. map also of
    type exec: key of the command's output → the same. command: of type exec, the program and its arguments, run without
    a shell. time_limit: seconds after which it is killed.
    """

    type: str
    path: str | None = None
    dbc: Path | None = None
    map: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    time_limit: Annotated[float, Bounds(gt=0, le=600)] | None = None

    @property
    def options(self) -> dict[str, object]:
        """What the sensor of this type gets beside its path; what is not given it knows itself."""
        return {key: value for key in _OPTIONS.get(self.type, ()) if (value := getattr(self, key)) is not None}

    def __post_init__(self) -> None:
        given = {key for keys in _OPTIONS.values() for key in keys if getattr(self, key)}
        if foreign := given.difference(_OPTIONS.get(self.type, ())):
            raise ValueError(f'type "{self.type}" has no {", ".join(sorted(foreign))}: leave it out')


@dataclass(frozen=True, kw_only=True)
class LaneSettings(TableSettings):
    """`[agent.lanes]`: how fast samples may leave, over any second, and how many of the backlog go in one message.

    publishes_per_second and kib_per_second are AWS IoT Core's limits (100 and 512) by default where the broker is
    that, and unbounded at a broker of one's own.
    """

    publishes_per_second: Publishes | None = None
    kib_per_second: Kibibytes | None = None
    batch_records: Records = 100
    batch_bytes: BatchBytes = 120_000


Rule = Annotated[str, Pattern(r"^[A-Za-z0-9_]{1,128}$")]


@dataclass(frozen=True, kw_only=True)
class BasicIngest(TableSettings):
    """`[agent.basic_ingest]`: AWS IoT rules that are published to directly, past the broker; none by default."""

    telemetry: Rule | None = None
    batch: Rule | None = None
    report: Rule | None = None


@dataclass(frozen=True, kw_only=True)
class AgentSettings(TableSettings):
    """What one truck's agent is told.

    interval: seconds between samples. buffer: the buffer file; what belongs to it lies beside it. buffer_limit: MB that
    the file may grow to. time_patience: seconds that a connected truck without GPS or NTP time waits before it sends
    its samples as `estimated`.
    send_interval: seconds that live samples may wait for others to go with, 0 for at once.
    since_last: whether samples say what happened since the one before.
    report_interval: seconds between reports. daily_budget: MB a day that samples may cost, None for no bound.
    position_days: days after which the buffer keeps no position, sent or not; None for no such limit.
    transport: which MQTT library. protocol: which MQTT; 3.1.1 for brokers without version 5.
    username, password: for brokers without certificates; a token goes where the broker wants it.
    session_expiry: seconds for which the broker keeps what it has for us.
    ca, certificate, key: PEM files for mqtts; without `ca` the system's authorities are trusted.
    command_key: PEM file by which the operator's commands are known, where it is not command.pub beside `ca`.
    LIVE names the keys that change without a restart.
    """

    truck_id: Annotated[str, Pattern(f"^{ID.pattern}$")]
    broker: Annotated[str, Checked(_broker)] = "mqtt://127.0.0.1:1883"
    buffer: Annotated[Path, Checked(_buffer_file)] = Path("milepost-agent/buffer.db")
    buffer_limit: Annotated[float, Bounds(ge=1, le=100_000)] = 64
    interval: Interval = 60
    time_patience: Annotated[float, Bounds(ge=0, le=86_400)] = 600
    send_interval: SendInterval = 0
    since_last: bool = True
    report_interval: ReportInterval = 900
    daily_budget: Megabytes | None = None
    position_days: Annotated[float, Bounds(ge=1, le=3650)] | None = None
    transport: Literal["paho", "aws"] = "paho"
    protocol: Literal["5", "3.1.1"] = "5"
    username: Annotated[str, Checked(_not_empty)] | None = None
    password: str | None = field(default=None, repr=False)
    session_expiry: Annotated[int, Bounds(ge=0, le=604_800)] = 0
    sensors: tuple[SensorSettings, ...] = ()
    lanes: LaneSettings = LaneSettings()
    basic_ingest: BasicIngest = BasicIngest()
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    command_key: Path | None = None

    def __post_init__(self) -> None:
        if self.password is not None and self.username is None:
            raise ValueError("password needs a username: give both, or only username where the token stands there")
        if self.transport == "aws" and (self.protocol != "5" or self.username is not None):
            raise ValueError('protocol = "3.1.1", username and password need transport = "paho"')
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: give both or neither")
        if not self.tls and (self.ca or self.certificate):
            raise ValueError("ca, certificate and key are for mqtts: make broker mqtts://… or leave them out")

    @property
    def patience(self) -> float:
        """time_patience, but none where a recording is all there is: it is of another day whatever the clock says."""
        return 0.0 if self.sensors and all(sensor.type == "replay" for sensor in self.sensors) else self.time_patience

    @property
    def lost_file(self) -> Path:
        """Where samples that were never stored are counted (agent/buffer/never_stored.py)."""
        return self.buffer.with_name(self.buffer.name + ".lost")

    @property
    def command_key_file(self) -> Path | None:
        """Where the public half of the fleet's command key is looked for."""
        return self.command_key or (self.ca.with_name("command.pub") if self.ca else None)

    @property
    def iot_core(self) -> bool:
        """Whether the broker is AWS IoT Core, by its name, the rules published to, or the library chosen for it."""
        named = self.host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
        return named or self.transport == "aws" or self.basic_ingest != BasicIngest()

    @property
    def tls(self) -> bool:
        """Whether the broker is reached by TLS."""
        return urlsplit(self.broker).scheme == "mqtts"

    @property
    def host(self) -> str:
        """The broker's host."""
        return urlsplit(self.broker).hostname or ""

    @property
    def port(self) -> int:
        """The broker's port, 1883 or 8883 where the URL has none."""
        parts = urlsplit(self.broker)
        return parts.port or PORTS[parts.scheme]


LIVE = frozenset({"interval", "since_last", "send_interval", "report_interval", "daily_budget", "lanes"})


def load_settings(config: Path | None = None, environ: Mapping[str, str] = os.environ) -> AgentSettings:
    """The agent's settings, as contract.settings.load gives them; without pydantic where they are plain.

    Args:
        config: a file that must be there; None looks in the usual places.
        environ: the environment; for tests.

    Returns:
        Them, with defaults for what is not set.

    Raises:
        Misconfigured: names the file, the key and the remedy.
    """
    settings = taken(AgentSettings, table("agent", config, environ))
    if settings is not None:
        return settings
    from contract.settings import load  # pydantic, to word what is wrong, or to read "5" of a variable as a number

    return load("agent", AgentSettings, config, environ)
