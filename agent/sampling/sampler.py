"""When to sample, and what a sample says.

Ticks lie on the interval, moved by a phase that comes from the truck's name, so that a fleet does not publish at :00.
A tick that was missed is not made up for: one late sample stands for all that were missed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from logging import getLogger
from typing import Any, NamedTuple, cast

from agent.sampling.since_last import GROUP, fitted, joined
from agent.sensors import Memory, Reading, Remembering, Sensor
from agent.sensors.fields import CUSTOM, LEAVES
from agent.sensors.merge import merge
from agent.sensors.since_last import Interval
from agent.sensors.source_conflicts import Disputes
from agent.timing.clock import Clock, Moment
from contract.codec import Json
from contract.wire_documents import Unfit, understood

log = getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Ticks:
    """The moments at which one truck samples; `interval` in seconds."""

    def __init__(self, truck_id: str, interval: float) -> None:
        self._interval = interval
        digest = hashlib.sha256(truck_id.encode()).digest()
        self._phase = int.from_bytes(digest[:8], "big") / 2**64 * interval

    def after(self, moment: datetime) -> datetime:
        """The first tick strictly after a moment."""
        number = ((moment - _EPOCH).total_seconds() - self._phase) // self._interval + 1
        tick = _EPOCH + timedelta(seconds=number * self._interval + self._phase)
        return tick if tick > moment else tick + timedelta(seconds=self._interval)


class Taken(NamedTuple):
    """One sample as it was measured, not yet dated: when on the boot's time line, what a satellite receiver said of
    the time (None without a fix), the wire's document without the fields that date and number it, and what happened
    since the sample before, which is dated with it."""

    moment: Moment
    fix: datetime | None
    document: dict[str, Json]
    interval: Interval | None = None


class Sampler:
    """Reads all sensors at once and makes the wire's document of them. disputes: who contradicted whom.

    since_last: whether samples say what happened since the one before.
    """

    def __init__(self, truck_id: str, sensors: Sequence[Sensor], clock: Clock, *, since_last: bool = True) -> None:
        self.since_last = since_last
        self._truck_id, self._sensors, self._clock = truck_id, sensors, clock
        self._failing: set[int] = set()
        self.disputes = Disputes()

    def sample(self) -> Taken:
        """One sample of now: every group, and `quality`. A sensor that raises is left out of it."""
        moment = self._clock.moment()
        readings = [reading for number in range(len(self._sensors)) if (reading := self._read(number, moment.wall))]
        for reading in readings:
            self.disputes.add(reading.disagreements, moment.wall)
        fix = next((reading.time for reading in readings if reading.time is not None), None)
        document, quality = merge(readings)
        document = self._within_bounds({**document, "quality": quality})
        return Taken(moment, fix, document, self._interval(readings, document))

    def _interval(self, readings: Sequence[Reading], document: dict[str, Json]) -> Interval | None:
        """What of the time since the sample before goes with this one; `quality` names what does not fit."""
        interval = joined([reading.interval for reading in readings if reading.interval])
        if interval is None or not self.since_last:
            return None
        interval, left_out = fitted(interval, document)
        lacking = {f"{GROUP}.{name}": "not_available" for name in left_out}
        document["quality"] = {**cast(dict[str, Json], document["quality"]), **lacking}
        return interval

    def memory(self) -> dict[str, Memory]:
        """What the sensors believe, by sensor; small."""
        return {
            _name(number, sensor): told
            for number, sensor in enumerate(self._sensors)
            if isinstance(sensor, Remembering) and (told := sensor.memory())
        }

    def recall(self, memories: Mapping[str, Memory], later: float) -> None:
        """Before the first sample: what an earlier process' `memory` said, `later` seconds ago."""
        for number, sensor in enumerate(self._sensors):
            told = memories.get(_name(number, sensor))
            if isinstance(sensor, Remembering) and isinstance(told, Mapping):
                sensor.recall(told, later)

    def _read(self, number: int, now: datetime) -> Reading | None:
        try:
            reading = self._sensors[number].read(now)
            if not isinstance(reading, Reading):
                raise TypeError(f"read must answer with a Reading, not {type(reading).__name__}")
        except Exception:  # a sensor's door: what one device does must not cost the truck its sample
            if number not in self._failing:
                self._failing.add(number)
                log.exception("sensor_failed sensor=%s", type(self._sensors[number]).__name__)
            return None
        if number in self._failing:
            self._failing.remove(number)
            log.warning("sensor_recovered sensor=%s", type(self._sensors[number]).__name__)
        return reading

    def _within_bounds(self, document: dict[str, Json]) -> dict[str, Json]:
        """The document with null for what the collector would refuse, so that one bad value does not cost the rest."""
        try:
            understood("telemetry", {"truck_id": self._truck_id, **document})
        except Unfit as unfit:
            for fault in unfit.faults:
                leaf = _leaf(".".join(str(part) for part in fault.where))
                if document["quality"].get(leaf) == "implausible":
                    continue  # several faults of one value
                log.warning("value_implausible field=%s value=%.80r", leaf, fault.value)
                _put_null(document, leaf)
                document["quality"] = {**document["quality"], leaf: "implausible"}
        return document


def _name(number: int, sensor: Sensor) -> str:
    return f"{number} {type(sensor).__name__}"


def _leaf(path: str) -> str:
    """The field that a fault's path leads into: further parts are of the value, or of what it was tried as."""
    if path.startswith(f"{CUSTOM}."):
        return ".".join(path.split(".")[:2])
    return next((leaf for leaf in LEAVES if path == leaf or path.startswith(leaf + ".")), path)


def _put_null(document: dict[str, Any], leaf: str) -> None:
    *groups, name = leaf.split(".")
    for group in groups:
        document = document[group]
    document[name] = None
