"""What really happened to a virtual truck: the planted truths that marts and alerts are judged by.

`of_truck` gives the truths of one truck in a span of time, `write` puts those of a fleet into a file of JSON Lines
(docs/simulator.md describes every field). A truck is a function of its name, its seed and the time, so its truths can
be told at any moment, also long after a run, and are the same each time.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from contract import codec, timestamps
from simulator import developing, fault_model, hardships
from simulator.tour_schedule import Phase
from simulator.vehicle import TANK_L, Vehicle

FILE = Path("trucks") / "truths.jsonl"
MOVING_MS = 5 / 3.6
"""Metres a second from which a truck counts as moving: 5 km/h."""

STOP_S = 300.0
"""A standstill of so many seconds ends a trip."""

Truth = dict[str, Any]


def of_truck(vehicle: Vehicle, start: datetime, end: datetime) -> list[Truth]:
    """Every truth of one truck that touches [start, end), in the order of their beginning.

    Raises ValueError where end is not after start.
    """
    if end <= start:
        raise ValueError("a span ends after it starts")
    first, last = start.timestamp(), end.timestamp()
    found = [
        *_trips(vehicle, first, last),
        *_fuel(vehicle, first, last),
        *_faults(vehicle, first, last),
        *_days(vehicle, start, end),
        *_road(vehicle, first, last),
    ]
    return sorted(({"truck_id": vehicle.truck_id, **truth} for truth in found), key=lambda truth: str(truth["from"]))


def write(path: Path, trucks: Sequence[str], seed: int, start: datetime, end: datetime) -> int:
    """Write the truths of a fleet, truck by truck, into a file that is replaced whole. Returns how many."""
    count = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    with draft.open("w", encoding="utf-8") as file:
        for line in lines(trucks, seed, start, end):
            file.write(line + "\n")
            count += 1
    draft.replace(path)
    return count


def lines(trucks: Sequence[str], seed: int, start: datetime, end: datetime) -> Iterator[str]:
    """The same as text, a truth a line."""
    for truck_id in trucks:
        for truth in of_truck(Vehicle(truck_id, seed), start, end):
            yield codec.dump(truth)


def _time(seconds: float) -> str:
    return timestamps.from_datetime(datetime.fromtimestamp(seconds, UTC))


# -- trips and stops


def _trips(vehicle: Vehicle, first: float, last: float) -> Iterator[Truth]:
    """Trips, and the stops between them, cut to the span."""
    spans = list(_joined(_moving(vehicle, first, last)))
    for start, end in spans:
        yield {
            "kind": "trip",
            "from": _time(start),
            "to": _time(end),
            "distance_km": round(vehicle.kilometres(end) - vehicle.kilometres(start), 3),
            "fuel_l": round(_litres(vehicle, start, end), 3),
            "idle_min": round(
                _minutes(vehicle, start, end, lambda phase, at: phase.engine_on and not _moves(phase, at)), 2
            ),
        }
    for (_, start), (end, _) in pairwise(spans):
        latitude, longitude = vehicle.place_at((start + end) / 2)
        yield {
            "kind": "stop",
            "from": _time(start),
            "to": _time(end),
            "latitude": round(latitude, 6),
            "longitude": round(longitude, 6),
            "idle_min": round(_minutes(vehicle, start, end, lambda phase, at: phase.engine_on), 2),
        }


def _moving(vehicle: Vehicle, first: float, last: float) -> Iterator[tuple[float, float]]:
    """The stretches of time at 5 km/h or more, in order."""
    for begin, phase in vehicle.phases(first, last):
        enter, leave = _fast(phase)
        start, end = max(first, begin + enter), min(last, begin + leave)
        if end > start:
            yield start, end


def _fast(phase: Phase) -> tuple[float, float]:
    """From when to when a phase is fast enough, in seconds since it began; equal where it never is."""
    final = phase.speed + phase.acceleration * phase.seconds
    if min(phase.speed, final) >= MOVING_MS:
        return 0.0, phase.seconds
    if max(phase.speed, final) < MOVING_MS:
        return 0.0, 0.0
    crossing = (MOVING_MS - phase.speed) / phase.acceleration
    return (crossing, phase.seconds) if phase.acceleration > 0 else (0.0, crossing)


def _moves(phase: Phase, elapsed: float) -> bool:
    return phase.speed + phase.acceleration * elapsed >= MOVING_MS


def _joined(spans: Iterator[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Spans with less than STOP_S between them made one."""
    start: float | None = None
    end = 0.0
    for begin, finish in spans:
        if start is not None and begin - end >= STOP_S:
            yield start, end
            start = begin
        start = begin if start is None else start
        end = finish
    if start is not None:
        yield start, end


