"""What the road does to a gateway: stretches without a network, restarts, and clocks that are lost in them.

Each follows from the route, the truck's key and the time, so that a restarted simulator finds the truck as it was, and
each is a planted truth. They act in fleet mode; in full mode the agent's own machine has real ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from math import floor
from random import Random

from simulator.routes import Route

_OPEN_ROAD_KMH = 60.0
_DEAD_ODDS = 0.12
"""Of the pieces of open road, the share without a network. A tunnel has none either."""

_RESTART_EVERY_S, _RESTART_ODDS, _RESTART_S = 6 * 3600.0, 0.5, (20.0, 180.0)
_CLOCK_ODDS = 0.4
"""Of the restarts, the share after which the clock is wrong until it is set."""
_CLOCK_S = (300.0, 2400.0)
_CLOCK_OFF_S = (-6 * 3600.0, 3 * 3600.0)


@cache
def dead_zones(route: Route) -> tuple[tuple[float, float], ...]:
    """From where to where on the tour there is no network, in metres from the depot; the same for every truck."""
    dice = Random(f"{route.name}:network")
    return tuple(
        (piece.start, piece.start + piece.length)
        for piece in route.pieces
        if piece.tunnel or (piece.limit > _OPEN_ROAD_KMH and dice.random() < _DEAD_ODDS)
    )


def has_network(route: Route, metres: float) -> bool:
    """Whether a truck that far on its tour can reach anything."""
    return not any(start <= metres < end for start, end in dead_zones(route))


@dataclass(frozen=True, slots=True)
class Restart:
    """One restart of a gateway. start, end: Unix seconds without power. clock_until: until when its clock is wrong
    after that (`end` where it is not); off: by how much."""

    start: float
    end: float
    clock_until: float
    off: timedelta


def restart(key: str, seconds: float) -> Restart | None:
    """The restart whose consequences are there at Unix seconds: no power, or a wrong clock."""
    found = _in_window(key, floor(seconds / _RESTART_EVERY_S))
    return found if found and found.start <= seconds < found.clock_until else None


def restarts(key: str, start: float, end: float) -> Iterator[Restart]:
    """Every restart of a truck that touches [start, end) in Unix seconds, oldest first."""
    for window in range(floor(start / _RESTART_EVERY_S), floor(end / _RESTART_EVERY_S) + 1):
        found = _in_window(key, window)
        if found and found.clock_until > start and found.start < end:
            yield found


def _in_window(key: str, window: int) -> Restart | None:
    dice = Random(f"{key}:restart:{window}")
    if dice.random() >= _RESTART_ODDS:
        return None
    lasts, wrong = dice.uniform(*_RESTART_S), dice.uniform(*_CLOCK_S)
    start = window * _RESTART_EVERY_S + dice.uniform(0, _RESTART_EVERY_S - lasts - wrong)
    end = start + lasts
    if dice.random() >= _CLOCK_ODDS:
        return Restart(start, end, end, timedelta())
    return Restart(start, end, end + wrong, timedelta(seconds=round(dice.uniform(*_CLOCK_OFF_S))))
