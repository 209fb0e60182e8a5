"""Recompute what is derived from what is kept: history from samples, counters from events; compare or repair."""

from collections.abc import Iterable
from typing import Any

from collector.history import Point, Policy, define
from collector.stores import Counter, Reader, Store, StoredSample
from contract.codec import content_hash, parse
from contract.legacy import telemetry


def rebuild(store: Store, policy: Policy, truck_id: str | None = None) -> dict[str, int]:
    """Rewrite histories under `policy`: one truck's, or all with the click counters; the store remembers the policy.

    A policy other than the remembered one takes all trucks at once: `{"trucks": n, "versions": n}`.
    """
    counts = {"trucks": 0, "versions": 0}
    with store.unit():
        for each in [truck_id] if truck_id else store.truck_ids():
            keys = _keys(store, policy, each)
            if keys:
                versions = define(Point(order_key, key) for order_key, key in keys.items())
                store.replace_history(each, keys, versions)
                counts = {"trucks": counts["trucks"] + 1, "versions": counts["versions"] + len(versions)}
        if truck_id is None:
            store.replace_click_counts()
            store.remember_policy(policy.text)
    return counts


def verify(store: Store, policy: Policy, truck_id: str | None = None) -> list[dict[str, Any]]:
    """`[{truck_id, fault}]`, empty where all that is derived is what it must be; `truck_id` null: the counters.

    Each truck is compared in a unit of its own: others may write meanwhile.
    """
    faults: list[dict[str, Any]] = []
    for each in [truck_id] if truck_id else store.truck_ids():
        with store.unit():
            faults.extend({"truck_id": each, "fault": fault} for fault in _faults(store, policy, each))
    if truck_id is None:
        with store.unit():
            right = _counted(store) == {counter: count for counter, count in store.click_counts() if count}
        if not right:
            faults.append({"truck_id": None, "fault": "click counters differ from the stored events"})
    return faults


def _faults(store: Store, policy: Policy, truck_id: str) -> Iterable[str]:
    bad, stale, keys = [], [], {}
    for sample in store.samples(truck_id):
        keys[sample.order_key] = _key(sample, policy)
        if content_hash(sample.text) != sample.content:
            bad.append(sample.order_key)
        elif keys[sample.order_key] != sample.key:
            stale.append(sample.order_key)
    if bad:
        yield f"{len(bad)} samples are not what was stored, the first is {bad[0]}"
    if stale:
        yield f"{len(stale)} samples have another tracked key than the policy gives, the first is {stale[0]}"
    stored = [version for version, _ in store.versions(truck_id)]
    defined = define(Point(*pair) for pair in keys.items())
    if stored != defined or store.version_count(truck_id) != len(stored):  # one without its sample is not read
        yield f"history has {len(stored)} versions and its samples make {len(defined)}, or their bounds differ"
    head = store.head(truck_id)
    if defined and (head is None or (head.latest, head.current) != (max(keys), defined[-1])):
        yield "the head is not that of the samples"


def _keys(reader: Reader, policy: Policy, truck_id: str) -> dict[str, str]:
    return {sample.order_key: _key(sample, policy) for sample in reader.samples(truck_id)}


def _key(sample: StoredSample, policy: Policy) -> str:
    return policy.key(telemetry(parse(sample.text)), sample.order_key)


def _counted(reader: Reader) -> dict[Counter, int]:
    counted: dict[Counter, int] = {}
    for click in reader.clicks():
        if click.count:
            counted[click.counter] = counted.get(click.counter, 0) + click.count
    return counted
