"""Solves a day with VROOM, and compares the plan with what would be driven without one."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from commerce.routes.distances import Matrix
from commerce.routes.problem import Problem, RoutedTruck, Stop
from contract import timestamps

_EXPLORATION = 5
_DAY_MS = 24 * 3_600_000
_NO_CAPACITY = 10**6


def plan(problem: Problem, matrix: Matrix, *, now_ms: int) -> dict[str, Any]:
    """The best sequence that was found.

    Args:
        problem: depot, stops and trucks.
        matrix: between the depot (0) and the stops (1, 2, …).
        now_ms: when the day begins for a truck without hours of its own, where no stop says it either.

    Returns:
        `{distances, depot, trucks: [{truck_id, km, hours, litres, given_order_km, saved_litres, stops: [{stop_no,
        order_id, latitude, longitude, arrive_at, leave_at}]}], km, hours, litres, given_order_km, nearest_km, saved_km,
        saved_litres, unassigned: [{order_id, reason}]}`. litres are null where a truck's consumption is not known.
        saved_… is against the order given: of the whole day shared out evenly, of a truck its own stops.
    """
    begin_ms = _begin(problem, now_ms)
    trucks, missed = _solve(problem, matrix, begin_ms)
    km = sum(truck["km"] for truck in trucks)
    served = [stop for stop in problem.stops if stop.order_id not in {each["order_id"] for each in missed}]
    given = _km(matrix, _in_given_order(problem, served))
    litres = _sum([truck["litres"] for truck in trucks])
    rate = _mean_consumption(problem)
    return {
        "distances": matrix.source,
        "depot": {"latitude": problem.depot.latitude, "longitude": problem.depot.longitude},
        "trucks": trucks,
        "km": round(km, 1),
        "hours": round(sum(truck["hours"] for truck in trucks), 2),
        "litres": litres,
        "given_order_km": round(given, 1),
        "nearest_km": round(_km(matrix, _by_nearest(problem, matrix, served)), 1),
        "saved_km": round(given - km, 1) + 0.0,
        "saved_litres": None if rate is None else round((given - km) * rate / 100, 1),
        "unassigned": missed,
    }


def _begin(problem: Problem, now_ms: int) -> int:
    said = [truck.start_ms for truck in problem.trucks] + [stop.earliest_ms for stop in problem.stops]
    return min((each for each in said if each is not None), default=now_ms)


def _hours(truck: RoutedTruck, begin_ms: int) -> tuple[int, int]:
    """When a truck is out, Unix ms: from the day's begin and for a day, where nothing else is said."""
    if truck.start_ms is None:
        return (begin_ms, begin_ms + _DAY_MS) if truck.end_ms is None else (min(begin_ms, truck.end_ms), truck.end_ms)
    return truck.start_ms, truck.start_ms + _DAY_MS if truck.end_ms is None else truck.end_ms


