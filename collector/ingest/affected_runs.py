"""Reads from a store exactly the stretch of history that new samples can change, as `history.plan` wants it."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from collector.history import Point, Run, Version
from collector.stores import Store, TruckHead


def neighbourhood(store: Store, truck_id: str, head: TruckHead, new: Sequence[Point]) -> tuple[Run, ...]:
    """The runs that samples just put can change. `new`: ascending, without repetition; all are in the store.

    Samples beyond the head read nothing: the head knows the version in force. A late one reads on from its place to
    the first stored sample that agrees with the version in force there; and where the next late one is not far beyond
    it (`store.read_on`), to that one and on, since looking for its place would take longer.
    """
    runs: list[_Stretch] = []
    at = 0
    while at < len(new):
        if new[at].order_key > head.latest:
            _append(runs, _Stretch(head.current, list(new[at:]), [], None))
            break
        stretch = _late_run(store, truck_id, new, at)
        at = bisect_right(new, stretch.points[-1].order_key, at, key=lambda point: point.order_key)
        _append(runs, stretch)
    return tuple([Run(each.before, tuple(each.points), tuple(each.versions), each.after) for each in runs])


@dataclass(slots=True)
class _Stretch:
    """A run that may grow."""

    before: Version | None
    points: list[Point]
    versions: list[Version]
    after: Version | None


def _late_run(store: Store, truck_id: str, late: Sequence[Point], wanted: int) -> _Stretch:
    """The run that begins with late[wanted], through as many of those after it as lie close behind each other."""
    first = late[wanted].order_key
    in_force = before = store.version_before(truck_id, first)
    coming = store.versions_from(truck_id, first)
    following = next(coming, None)
    points: list[Point] = []
    opened: list[Version] = []
    agreed: tuple[int, int, Version | None] | None = None
    """Where the run may end: so many points and versions, and what follows them."""
    for point in store.points_from(truck_id, first):
        points.append(point)
        if following and following.order_key == point.order_key:
            in_force = following
            opened.append(following)
            following = next(coming, None)
        if wanted < len(late) and point.order_key >= late[wanted].order_key:
            wanted += 1
            agreed = None
        if agreed is None and in_force and in_force.key == point.key:
            agreed = len(points), len(opened), following
        if agreed and (wanted == len(late) or len(points) - agreed[0] >= store.read_on):
            break
    if agreed:
        del points[agreed[0] :], opened[agreed[1] :]
        following = agreed[2]
    return _Stretch(before, points, opened, following)


def _append(runs: list[_Stretch], more: _Stretch) -> None:
    """Join a run to the last where no stored version lies between them: they change the same stretch."""
    last = runs[-1] if runs else None
    if last is None or (last.after and last.after.order_key < more.points[0].order_key):
        runs.append(more)
        return
    last.points += more.points
    last.versions += more.versions
    last.after = more.after
