"""Values that are in range and yet cannot be true, and control units that contradict each other. Pure.

Limits (each a constant below): an odometer never falls and rises no faster than `TOP_SPEED` allows between two reads; a
vehicle does not move faster than `TOP_TRAVEL`. Fuel levels, voltages, temperatures and speeds may jump: refuelling,
cranking, a sensor plugged in. A leap is not believed; when the new value stays for `PERSISTENT` seconds and three reads
it is the truth after all (an instrument cluster was replaced, a receiver had started from an old position).
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from agent.sensors.fields import Reason
from contract.codec import Json

T = TypeVar("T")

TOP_SPEED = 200.0
"""km/h that no odometer exceeds on average."""
ODOMETER_SLACK = 1.0
"""km by which an odometer may run ahead of that: steps of 125 m, and reads that are close together."""
TOP_TRAVEL = 400.0
"""km/h between two positions; ferries, trains and a poor fix stay below."""
POSITION_SLACK = 1.0
"""km that a fix may be off."""
PERSISTENT = 60.0
"""Seconds (and at least three reads) for which a leap must stay before it is believed."""

_READS = 3
_EARTH = 6371.0


def odometer_follows(seconds: float, old: float, new: float) -> bool:
    """Whether an odometer (km) can go from `old` to `new` in that time."""
    return 0 <= new - old <= TOP_SPEED / 3600 * seconds + ODOMETER_SLACK


def position_follows(seconds: float, old: tuple[float, float], new: tuple[float, float]) -> bool:
    """Whether a vehicle can get from one (latitude, longitude) to another in that time."""
    return _distance(old, new) <= TOP_TRAVEL / 3600 * seconds + POSITION_SLACK


def _distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Kilometres on the globe."""
    lat1, lon1, lat2, lon2 = map(math.radians, (*one, *other))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * _EARTH * math.asin(min(1.0, math.sqrt(half)))


@dataclass(slots=True)
class _Contender(Generic[T]):
    value: T
    since: float
    at: float
    reads: int = 1


class Belief(Generic[T]):
    """What is believed of one quantity. `follows(seconds, old, new)` says whether it can have changed so.

    The first value is believed: there is nothing to hold it against. held: (when, what) was believed last.
    """

    def __init__(self, follows: Callable[[float, T, T], bool]) -> None:
        self._follows = follows
        self.held: tuple[float, T] | None = None
        self._contender: _Contender[T] | None = None

    def choose(self, now: float, candidates: Sequence[T]) -> T | None:
        """The first candidate (best source first) that can be true, or None where all leap. Once a read."""
        if not candidates:
            return None
        first = candidates[0]
        if self._continues(now, first) or self._persists(now, first):
            self._contender = None
            return self._hold(now, first)
        for other in candidates[1:]:
            if self._continues(now, other):
                return self._hold(now, other)
        return None

    def _continues(self, now: float, value: T) -> bool:
        return self.held is None or self._follows(max(0.0, now - self.held[0]), self.held[1], value)

    def _persists(self, now: float, value: T) -> bool:
        """Files what is not believed, and says whether it has stayed long enough."""
        one = self._contender
        if one is None or not self._follows(max(0.0, now - one.at), one.value, value):
            self._contender = _Contender(value, now, now)
            return False
        reads = one.reads + (now > one.at)
        self._contender = _Contender(value, one.since, now, reads)
        return reads >= _READS and now - one.since >= PERSISTENT

    def _hold(self, now: float, value: T) -> T:
        self.held = (now, value)
        return value


LATITUDE, LONGITUDE = "gps_location.latitude", "gps_location.longitude"
_NOWHERE = 1e-6


class PlaceBelief(Belief[tuple[float, float]]):
    """Where a vehicle is, as (latitude, longitude); outlives a process."""

    def __init__(self) -> None:
        super().__init__(position_follows)

    def memory(self, now: float) -> dict[str, Json] | None:
        """What `recall` needs after a restart; None before there was a position. age: seconds since it was heard."""
        if self.held is None:
            return None
        at, (latitude, longitude) = self.held
        return {"latitude": latitude, "longitude": longitude, "age": now - at}

    def recall(self, now: float, memory: Mapping[str, Json], age: float) -> None:
        """Go on from where an earlier process was `age` seconds ago; what cannot be understood is passed over."""
        match memory:
            case {"latitude": float() | int() as latitude, "longitude": float() | int() as longitude}:
                self.held = now - age, (float(latitude), float(longitude))


class PositionRule:
    """The one rule about positions, for every source: both or neither, not 0°, 0°, and not out of reach."""

    def __init__(self) -> None:
        self.place = PlaceBelief()

    def apply(self, now: float, values: dict[str, object], quality: dict[str, Reason]) -> None:
        """Take a position that cannot be true out of `values`, and say why in `quality`; once a read."""
        pair = values.get(LATITUDE), values.get(LONGITUDE)
        if pair == (None, None):
            return
        latitude, longitude = pair
        if not isinstance(latitude, float | int) or not isinstance(longitude, float | int):
            self._refuse(values, quality, quality.get(LATITUDE) or quality.get(LONGITUDE) or "not_available")
            return
        nowhere = abs(latitude) < _NOWHERE and abs(longitude) < _NOWHERE
        if nowhere or self.place.choose(now, [(latitude, longitude)]) is None:
            self._refuse(values, quality, "implausible")

    @staticmethod
    def _refuse(values: dict[str, object], quality: dict[str, Reason], reason: Reason) -> None:
        for leaf in (LATITUDE, LONGITUDE):
            values.pop(leaf, None)
            quality[leaf] = reason


class Heard(NamedTuple):
    """One source's value of one leaf, heard at `at`, due every `period` seconds."""

    source: int
    at: float
    period: float
    value: float


class Disagreement(NamedTuple):
    """Two sources that say different things of one leaf; the first is the one that is preferred."""

    leaf: str
    preferred: int
    other: int


TOLERANCE: dict[str, float] = {
    "vehicle_speed": 10,
    "engine_diagnostics.engine_rpm": 200,
    "engine_diagnostics.fuel_level": 5,
    "engine_diagnostics.engine_temperature": 10,
    "engine_diagnostics.oil_pressure": 10,
    "engine_diagnostics.battery_voltage": 2,
    "odometer_reading": 10,
    "fuel_consumption": 10,
    "environmental_conditions.temperature": 10,
    "environmental_conditions.atmospheric_pressure": 30,
    "gps_location.latitude": 0.01,
    "gps_location.longitude": 0.01,
    "gps_location.speed": 10,
    "gps_location.altitude": 100,
}
"""How far two control units may be apart, in wire units, before it counts as disagreement."""


def disagreements(leaf: str, heard: Sequence[Heard]) -> Counter[Disagreement]:
    """Which sources contradict the preferred (first) one; values heard at different times are not compared."""
    found: Counter[Disagreement] = Counter()
    tolerance = TOLERANCE.get(leaf, math.inf)
    for other in heard[1:]:
        first = heard[0]
        together = abs(first.at - other.at) <= max(first.period, other.period)
        if other.source != first.source and together and abs(first.value - other.value) > tolerance:
            found[Disagreement(leaf, first.source, other.source)] += 1
    return found
