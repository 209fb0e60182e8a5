"""The truck's sensors behind one protocol, and how their readings become one sample.

Everything that measures is a `Sensor`: the live CAN bus, the satellite receiver, a replayed recording. The sampler asks
each for a `Reading` once a tick and lets `merge.py` make the wire's document of them. Implementations are named by
technology and imported only when one is opened, so that a truck loads what it runs and nothing else.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any, Protocol, cast, runtime_checkable

from agent.sensors.fields import GROUPS, LEAVES, REASONS, Reason, is_custom
from agent.sensors.plausibility import Disagreement
from agent.sensors.since_last import Interval
from contract.codec import Json
from contract.errors import Misconfigured

__all__ = ["KINDS", "Listening", "Memory", "Reading", "Reason", "Remembering", "Sensor", "known_kinds", "open_sensor"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one sensor knows at one moment: only what was measured, and why the rest was not.

    values: dotted wire leaf → value in wire units, e.g. `"engine_diagnostics.engine_rpm": 650.5` or
        `"vehicle_health_and_maintenance.active_faults": [{"spn": 980, "fmi": 9, "count": 126, "source": 0}]`. What the
        wire has no leaf for goes under a name of the fleet's own, `"custom.cargo_temperature": 4.5`: a number, a text
        or a boolean.
    quality: dotted leaf, or a whole group → why it has no value. A leaf that is in neither map is not this sensor's.
    time: a trusted UTC time that the sensor itself knows (a GPS fix), else None.
    interval: what was heard since the read before, by a sensor that hears more than it is asked for.
    disagreements: what control units contradict each other in at this moment; the value given is the preferred one's.
    Raises ValueError for a name or a reason that the wire does not have, and for a time without a zone: a sensor's
    mistake must not travel.
    """

    values: Mapping[str, object]
    quality: Mapping[str, str]
    time: datetime | None = None
    disagreements: Collection[Disagreement] = ()
    interval: Interval | None = None

    def __post_init__(self) -> None:
        for leaf in self.values:
            if leaf not in LEAVES and not is_custom(leaf):
                raise ValueError(f"{leaf}: no such leaf on the wire; use one of agent.sensors.fields.LEAVES")
        for name, reason in self.quality.items():
            if name not in LEAVES and name not in GROUPS and not is_custom(name):
                raise ValueError(f"{name}: no such leaf or group on the wire")
            if reason not in REASONS:
                raise ValueError(f"{name}: quality {reason!r} is none of {', '.join(REASONS)}")
        if self.time is not None and not (isinstance(self.time, datetime) and self.time.utcoffset() is not None):
            raise ValueError(f"time {self.time!r}: give a datetime with its zone, or None")
        if not all(isinstance(each, Disagreement) for each in self.disagreements):
            raise ValueError("disagreements: give agent.sensors.plausibility.Disagreement")
        if self.interval is not None and not isinstance(self.interval, Interval):
            raise ValueError("interval: give what agent.sensors.since_last.Since answers, or None")


class Sensor(Protocol):
    """A source of readings.

    - `read` answers with the newest values at `now` (UTC, the sampler's tick) within a fraction of a second: it never
      waits for a signal to arrive. It never raises because a signal or the device is missing: that is a quality.
    - A value is what was measured last and recently: what is older than its limit is `stale`, never repeated.
    - Readings are independent: the caller may keep or change what it was given.
    - `close` releases files and sockets, may be called twice, and `read` is not called after it.
    A sensor belongs to one thread.
    """

    def read(self, now: datetime) -> Reading:
        """The newest values; see the class for what it may and may not do.

        Args:
            now: the sampler's tick, UTC.

        Returns:
            Values in wire units, and reasons.
        """

    def close(self) -> None: ...


@runtime_checkable
class Listening(Sensor, Protocol):
    """A sensor that takes in by itself what comes, at its own time.

    heard: the uptime (see uptime.py) at which the first of it came; None before. A device that is not there, or says
    nothing, leaves it None.
    """

    heard: float | None


Memory = Mapping[str, Mapping[str, Json]]
"""What a sensor believes: of each quantity what it needs to go on, with `age`, the seconds since it was heard."""


@runtime_checkable
class Remembering(Sensor, Protocol):
    """A sensor that judges what it hears by what it heard before, also before a restart.

    - `memory` is small, and costs no I/O; it may be asked for at any time.
    - `recall` is called at most once, before the first read. later: seconds from when the memory was given to now, as
      far as that is known; a memory that cannot be understood is ignored.
    """

    def memory(self) -> Memory:
        """What it believes.

        Returns:
            Quantity → what `recall` needs; empty where it believes nothing.
        """

    def recall(self, memory: Memory, later: float) -> None:
        """Go on from what an earlier process believed.

        Args:
            memory: its `memory`.
            later: seconds since that was given.
        """


KINDS: dict[str, str] = {
    "can": "agent.sensors.can_dbc:DbcSensor",
    "environment": "agent.sensors.environment:EnvironmentSensor",
    "exec": "agent.sensors.command_output:CommandSensor",
    "gpsd": "agent.sensors.gpsd.sensor:GpsdSensor",
    "j1939": "agent.sensors.j1939.sensor:J1939Sensor",
    "obd2": "agent.sensors.obd2.sensor:Obd2Sensor",
    "replay": "agent.sensors.replay:ReplaySensor",
}
"""Setting `[[agent.sensors]] type` → module and callable `(path, *, interval, **options) -> Sensor`, imported when
asked for. Options are the further keys of the table; only `can` and `exec` have any."""

PLUGINS = "milepost.sensors"
"""Entry points of this group are further types: the simulator's `simulated` is one."""


def open_sensor(kind: str, path: str | None, *, interval: float, options: Mapping[str, object] | None = None) -> Sensor:
    """The sensor of one `[[agent.sensors]]` table.

    Args:
        kind: its type.
        path: its path, None where the table has none.
        interval: seconds between two reads.
        options: further keys of the table, for types that have any.

    Returns:
        The sensor, which has begun to listen where that is its way; the caller closes it.

    Raises:
        Misconfigured: an unknown type, or a path or option that is missing or cannot be used, with what to do.
    """
    if kind in KINDS:
        module, _, name = KINDS[kind].partition(":")
        make = getattr(import_module(module), name)
    else:
        make = _plugin(kind)
    return cast(Callable[..., Sensor], make)(path, interval=interval, **(options or {}))


def known_kinds() -> list[str]:
    """Every type that can be opened here."""
    return sorted({*KINDS, *(plugin.name for plugin in _plugins())})


def _plugins() -> Iterable[Any]:
    from importlib.metadata import entry_points  # 4 MB of e-mail and zip, for types that are not ours

    return entry_points(group=PLUGINS)


def _plugin(kind: str) -> object:
    plugin = next((plugin for plugin in _plugins() if plugin.name == kind), None)
    if plugin is None:
        raise Misconfigured(
            f'[[agent.sensors]] type="{kind}" is unknown; known here: {", ".join(known_kinds())}. '
            "Correct the type in milepost.toml."
        )
    return plugin.load()
