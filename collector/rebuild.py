"""Recompute what is derived from what is kept: history from samples, counters from events; compare or repair."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from collector.history import Point, Run, TrackingPolicy, Version, define, parts, start
from collector.rows import Counter, StoredSample
from collector.stores import Change, Conflict, Reader, Store
from contract.codec import content_hash, parse
from contract.errors import Retryable
from contract.forgotten import without_position
from contract.legacy_records import telemetry

_REPLANS = 50
_LOOKS = 3
_DAMAGED = 8  # looks in a row at which a history is torn in the same way: nobody is writing it, it is damaged
_ANEW = "\0"  # no sample's key: each version is written again, whatever was wrong with it
_HALFWAY = "a rebuild that did not end"


def rebuild(store: Store, policy: TrackingPolicy, truck_id: str | None = None) -> dict[str, int]:
    """Rewrite histories under `policy`: one truck's, or all with the click counters; the store remembers the policy.

    A policy other than the remembered one takes all trucks at once: `{"trucks": n, "versions": n}`. Only what the
    retained samples say is touched: versions that start before the oldest of them stay as they are.
    """
    counts = {"trucks": 0, "versions": 0}
    with store.unit():
        if truck_id is None and store.policy() not in (None, policy.text):
            store.remember_policy(_HALFWAY)  # who dies here leaves a store that takes nothing till it is repeated
        for each in [truck_id] if truck_id else store.truck_ids():
            versions = _rebuild(store, policy, each)
            if versions is not None:
                counts = {"trucks": counts["trucks"] + 1, "versions": counts["versions"] + versions}
        if truck_id is None:
            store.replace_click_counts()
            store.remember_policy(policy.text)
    return counts


def _rebuild(store: Store, policy: TrackingPolicy, truck_id: str) -> int | None:
    """How many versions the retained samples of a truck make, None where there are no samples."""
    seen: object = None
    looks = 0
    for _ in range(_REPLANS):
        head = store.head(truck_id)
        points: list[Point] = []
        changed: dict[str, str] = {}
        for sample in store.samples(truck_id):
            points.append(Point(sample.order_key, _key(sample, policy)))
            if points[-1].key != sample.key:
                changed[sample.order_key] = points[-1].key
        if not points:
            return None
        before, versions = _stored(store, truck_id, points[0].order_key, whole=looks < _DAMAGED)
        looks, seen = (looks + 1 if seen == (head.rev, versions) else 0), (head.rev, versions)
        store.put_keys(truck_id, changed)
        head = replace(head, latest="")
        try:
            anew = tuple(Version(version.order_key, _ANEW, version.end) for version in versions)
            for steps in parts([Run(before, tuple(points), anew, None)], store.most_versions):
                head = store.apply(truck_id, head, Change(steps, points[-1].order_key))
        except Conflict:
            continue
        return len(define(points, before))
    raise Retryable(f"truck {truck_id}: others write to it all the time; stop them, or try again")


def _stored(store: Store, truck_id: str, oldest: str, *, whole: bool = False) -> tuple[Version | None, list[Version]]:
    """The version in force before the oldest retained sample, and all that open with it or later.

    Where all samples are kept nothing can stand before the oldest: what does is rebuilt away. whole: a plan made from
    them is to be refused where they were read half-way to another state.
    """
    if whole:
        store.version_before(truck_id, "")
    versions = list(store.versions_from(truck_id, ""))
    if store.too_late_ms is None:
        return None, versions
    earlier = [version for version in versions if version.order_key < oldest]
    return earlier[-1] if earlier else None, versions[len(earlier) :]


def verify(store: Store, policy: TrackingPolicy, truck_id: str | None = None) -> list[dict[str, Any]]:
    """`[{truck_id, fault}]`, empty where all that is derived is what it must be; `truck_id` null: the counters.

    Each truck is compared in a unit of its own, and again if others have written to it meanwhile.
    """
    faults: list[dict[str, Any]] = []
    for each in [truck_id] if truck_id else store.truck_ids():
        with store.unit():
            faults.extend({"truck_id": each, "fault": fault} for fault in _settled_faults(store, policy, each))
    if truck_id is None:
        with store.unit():
            oldest = store.recountable_from()
            counts = {counter: count for counter, count in store.click_counts() if count and counter.minute >= oldest}
            right = _counted(store, oldest) == counts
        if not right:
            faults.append({"truck_id": None, "fault": "click counters differ from the stored events"})
    return faults


def _settled_faults(store: Store, policy: TrackingPolicy, truck_id: str) -> list[str]:
    for _ in range(_LOOKS):
        rev = store.head(truck_id).rev
        found = list(_faults(store, policy, truck_id))
        if not found or store.head(truck_id).rev == rev:
            break
    return found


def _faults(store: Store, policy: TrackingPolicy, truck_id: str) -> Iterator[str]:
    head = store.head(truck_id)
    bad, stale, points = [], [], []
    received: dict[str, int] = {}
    for sample in store.samples(truck_id):
        received[sample.order_key] = sample.received_ms
        points.append(Point(sample.order_key, _key(sample, policy)))
        if content_hash(sample.text) != sample.content and sample.text != without_position(sample.text):
            bad.append(sample.order_key)
        elif points[-1].key != sample.key:
            stale.append(sample.order_key)
    if bad:
        yield f"{len(bad)} samples are not what was stored, the first is {bad[0]}"
    if stale:
        yield f"{len(stale)} samples have another tracked key than the policy gives, the first is {stale[0]}"
    if not points:
        return
    before, stored = _stored(store, truck_id, points[0].order_key)
    defined = define(points, before)
    ends = before is None or before.end == (start(defined[0].order_key) if defined else None)
    if stored != defined or not ends:
        yield f"history has {len(stored)} versions and its samples make {len(defined)}, or their bounds differ"
    openings = [sample for _, sample in store.versions(truck_id)]
    if late := [
        each.order_key for each in openings if each.received_ms != received.get(each.order_key, each.received_ms)
    ]:
        yield f"{len(late)} versions were received at another time than their samples, the first is {late[0]}"
    current = defined[-1] if defined else before
    if (head.latest, head.current) != (points[-1].order_key, current):
        yield "the head is not that of the samples"


def _key(sample: StoredSample, policy: TrackingPolicy) -> str:
    return policy.key(telemetry(parse(sample.text)), sample.order_key)


def _counted(reader: Reader, oldest: str) -> dict[Counter, int]:
    counted: dict[Counter, int] = {}
    for click in reader.clicks():
        if click.count and click.counter.minute >= oldest:
            counted[click.counter] = counted.get(click.counter, 0) + click.count
    return counted
