"""From the history of some samples to the history of those and a few more, as steps that a store applies.

Whether a sample opens a version depends only on its key and on the key just before it. So new samples change nothing
beyond the first later sample that already agreed with the version in force at its place: from there on every decision
was made with the same key before it. A `Run` is such a stretch, and `plan` decides it anew.
"""

from collections.abc import Sequence
from typing import NamedTuple

from collector.history.reference import Point, Version, start


class Run(NamedTuple):
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


class Steps(NamedTuple):
    """What a store does, in one atomic act.

    put: versions to write, in place of what is stored under their keys. close: ends to change. remove: versions to
    delete. current: the current version, None where it is unchanged.

    preceded is for stores whose reads are no snapshot: they keep with each version which one precedes it, so that a
    reader can tell when one is missing, and need no `close`. Of each version in put, and of each that stays while
    another one precedes it now: its order key and that of the one before, None where it is the first.
    """

    put: tuple[Version, ...] = ()
    close: tuple[tuple[str, str | None], ...] = ()
    remove: tuple[str, ...] = ()
    current: Version | None = None
    preceded: tuple[tuple[str, str | None], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.put or self.close or self.remove)

    @property
    def size(self) -> int:
        """How many versions are written where each keeps which one precedes it."""
        return len(self.preceded) + len(self.remove)


def plan(runs: Sequence[Run]) -> Steps:
    """The steps that make the stored history that of all points; runs are disjoint and ascending."""
    decided = [_plan(run) for run in runs]
    if len(decided) == 1:
        return decided[0]
    return Steps(
        put=tuple(version for steps in decided for version in steps.put),
        close=tuple(change for steps in decided for change in steps.close),
        remove=tuple(order_key for steps in decided for order_key in steps.remove),
        current=decided[-1].current if decided else None,
        preceded=tuple(pair for steps in decided for pair in steps.preceded),
    )


def parts(runs: Sequence[Run], most: int | None) -> list[Steps]:
    """The plan in acts of at most `most` versions (6 or more), to be applied in this order; usually one.

    Newest first: after each, the stored history is that of what it was made of before and the newest of the points,
    so that one who dies half-way leaves a whole history behind.
    """
    whole = plan(runs)
    if most is None or whole.size <= most:
        return [whole]
    return [steps for run in reversed(runs) for steps in _parts(run, most)]


def _parts(run: Run, most: int) -> list[Steps]:
    stride = most - 5  # beside the points: the versions before and after them, and one that is decided again
    chain = [run.before, *run.versions] if run.before else [*run.versions]
    done = []
    for first in reversed(range(0, len(run.points), stride)):
        cut = run.points[first].order_key
        earlier = [version for version in chain if version.order_key < cut]
        later = tuple(version for version in chain if version.order_key >= cut)
        steps = _plan(Run(earlier[-1] if earlier else None, run.points[first:], later, run.after))
        chain = _applied(chain, steps)
        if steps.size:
            done.append(steps)
    return done


def _applied(chain: Sequence[Version], steps: Steps) -> list[Version]:
    kept = {version.order_key: version for version in chain if version.order_key not in steps.remove}
    kept.update((version.order_key, version) for version in steps.put)
    for order_key, end in steps.close:
        kept[order_key] = Version(order_key, kept[order_key].key, end)
    return [kept[order_key] for order_key in sorted(kept)]


def _plan(run: Run) -> Steps:
    opened: list[Point] = []
    key_before = run.before.key if run.before else None
    for point in run.points:
        if point.key != key_before:
            opened.append(point)
            key_before = point.key
    if run.before and not opened and not run.versions:  # most samples change nothing
        return Steps(current=None if run.after else run.before)
    before, after = [run.before] if run.before else [], [run.after] if run.after else []
    stored = {version.order_key: version for version in (*before, *run.versions)}
    chain: list[Version | Point] = [*before, *opened]
    was_before = _predecessors([*before, *run.versions, *after])
    now_before = _predecessors([*chain, *after])
    put, close = [], []
    for each, follower in zip(chain, [*chain[1:], *after, None], strict=False):
        end = start(follower.order_key) if follower else None
        known = stored.pop(each.order_key, None)
        if known is None or known.key != each.key:
            put.append(Version(each.order_key, each.key, end))
            was_before.pop(each.order_key, None)
        elif known.end != end:
            close.append((each.order_key, end))
    return Steps(
        put=tuple(put),
        close=tuple(close),
        remove=tuple(stored),
        current=None if after or not chain else Version(chain[-1].order_key, chain[-1].key, None),
        preceded=tuple(pair for pair in now_before.items() if pair not in was_before.items()),
    )


def _predecessors(found: Sequence[Version | Point]) -> dict[str, str | None]:
    """Of each, in this order, the one before it."""
    order_keys = [each.order_key for each in found]
    return dict(zip(order_keys, [None, *order_keys[:-1]], strict=True)) if order_keys else {}
