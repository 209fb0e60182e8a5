"""Km of a planned day against always driving to the nearest next stop: 80 stops, 6 trucks. Aim: at most 0.8 × the km.

Ten days with stops spread by a fixed seed; the mean of the ratios, the worst of them, and the CPU of one plan.
"""

import sys
import time
from random import Random
from statistics import mean

from commerce.routes.distances import estimated
from commerce.routes.planning import plan
from commerce.routes.problem import Coordinates, Problem, RoutedTruck, Stop

STOPS, TRUCKS, DAYS, AIM = 80, 6, 10, 0.8
NOON_MS = 1_790_000_000_000


def day(seed: int) -> Problem:
    """Stops in a town and its surroundings; each truck takes its share and one stop more."""
    dice = Random(seed)
    depot = Coordinates(52.52, 13.40)
    places = [Coordinates(52.52 + dice.uniform(-0.25, 0.25), 13.40 + dice.uniform(-0.4, 0.4)) for _ in range(STOPS)]
    stops = tuple(Stop(f"A-{number}", place) for number, place in enumerate(places))
    return Problem(depot, stops, tuple(RoutedTruck(f"T{number}", -(-STOPS // TRUCKS) + 1) for number in range(TRUCKS)))


def main() -> None:
    ratios, seconds = [], []
    for seed in range(DAYS):
        problem = day(seed)
        matrix = estimated([problem.depot, *(stop.place for stop in problem.stops)])
        began = time.process_time()
        found = plan(problem, matrix, now_ms=NOON_MS)
        seconds.append(time.process_time() - began)
        if found["unassigned"]:
            sys.exit(f"day {seed}: {len(found['unassigned'])} stops were left over")
        ratios.append(found["km"] / found["nearest_km"])
    print(f"{STOPS} stops, {TRUCKS} trucks, {DAYS} days: {mean(ratios):.2f} × the km of nearest neighbour")
    print(
        f"best day {min(ratios):.2f} ×, worst day {max(ratios):.2f} × (aim ≤ {AIM} ×), {mean(seconds):.2f} CPU s a plan"
    )
    if mean(ratios) > AIM:
        sys.exit(1)


if __name__ == "__main__":
    main()
