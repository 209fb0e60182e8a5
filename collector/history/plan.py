"""From the history of some samples to the history of those and a few more, as steps that a store applies.

Whether a sample opens a version depends only on its key and on the key just before it. So new samples change nothing
beyond the first later sample that already agreed with the version in force at its place: from there on every decision
was made with the same key before it. A `Run` is such a stretch, and `plan` decides it anew.
"""

from collections.abc import Sequence
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
    """What a store does, in one atomic act.

    put: versions to write, in place of what is stored under their keys. close: ends to change. remove: versions to
    delete. touch: versions that stay as they are while another one follows them now, or they are the first no more: for
    stores whose reads are no snapshot. current: the current version, None where it is unchanged.
    """

    put: tuple[Version, ...] = ()
    close: tuple[tuple[str, str | None], ...] = ()
    remove: tuple[str, ...] = ()
    touch: tuple[str, ...] = ()
    current: Version | None = None

    def __bool__(self) -> bool:
        return bool(self.put or self.close or self.remove)

    @property
    def size(self) -> int:
        """How many versions are written, touched ones included."""
        return len(self.put) + len(self.close) + len(self.remove) + len(self.touch)


def plan(runs: Sequence[Run]) -> Steps:
    """The steps that make the stored history that of all points; runs are disjoint and ascending."""
    decided = [_plan(run) for run in runs]
    written = {version.order_key for steps in decided for version in steps.put}
    written.update(order_key for steps in decided for order_key, _ in steps.close)
    return Steps(
        put=tuple(version for steps in decided for version in steps.put),
        close=tuple(change for steps in decided for change in steps.close),
        remove=tuple(order_key for steps in decided for order_key in steps.remove),
        touch=tuple(dict.fromkeys(key for steps in decided for key in steps.touch if key not in written)),
        current=decided[-1].current if decided else None,
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
    stride = most - 4  # beside the points: the versions before and after them, and one that is decided again
    chain = [run.before, *run.versions] if run.before else [*run.versions]
    done = []
    for first in reversed(range(0, len(run.points), stride)):
        cut = run.points[first].order_key
        earlier = [version for version in chain if version.order_key < cut]
        later = tuple(version for version in chain if version.order_key >= cut)
        steps = _plan(Run(earlier[-1] if earlier else None, run.points[first:], later, run.after))
        chain = _applied(chain, steps)
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
    before, after = [run.before] if run.before else [], [run.after] if run.after else []
    stored = {version.order_key: version for version in (*before, *run.versions)}
    chain: list[Version | Point] = [*before, *opened]
    places = _places([*stored, *(version.order_key for version in after)])
    now = _places([each.order_key for each in (*chain, *after)])
    ends: list[str | None] = [start(each.order_key) for each in (*chain[1:], *after)]
    put, close, touch = [], [], []
    for each, end in zip(chain, ends if after else [*ends, None], strict=True):
        known = stored.pop(each.order_key, None)
        if known is None or known.key != each.key:
            put.append(Version(each.order_key, each.key, end))
        elif known.end != end:
            close.append((each.order_key, end))
        elif places[each.order_key] != now[each.order_key]:
            touch.append(each.order_key)
    touch.extend(each.order_key for each in after if places[each.order_key] != now[each.order_key])
    current = None if after or not chain else Version(chain[-1].order_key, chain[-1].key, None)
    return Steps(tuple(put), tuple(close), tuple(stored), tuple(touch), current)


def _places(order_keys: Sequence[str]) -> dict[str, tuple[bool, str | None]]:
    """Of each: is it the first, and which one follows."""
    following = [*order_keys[1:], None]
    return {key: (index == 0, following[index]) for index, key in enumerate(order_keys)}
