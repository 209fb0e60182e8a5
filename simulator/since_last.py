"""What a virtual truck's sensors would have heard between two moments: the account that the real agent's sensors keep.

From the timetable itself, not from readings: distance and fuel are what was really driven and burnt. Extremes and means
are over the ends of the phases in between, where every signal of a phase of steady acceleration has its own.
"""

from datetime import UTC, datetime
from itertools import pairwise

from agent.sensors.since_last import FUEL_RATE, MOVING_KMH, RPM, SPEED, Driven, FieldSpread, Interval, Manoeuvre
from simulator import weather
from simulator.tour_schedule import Phase
from simulator.vehicle import Vehicle

_MOST_POINTS = 40
_READINGS_A_SECOND = 10
_HARD_PEAK = (3.1, 5.2)

_ENGINE = "engine_diagnostics"
_FIELDS = (
    SPEED,
    "gps_location.speed",
    RPM,
    f"{_ENGINE}.engine_temperature",
    f"{_ENGINE}.oil_pressure",
    f"{_ENGINE}.battery_voltage",
    f"{_ENGINE}.fuel_level",
    FUEL_RATE,
)


def interval(vehicle: Vehicle, start: datetime, end: datetime) -> Interval:
    """The time from `start` to `end`, both aware."""
    begin, finish = start.timestamp(), end.timestamp()
    phases = list(vehicle.phases(begin, finish))
    moments = sorted({begin, finish, *(at for at, _ in phases if begin < at < finish)})
    step = -(-len(moments) // _MOST_POINTS)
    moments = [*moments[:-1:step], finish]
    states = [vehicle.at(datetime.fromtimestamp(at, UTC)) for at in moments]
    spreads = {leaf: _spread(moments, [_number(state.values[leaf]) for state in states]) for leaf in _FIELDS}
    pieces = [(phase, max(begin, at) - at, min(finish, at + phase.seconds) - at) for at, phase in phases]
    moving = sum(_moving(*piece) for piece in pieces)
    running = sum(until - since for phase, since, until in pieces if phase.engine_on)
    litres = sum(phase.litres_at(until) - phase.litres_at(since) for phase, since, until in pieces)
    driven = Driven(moving, max(0.0, running - moving), vehicle.kilometres(finish) - vehicle.kilometres(begin))
    return Interval(
        seconds=finish - begin,
        readings=round((finish - begin) * _READINGS_A_SECOND),
        spreads=spreads,
        driven={SPEED: driven},
        litres=litres,
        manoeuvres=tuple(_hard(vehicle, phases, begin, finish)),
        codes={},
    )


def _spread(moments: list[float], values: list[float]) -> FieldSpread:
    seconds = moments[-1] - moments[0]
    area = sum((b - a) * (x + y) / 2 for (a, b), (x, y) in zip(pairwise(moments), pairwise(values), strict=True))
    return FieldSpread(min(values), max(values), area / seconds if seconds else None)


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _moving(phase: Phase, since: float, until: float) -> float:
    """Seconds of a phase's piece at MOVING_KMH or more."""
    limit, change = MOVING_KMH / 3.6, phase.acceleration
    if not change:
        return until - since if phase.speed >= limit else 0.0
    crossing = min(until, max(since, (limit - phase.speed) / change))
    return until - crossing if change > 0 else crossing - since


def _hard(vehicle: Vehicle, phases: list[tuple[float, Phase]], begin: float, finish: float) -> list[Manoeuvre]:
    """Now and then a driver brakes late: which braking, and how hard, is the truck's fate like all else."""
    found = []
    for at, phase in phases:
        middle = at + phase.seconds / 2
        luck = (weather.chance(f"{vehicle.key}:braking:{at:.3f}") + 1) / 2
        harsh = vehicle.driver_at(middle).harsh
        if phase.acceleration < 0 and begin < middle <= finish and luck < harsh:
            low, high = _HARD_PEAK
            found.append(Manoeuvre("braking", finish - middle, low + (high - low) * luck / harsh))
    return found