def _solve(problem: Problem, matrix: Matrix, begin_ms: int) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    import numpy
    import vroom

    task = vroom.Input()
    task.set_durations_matrix("car", numpy.array(matrix.seconds, dtype=numpy.uint32))
    task.set_distances_matrix("car", numpy.array(matrix.metres, dtype=numpy.uint32))
    hours = [_hours(truck, begin_ms) for truck in problem.trucks]
    latest = [stop.latest_ms for stop in problem.stops if stop.latest_ms is not None]
    origin_ms = min(begin_ms, *latest, *(end_ms for _, end_ms in hours))  # VROOM knows no time before 0
    last_ms = max(end_ms for _, end_ms in hours)

    def window(first_ms: int | None, end_ms: int) -> Any:
        return vroom.TimeWindow(0 if first_ms is None else (first_ms - origin_ms) // 1000, (end_ms - origin_ms) // 1000)

    for number, truck in enumerate(problem.trucks):
        capacity = [_NO_CAPACITY if truck.capacity is None else truck.capacity]
        task.add_vehicle(vroom.Vehicle(number, start=0, end=0, capacity=capacity, time_window=window(*hours[number])))
    for number, stop in enumerate(problem.stops):
        task.add_job(
            vroom.Job(
                number,
                location=number + 1,
                default_service=stop.service_ms // 1000,
                delivery=[stop.demand],
                time_windows=[window(stop.earliest_ms, _until(stop, last_ms))],
            )
        )
    solution = task.solve(exploration_level=_EXPLORATION, nb_threads=1)
    steps = solution.routes.to_dict("records")
    trucks = [_route(problem, matrix, number, steps, origin_ms) for number in range(len(problem.trucks))]
    served = {stop["order_id"] for truck in trucks for stop in truck["stops"]}
    missed = [stop for stop in problem.stops if stop.order_id not in served]
    return [truck for truck in trucks if truck["stops"]], [
        {"order_id": stop.order_id, "reason": _why(problem, stop, matrix, begin_ms)} for stop in missed
    ]


def _route(
    problem: Problem, matrix: Matrix, number: int, steps: Sequence[dict[str, Any]], origin_ms: int
) -> dict[str, Any]:
    mine = [step for step in steps if step["vehicle_id"] == number]
    truck = problem.trucks[number]
    km = max((step["distance"] for step in mine), default=0) / 1000
    stops: list[dict[str, Any]] = []
    for step in mine:
        if step["type"] == "job":
            arrive_ms = origin_ms + (step["arrival"] + step["waiting_time"]) * 1000
            leave_ms = arrive_ms + step["service"] * 1000
            stop = problem.stops[int(step["id"])]
            stops.append(
                {
                    "stop_no": len(stops) + 1,
                    "order_id": stop.order_id,
                    "latitude": stop.place.latitude,
                    "longitude": stop.place.longitude,
                    "arrive_at": timestamps.from_ms(int(arrive_ms)),
                    "leave_at": timestamps.from_ms(int(leave_ms)),
                }
            )
    rate = truck.litres_per_100km
    spent = [step["arrival"] for step in mine]
    given = _km(matrix, [sorted(int(step["id"]) + 1 for step in mine if step["type"] == "job")])
    return {
        "truck_id": truck.truck_id,
        "km": round(km, 1),
        "hours": round((max(spent, default=0) - min(spent, default=0)) / 3600, 2),
        "litres": None if rate is None else round(km * rate / 100, 1),
        "given_order_km": round(given, 1),
        "saved_litres": None if rate is None else round((given - km) * rate / 100, 1),
        "stops": stops,
    }


def _until(stop: Stop, last_ms: int) -> int:
    """When a stop must have begun, Unix ms; of one that says nothing, when no truck is out any more."""
    return max(stop.earliest_ms or 0, last_ms) if stop.latest_ms is None else stop.latest_ms


def _why(problem: Problem, stop: Stop, matrix: Matrix, begin_ms: int) -> str:
    """The first bound that no truck could keep for this stop alone; else there are too many stops for all of them."""
    number = problem.stops.index(stop) + 1
    capacities = [truck.capacity for truck in problem.trucks]
    if None not in capacities and stop.demand > max(capacity or 0 for capacity in capacities):
        return f"its demand, {stop.demand}, is more than any truck's capacity"
    way_ms = matrix.seconds[0][number] * 1000
    hours = [_hours(truck, begin_ms) for truck in problem.trucks]
    if stop.latest_ms is not None and min(start_ms for start_ms, _ in hours) + way_ms > stop.latest_ms:
        return (
            f"no truck can be there by {timestamps.from_ms(stop.latest_ms)}: the way takes {way_ms // 60_000} minutes"
        )
    last_ms = max(end_ms for _, end_ms in hours)
    if stop.earliest_ms is not None and stop.earliest_ms > last_ms:
        return f"no truck is out any more when it may begin: the last one's hours end {timestamps.from_ms(last_ms)}"
    back_ms = stop.service_ms + matrix.seconds[number][0] * 1000
    if all(max(start_ms + way_ms, stop.earliest_ms or 0) + back_ms > end_ms for start_ms, end_ms in hours):
        return "no driver's hours are long enough for the way there and back"
    return "all trucks are full, or their time is, with the other stops: add a truck or longer hours"


def _km(matrix: Matrix, tours: Sequence[Sequence[int]]) -> float:
    metres = 0
    for tour in tours:
        places = [0, *tour, 0]
        metres += sum(matrix.metres[one][other] for one, other in pairwise(places))
    return metres / 1000


def _in_given_order(problem: Problem, served: Sequence[Stop]) -> list[list[int]]:
    """The stops as they stand in the file, shared out evenly: what is driven where nobody plans."""
    numbers = [problem.stops.index(stop) + 1 for stop in served]
    share = -(-len(numbers) // len(problem.trucks)) or 1
    return [numbers[first : first + share] for first in range(0, len(numbers), share)]


def _by_nearest(problem: Problem, matrix: Matrix, served: Sequence[Stop]) -> list[list[int]]:
    """Each truck in turn always drives to the nearest stop that is left, until it has its share."""
    left = {problem.stops.index(stop) + 1 for stop in served}
    share = -(-len(left) // len(problem.trucks)) or 1
    tours: list[list[int]] = []
    while left:
        tour = [0]
        while left and len(tour) <= share:
            nearest = min(left, key=lambda number: (matrix.metres[tour[-1]][number], number))
            left.remove(nearest)
            tour.append(nearest)
        tours.append(tour[1:])
    return tours


def _sum(litres: Sequence[float | None]) -> float | None:
    known = [each for each in litres if each is not None]
    return round(sum(known), 1) if known and len(known) == len(litres) else None


def _mean_consumption(problem: Problem) -> float | None:
    known = [truck.litres_per_100km for truck in problem.trucks if truck.litres_per_100km is not None]
    return sum(known) / len(known) if known else None
