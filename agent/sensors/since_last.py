"""What one sensor heard between two reads: extremes, means, integrals, hard manoeuvres, every trouble code. Pure.

Promises memory that does not grow with the traffic, and a few microseconds for a value. Of several sources of one field
only the best that speaks is counted, so that a lesser one's values never mix with it. A value holds until the next one,
but no longer than its limit: what nobody observed is in no mean and in no integral.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

SPEED, GPS_SPEED = "vehicle_speed", "gps_location.speed"
RPM, FUEL_RATE = "engine_diagnostics.engine_rpm", "fuel_consumption"

MOVING_KMH = 5.0
HARD: dict["Kind", float] = {"braking": 3.0, "acceleration": 2.5, "cornering": 3.0}
"""m/s² over about a second from which a manoeuvre of a loaded truck is harsh."""
IMPOSSIBLE = 12.0
"""m/s² that no tyre holds: a fault of the signal."""
MANOEUVRES_AT_MOST = 10
CODES_AT_MOST = 100

_NO_INTERVAL = frozenset({"gps_location.latitude", "gps_location.longitude", "odometer_reading"})
_LONGEST_PAUSE = 5.0
"""Seconds without any value after which nothing is observed, but for what an integral holds for longer."""
_INTEGRATED = frozenset({SPEED, GPS_SPEED, RPM, FUEL_RATE})
_SHORTEST_SPAN, _LONGEST_SPAN, _SPACING = 0.9, 2.5, 0.09

Kind = Literal["braking", "acceleration", "cornering"]
Rank = tuple[int, int]
"""Of a source: place of its parameter in the table, then its address; lower is better."""
Code = tuple[int, int, int | str | None]
"""(SPN, FMI, source)."""


class FieldSpread(NamedTuple):
    """One field's readings. mean: weighted by time; None where no time passed."""

    low: float
    high: float
    mean: float | None


class Manoeuvre(NamedTuple):
    """ago: seconds before the read at which it was hardest; peak: m/s²."""

    kind: Kind
    ago: float
    peak: float


class Driven(NamedTuple):
    """What the speed says. idle: None where the engine's speed is not known."""

    moving: float
    idle: float | None
    kilometres: float


class Interval(NamedTuple):
    """What one sensor heard since the read before. seconds: during which something was heard. spreads: of fields with
    two readings or more. driven: by the speed of SPEED or GPS_SPEED. codes: each with the seconds ago of its first and
    last sight."""

    seconds: float
    readings: int
    spreads: Mapping[str, FieldSpread]
    driven: Mapping[str, Driven]
    litres: float | None
    manoeuvres: tuple[Manoeuvre, ...]
    codes: Mapping[Code, tuple[float, float]]


@dataclass(slots=True)
class _Field:
    """The newest value, and what is known of it since the interval began. area, spread: value × time and time of the
    mean; seconds: for which it was known at all."""

    rank: Rank
    limit: float
    at: float
    value: float
    counted: float
    readings: int = 0
    low: float = 0.0
    high: float = 0.0
    area: float = 0.0
    spread: float = 0.0
    seconds: float = 0.0

    def advance(self, now: float, value: float | None = None) -> tuple[float, float]:
        """Count the time up to now: (seconds, area) of this step. value: what is heard now, if anything."""
        end = min(now, self.at + self.limit)
        seconds = max(0.0, end - self.counted)
        after = self.value if value is None or now > end else value
        area = seconds * (self.value + after) / 2
        if self.readings:  # what held before the first reading is in no extreme, so in no mean either
            self.area += area
            self.spread += seconds
        self.seconds += seconds
        self.counted = max(now, self.counted)
        return seconds, area

    def hears(self, now: float, value: float) -> None:
        """A reading."""
        self.low = min(self.low, value) if self.readings else value
        self.high = max(self.high, value) if self.readings else value
        self.readings += 1
        self.at, self.value = now, value

    def begin(self) -> None:
        """A new interval, in which the value still holds."""
        self.readings, self.area, self.spread, self.seconds = 0, 0.0, 0.0, 0.0


@dataclass(slots=True)
class _Sums:
    moving: float = 0.0
    idle: float = 0.0
    kilometres: float = 0.0
    seconds: float = 0.0


@dataclass(slots=True)
class _Hardest:
    """The manoeuvre that goes on, by kind: (when it was hardest, m/s²)."""

    open: dict[Kind, tuple[float, float]] = field(default_factory=dict)
    done: list[tuple[Kind, float, float]] = field(default_factory=list)

    def feel(self, now: float, kind: Kind, strength: float) -> None:
        """So many m/s², now."""
        if HARD[kind] <= strength <= IMPOSSIBLE:
            if strength > self.open.get(kind, (now, 0.0))[1]:
                self.open[kind] = now, strength
        elif kind in self.open:
            self.done.append((kind, *self.open.pop(kind)))
            if len(self.done) > MANOEUVRES_AT_MOST:
                self.done.remove(min(self.done, key=lambda one: one[2]))


def counts(leaf: str) -> bool:
    """Whether a field has extremes and a mean that say something."""
    return leaf not in _NO_INTERVAL


