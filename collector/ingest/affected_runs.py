"""Reads from a store exactly the stretch of history that new samples can change, as `history.plan` wants it."""

from collections.abc import Sequence

from collector.history import Point, Run, Version
from collector.stores import Store, TruckHead


def neighbourhood(store: Store, truck_id: str, head: TruckHead, new: Sequence[Point]) -> tuple[Run, ...]:
    """The runs that samples just put can change. `new`: ascending, without repetition; all are in the store.

    Samples beyond the head read nothing: the head knows the version in force. A late one reads on from its place to
    the first stored sample that agrees with the version in force there.
    """
    runs: list[Run] = []
    rest = list(new)
    while rest:
        if rest[0].order_key > head.latest:
            _append(runs, Run(head.current, tuple(rest), (), None))
            break
        run = _late_run(store, truck_id, rest[0])
        _append(runs, run)
        reached = run.points[-1].order_key
        rest = [point for point in rest if point.order_key > reached]
    return tuple(runs)


def _late_run(store: Store, truck_id: str, first: Point) -> Run:
    in_force = before = store.version_before(truck_id, first.order_key)
    coming = store.versions_from(truck_id, first.order_key)
    following = next(coming, None)
    points: list[Point] = []
    opened: list[Version] = []
    for point in store.points_from(truck_id, first.order_key):
        points.append(point)
        if following and following.order_key == point.order_key:
            in_force = following
            opened.append(following)
            following = next(coming, None)
        if in_force and in_force.key == point.key:
            break
    return Run(before, tuple(points), tuple(opened), following)


def _append(runs: list[Run], run: Run) -> None:
    """Join a run to the last where no stored version lies between them: they change the same stretch."""
    last = runs[-1] if runs else None
    if last is None or (last.after and last.after.order_key < run.points[0].order_key):
        runs.append(run)
    else:
        runs[-1] = Run(last.before, last.points + run.points, last.versions + run.versions, run.after)
