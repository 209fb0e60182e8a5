"""From the history of some samples to the history of those and a few more, as steps that a store applies.

Whether a sample opens a version depends only on its key and on the key just before it. So new samples change nothing
beyond the first later sample that already agreed with the version in force at its place: from there on every decision
was made with the same key before it. A `Run` is such a stretch, and `plan` decides it anew.
"""

from dataclasses import dataclass

from collector.history.definition import Point, Version, start


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of one truck's samples to decide anew.

    before: the stored version in force just before the first point, None where history begins with it.
    points: all samples of the stretch, new and stored, ascending; the last one agrees with the stored version in
        force there, or is the last sample of all. versions: the stored versions that open within the stretch.
    after: the first stored version beyond it, None where there is none.
    """

    before: Version | None
    points: tuple[Point, ...]
    versions: tuple[Version, ...]
    after: Version | None


@dataclass(frozen=True, slots=True)
class Steps:
    """What a store does, in one atomic act. `current` is the order key of the current version, None if unchanged."""

    put: tuple[Version, ...] = ()
    close: tuple[tuple[str, str | None], ...] = ()
    remove: tuple[str, ...] = ()
    current: str | None = None

    def __bool__(self) -> bool:
        return bool(self.put or self.close or self.remove)


def plan(runs: tuple[Run, ...]) -> Steps:
    """The steps that make the stored history that of all points; runs are disjoint and ascending."""
    decided = [_plan(run) for run in runs]
    return Steps(
        put=tuple(version for steps in decided for version in steps.put),
        close=tuple(change for steps in decided for change in steps.close),
        remove=tuple(order_key for steps in decided for order_key in steps.remove),
        current=decided[-1].current if decided else None,
    )


def _plan(run: Run) -> Steps:
    opened: list[Point] = []
    key_before = run.before.key if run.before else None
    for point in run.points:
        if point.key != key_before:
            opened.append(point)
            key_before = point.key
    stored = {version.order_key: version for version in run.versions}
    keep = {point.order_key for point in opened}
    chain: list[Version | Point] = [*opened]
    if run.before:
        stored[run.before.order_key] = run.before
        keep.add(run.before.order_key)
        chain.insert(0, run.before)
    followers: list[str | None] = [start(each.order_key) for each in chain[1:]]
    followers.append(start(run.after.order_key) if run.after else None)
    put, close = [], []
    for each, end in zip(chain, followers, strict=True):
        known = stored.get(each.order_key)
        if known is None:
            put.append(Version(each.order_key, each.key, end))
        elif known.end != end:
            close.append((each.order_key, end))
    remove = tuple(order_key for order_key in stored if order_key not in keep)
    current = chain[-1].order_key if run.after is None else None
    return Steps(tuple(put), tuple(close), remove, current)
