"""One tour as a list of phases: the timetable from the depot round to the depot, for one truck and one tour number.

Every tour of a route takes the same time, so that where a truck is follows from the time alone: what traffic takes,
the driver saves at the deliveries and at the depot. A tour is made from its seed and nothing else.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import exp, sqrt
from random import Random

from simulator.powertrain import PAYLOAD_T, litres_per_hour
from simulator.routes import Piece, Route

_SPEED_UP, _SLOW_DOWN = 0.5, 0.8  # m/s²
_PACE = (0.78, 1.0)  # of the limit, by traffic
_STOP_S = 9 * 60.0
_DEPOT_S = 22 * 60.0
_LIGHTS = (0.35, 12.0, 50.0)  # how often a town piece ends at a red light, and for how long
_TOWN_KMH = 60.0
_WARM, _WARMING_S = 88.0, 330.0  # °C, time constant
_COOL, _COOLING_S = 45.0, 2400.0
START_TEMPERATURE = 68.0


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of time with a steady acceleration; times in seconds and metres since the tour's start.

    litres, temperature: fuel used so far and the coolant when the phase begins. kind: what the truck does. load_t:
    tonnes on board.
    """

    start: float
    seconds: float
    speed: float
    acceleration: float
    metres: float
    slope: float
    engine_on: bool
    tunnel: bool
    kind: str
    litres: float
    temperature: float
    load_t: float

    def metres_at(self, elapsed: float) -> float:
        """Metres since the tour's start, `elapsed` seconds into the phase."""
        return self.metres + self.speed * elapsed + self.acceleration * elapsed * elapsed / 2

    def rate(self, elapsed: float) -> float:
        """Fuel rate in L/h."""
        if not self.engine_on:
            return 0.0
        return litres_per_hour(self.speed + self.acceleration * elapsed, self.acceleration, self.slope, self.load_t)

    def litres_at(self, elapsed: float) -> float:
        """Fuel used since the tour's start."""
        return self.litres + self.rate(self.seconds / 2) * elapsed / 3600

    def temperature_at(self, elapsed: float) -> float:
        """Coolant in °C: towards 88 with the engine on, cooling down with it off."""
        target, constant = (_WARM, _WARMING_S) if self.engine_on else (_COOL, _COOLING_S)
        return target + (self.temperature - target) * exp(-elapsed / constant)


@dataclass(frozen=True, slots=True)
class _Motion:
    """A phase before its place in the tour is known."""

    seconds: float
    speed: float = 0.0
    acceleration: float = 0.0
    engine_on: bool = True
    tunnel: bool = False
    kind: str = "driving"


@dataclass(frozen=True, slots=True)
class Driver:
    """Who drives a tour, and how. idling: odds that the engine is left on at a delivery; harsh: share of brakings that
    are harsh."""

    name: str
    idling: float
    harsh: float


_DRIVERS = 40
_STYLES = ((0.08, 0.01), (0.25, 0.04), (0.5, 0.12))  # calm, ordinary, hasty


def _driver(number: int) -> Driver:
    return Driver(f"DRIVER-{number:02}", *_STYLES[number % len(_STYLES)])


@dataclass(frozen=True)
class Tour:
    """The timetable of one tour."""

    phases: tuple[Phase, ...]
    driver: Driver

    @cached_property
    def _starts(self) -> tuple[float, ...]:
        return tuple(phase.start for phase in self.phases)

    def at(self, seconds: float) -> tuple[Phase, float]:
        """The phase at so many seconds since the tour's start, and the seconds into it."""
        phase = self.phases[max(0, bisect_right(self._starts, seconds) - 1)]
        return phase, min(seconds - phase.start, phase.seconds)

    @property
    def seconds(self) -> float:
        """How long the tour takes, loading at the depot included."""
        return self.phases[-1].start + self.phases[-1].seconds

    @property
    def litres(self) -> float:
        """Fuel the tour takes."""
        return self.phases[-1].litres_at(self.phases[-1].seconds)


def period(route: Route) -> float:
    """Seconds that each tour of the route takes."""
    pace = sum(_PACE) / 2
    driving = sum(motion.seconds for motion in _drive(route, [pace] * len(route.pieces), [0.0] * len(route.pieces)))
    often, least, most = _LIGHTS
    lights = sum(often * (least + most) / 2 for piece in route.pieces if piece.limit <= _TOWN_KMH and not piece.stop)
    return 1.12 * driving + lights + route.stops * _STOP_S + _DEPOT_S