class Since:
    """One sensor's account. Tell it every value as it comes; `take` ends the interval and begins the next."""

    def __init__(self) -> None:
        self._fields: dict[str, _Field] = {}
        self._sums = {SPEED: _Sums(), GPS_SPEED: _Sums()}
        self._litres = self._seconds = 0.0
        self._until: float | None = None  # when what was heard so far holds no longer
        self._observed = 0.0
        self._readings = 0
        self._codes: dict[Code, tuple[float, float]] = {}
        self._hardest = _Hardest()
        self._speeds: deque[tuple[float, float]] = deque(maxlen=32)
        self._courses: deque[tuple[float, float]] = deque(maxlen=32)

    def value(self, now: float, leaf: str, value: float, *, rank: Rank = (0, 0), limit: float = 5.0) -> None:
        """A field's value was heard at uptime `now`, in wire units. limit: seconds for which it holds."""
        self._observe(now, limit if leaf in _INTEGRATED else _LONGEST_PAUSE)
        one = self._fields.get(leaf)
        if one is None or one.rank != rank:
            if one is not None and rank > one.rank and now - one.at <= one.limit:
                return
            one = self._fields[leaf] = _Field(rank, limit, now, value, now)
            if leaf in (SPEED, GPS_SPEED):
                self._speeds.clear()
        else:
            self._count(now, leaf, one, value)
        self._readings += 1
        one.hears(now, value)
        if leaf == SPEED:
            self._feel_speed(now, value)

    def course(self, now: float, degrees: float, kmh: float) -> None:
        """The direction of travel, from a satellite receiver."""
        before = _earlier(self._courses, now, degrees)
        if before is not None:
            turned = (degrees - before[1] + 180) % 360 - 180
            span = now - before[0]
            self._hardest.feel(now - span / 2, "cornering", abs(turned) * 0.017453 / span * kmh / 3.6)

    def code(self, now: float, code: Code) -> None:
        """A trouble code was active at `now`."""
        first, _ = self._codes.get(code, (now, now))
        if code in self._codes or len(self._codes) < CODES_AT_MOST:
            self._codes[code] = first, now

    def end_interval(self, now: float) -> Interval | None:
        """What was heard since the last call; None where nothing was."""
        if self._until is None:
            return None
        self._observe(now)
        for leaf, one in self._fields.items():
            self._count(now, leaf, one, None)
        spreads = {
            leaf: FieldSpread(one.low, one.high, one.area / one.spread if one.spread else None)
            for leaf, one in self._fields.items()
            if one.readings >= 2
        }
        knows_engine = RPM in self._fields and bool(self._fields[RPM].seconds)
        driven = {
            leaf: Driven(sums.moving, sums.idle if knows_engine else None, sums.kilometres)
            for leaf, sums in self._sums.items()
            if sums.seconds
        }
        rate = self._fields.get(FUEL_RATE)
        found = Interval(
            seconds=self._seconds,
            readings=self._readings,
            spreads=spreads,
            driven=driven,
            litres=self._litres if rate and rate.seconds else None,
            manoeuvres=tuple(
                Manoeuvre(kind, now - at, peak) for kind, at, peak in sorted(self._hardest.done, key=_when)
            ),
            codes={code: (now - first, now - last) for code, (first, last) in self._codes.items()},
        )
        self._begin()
        return found if found.readings or found.seconds or found.codes else None

    def _begin(self) -> None:
        for one in self._fields.values():
            one.begin()
        self._sums = {SPEED: _Sums(), GPS_SPEED: _Sums()}
        self._litres = self._seconds = 0.0
        self._readings = 0
        self._codes = {}
        self._hardest.done = []

    def _observe(self, now: float, holds: float = 0.0) -> None:
        """Count the time up to now, in which something was known. holds: seconds for which what is heard now holds."""
        if self._until is None:
            self._until = self._observed = now
        self._seconds += max(0.0, min(now, self._until) - self._observed)
        self._observed = max(now, self._observed)
        self._until = max(self._until, now + holds)

    def _count(self, now: float, leaf: str, one: _Field, value: float | None) -> None:
        speed = one.value
        seconds, area = one.advance(now, value)
        if leaf == FUEL_RATE:
            self._litres += area / 3600
        elif leaf in self._sums:
            sums = self._sums[leaf]
            sums.seconds += seconds
            sums.kilometres += area / 3600
            if speed >= MOVING_KMH:
                sums.moving += seconds
            elif (engine := self._fields.get(RPM)) and now - engine.at <= engine.limit and engine.value > 0:
                sums.idle += seconds

    def _feel_speed(self, now: float, kmh: float) -> None:
        before = _earlier(self._speeds, now, kmh)
        if before is None:
            return
        span = now - before[0]
        strength = (kmh - before[1]) / 3.6 / span
        self._hardest.feel(now - span / 2, "acceleration", strength)
        self._hardest.feel(now - span / 2, "braking", -strength)


def _when(done: tuple[Kind, float, float]) -> float:
    return done[1]


def _earlier(track: deque[tuple[float, float]], now: float, value: float) -> tuple[float, float] | None:
    """File a value, and give back the one of about a second before; None where there is none."""
    if track and not _SPACING <= now - track[-1][0] <= _LONGEST_SPAN:
        if 0 <= now - track[-1][0] < _SPACING:
            return None
        track.clear()
    track.append((now, value))
    while len(track) > 1 and now - track[1][0] >= _SHORTEST_SPAN:
        track.popleft()
    span = now - track[0][0]
    return track[0] if _SHORTEST_SPAN <= span <= _LONGEST_SPAN else None
