"""Recompute what is derived from what is kept: history from samples, counters from events; compare or repair."""

from collections.abc import Iterable
from typing import Any

from collector.history import Point, Policy, define
from collector.stores import Counter, Reader, Store
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


def verify(reader: Reader, policy: Policy, truck_id: str | None = None) -> list[dict[str, Any]]:
    """`[{truck_id, fault}]`, empty where all that is derived is what it must be; `truck_id` null: the counters."""
    faults: list[dict[str, Any]] = []
    for each in [truck_id] if truck_id else reader.truck_ids():
        faults.extend({"truck_id": each, "fault": fault} for fault in _faults(reader, policy, each))
    if truck_id is None and _counted(reader) != {counter: count for counter, count in reader.click_counts() if count}:
        faults.append({"truck_id": None, "fault": "click counters differ from the stored events"})
    return faults


def _faults(reader: Reader, policy: Policy, truck_id: str) -> Iterable[str]:
    bad = [sample.order_key for sample in reader.samples(truck_id) if content_hash(sample.text) != sample.content]
    if bad:
        yield f"{len(bad)} samples are not what was stored, the first is {bad[0]}"
    stored = [version for version, _ in reader.versions(truck_id)]
    defined = define(Point(*pair) for pair in _keys(reader, policy, truck_id).items())
    if stored != defined:
        yield f"history has {len(stored)} versions and its samples make {len(defined)}, or their bounds differ"


def _keys(reader: Reader, policy: Policy, truck_id: str) -> dict[str, str]:
    return {
        sample.order_key: policy.key(telemetry(parse(sample.text)), sample.order_key)
        for sample in reader.samples(truck_id)
    }


def _counted(reader: Reader) -> dict[Counter, int]:
    counted: dict[Counter, int] = {}
    for click in reader.clicks():
        if click.count:
            counted[click.counter] = counted.get(click.counter, 0) + click.count
    return counted