def make(route: Route, dice: Random) -> Tour:
    """A tour of the route with traffic, red lights and deliveries as the dice fall."""
    pace = [dice.uniform(*_PACE) for _ in route.pieces]
    motions = list(_drive(route, pace, [_light(piece, dice) for piece in route.pieces]))
    spare = period(route) - sum(motion.seconds for motion in motions)
    driver, load = _driver(dice.randrange(1, _DRIVERS + 1)), PAYLOAD_T * dice.uniform(0.4, 1.0)
    weights = [dice.uniform(0.5, 1.5) * _STOP_S for _ in range(route.stops)] + [_DEPOT_S]
    pauses = iter([spare * weight / sum(weights) for weight in weights])
    placed: list[_Motion] = []
    for motion in motions:
        placed.append(motion)
        if motion.kind == "arriving":
            placed.extend(_pause(next(pauses), dice, driver.idling))
    return Tour(tuple(_placed(route, placed, load)), driver)


def _light(piece: Piece, dice: Random) -> float:
    often, least, most = _LIGHTS
    waits = dice.random() < often and piece.limit <= _TOWN_KMH and not piece.stop and not piece.tunnel
    return dice.uniform(least, most) if waits else 0.0


def _pause(seconds: float, dice: Random, idling: float) -> Iterator[_Motion]:
    """A delivery or loading: the engine idles for a moment, then is off (now and then left on)."""
    if dice.random() < idling and seconds < _DEPOT_S / 2:
        yield _Motion(seconds, kind="standing")
        return
    idle = min(seconds / 4, dice.uniform(15, 60))
    yield _Motion(idle, kind="standing")
    yield _Motion(seconds - idle, engine_on=False, kind="standing")


def _drive(route: Route, pace: list[float], lights: list[float]) -> Iterator[_Motion]:
    """Speed up, hold, slow down over each piece; `arriving` marks the end of a piece with a stop."""
    targets = [piece.limit / 3.6 * share for piece, share in zip(route.pieces, pace, strict=True)]
    speed = 0.0
    for i, piece in enumerate(route.pieces):
        halts = piece.stop or lights[i] > 0
        leave = 0.0 if halts else min(targets[i], targets[i + 1])
        yield from _cross(piece, speed, targets[i], leave)
        if lights[i] > 0:
            yield _Motion(lights[i], kind="waiting")
        speed = leave


def _cross(piece: Piece, enter: float, target: float, leave: float) -> Iterator[_Motion]:
    reach = sqrt(
        (2 * _SPEED_UP * _SLOW_DOWN * piece.length + _SLOW_DOWN * enter**2 + _SPEED_UP * leave**2)
        / (_SPEED_UP + _SLOW_DOWN)
    )
    top = min(target, reach)
    up, down = (top - enter) / _SPEED_UP, (top - leave) / _SLOW_DOWN
    held = piece.length - (enter + top) / 2 * up - (top + leave) / 2 * down
    if up > 0:
        yield _Motion(up, enter, _SPEED_UP, tunnel=piece.tunnel)
    if held > 0 and top > 0:
        yield _Motion(held / top, top, tunnel=piece.tunnel)
    yield _Motion(max(down, 0.0), top, -_SLOW_DOWN, tunnel=piece.tunnel, kind="arriving" if piece.stop else "driving")


def _placed(route: Route, motions: list[_Motion], load_t: float) -> Iterator[Phase]:
    """Each delivery takes its share of the load off."""
    start = metres = litres = 0.0
    share = load_t / max(1, route.stops)
    temperature = START_TEMPERATURE
    for motion in motions:
        if motion.seconds <= 0:
            continue
        length = motion.speed * motion.seconds + motion.acceleration * motion.seconds**2 / 2
        climb = route.place(metres + length)[2] - route.place(metres)[2]
        phase = Phase(
            start=start,
            seconds=motion.seconds,
            speed=motion.speed,
            acceleration=motion.acceleration,
            metres=metres,
            slope=climb / length if length > 1 else 0.0,
            engine_on=motion.engine_on,
            tunnel=motion.tunnel,
            kind=motion.kind,
            litres=litres,
            temperature=temperature,
            load_t=load_t,
        )
        yield phase
        if motion.kind == "arriving":
            load_t = max(0.0, load_t - share)
        start += motion.seconds
        metres += length
        litres = phase.litres_at(motion.seconds)
        temperature = phase.temperature_at(motion.seconds)