def _litres(vehicle: Vehicle, first: float, last: float) -> float:
    """Fuel that the engine took."""
    total = 0.0
    for begin, phase in vehicle.phases(first, last):
        enter, leave = max(0.0, first - begin), min(phase.seconds, last - begin)
        total += phase.litres_at(leave) - phase.litres_at(enter)
    return total


def _minutes(vehicle: Vehicle, first: float, last: float, counts: Any) -> float:
    """Minutes of the span in phases that count, a phase split where it becomes fast or slow."""
    total = 0.0
    for begin, phase in vehicle.phases(first, last):
        cuts = sorted({0.0, phase.seconds, *_fast(phase)})
        for start, end in pairwise(cuts):
            overlap = min(last, begin + end) - max(first, begin + start)
            if overlap > 0 and counts(phase, (start + end) / 2):
                total += overlap
    return total / 60


# -- fuel, faults, days


def _fuel(vehicle: Vehicle, first: float, last: float) -> Iterator[Truth]:
    for refuel in vehicle.refuels(first, last):
        yield {
            "kind": "refuel",
            "from": _time(refuel.start),
            "to": _time(refuel.end),
            "litres": round(refuel.after - refuel.before, 2),
            "level_before": round(refuel.before / TANK_L * 100, 2),
            "level_after": round(refuel.after / TANK_L * 100, 2),
        }
    for start, end, theft in vehicle.thefts(first, last):
        yield {"kind": "fuel_drop", "from": _time(start), "to": _time(end), "litres": round(theft.litres, 2)}


_UNITS = {"slow_puncture": "psi", "coolant_leak": "celsius", "weak_battery": "volts"}


def _faults(vehicle: Vehicle, first: float, last: float) -> Iterator[Truth]:
    for start, end, fault in fault_model.fault_episodes(vehicle.key, first, last):
        truth: Truth = {"kind": "fault", "from": _time(start), "to": _time(end)}
        truth |= {key: fault[key] for key in ("spn", "fmi", "source")}
        wheel = fault_model.punctured_wheel(fault)
        yield {**truth, "wheel": wheel} if wheel else truth
    for episode in developing.episodes(vehicle.key, first, last):
        truth = {"kind": episode.kind, "from": _time(episode.start), "to": _time(episode.end)}
        truth[f"worst_{_UNITS[episode.kind]}"] = round(episode.worst, 2)
        yield {**truth, "wheel": episode.detail} if episode.detail else truth


def _road(vehicle: Vehicle, first: float, last: float) -> Iterator[Truth]:
    """Who drove with how much, where there was no network, and when the gateway restarted."""
    for start, end, driver, tonnes in vehicle.shifts(first, last):
        yield {
            "kind": "shift", "from": _time(start), "to": _time(end), "driver": driver.name, "load_t": round(tonnes, 2)
        }  # fmt: skip
    for start, end in _without_network(vehicle, first, last):
        yield {"kind": "dead_zone", "from": _time(start), "to": _time(end)}
    for each in hardships.restarts(vehicle.key, first, last):
        yield {"kind": "restart", "from": _time(each.start), "to": _time(each.end)}
        if each.clock_until > each.end:
            off = round(each.off.total_seconds())
            yield {"kind": "clock_loss", "from": _time(each.end), "to": _time(each.clock_until), "off_s": off}


def _without_network(vehicle: Vehicle, first: float, last: float) -> Iterator[tuple[float, float]]:
    """The drives through dead zones, phase by phase and joined where one follows the other."""
    start, until = None, 0.0
    for begin, phase in vehicle.phases(first, last):
        if hardships.has_network(vehicle.route, phase.metres_at(phase.seconds / 2)):
            continue
        if start is not None and begin - until > 1.0:
            yield start, until
            start = None
        start, until = begin if start is None else start, begin + phase.seconds
    if start is not None:
        yield start, until


def _days(vehicle: Vehicle, start: datetime, end: datetime) -> Iterator[Truth]:
    """The sums of each UTC day, cut to the span."""
    day = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    while day < end:
        first, last = max(start, day).timestamp(), min(end, day + timedelta(days=1)).timestamp()
        yield {
            "kind": "day",
            "day": day.date().isoformat(),
            "from": _time(first),
            "to": _time(last),
            "distance_km": round(vehicle.kilometres(last) - vehicle.kilometres(first), 3),
            "fuel_l": round(_litres(vehicle, first, last), 3),
            "engine_min": round(_minutes(vehicle, first, last, lambda phase, at: phase.engine_on), 2),
            "idle_min": round(
                _minutes(vehicle, first, last, lambda phase, at: phase.engine_on and not _moves(phase, at)), 2
            ),
        }
        day += timedelta(days=1)
