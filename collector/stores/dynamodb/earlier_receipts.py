"""A sample that came again with an earlier receipt: `received_ms` in the sample, its version and its truck's head.

Two functions may bring one sample, and the one that received it later may commit it first; `--known-at` goes by the
smallest receipt. Nobody writes for that but who brings the smaller one: a put that is refused says with which receipt
the sample is stored. All copies change in one act under the head's `rev`, so a rival that has read the later receipt is
refused and reads again; whoever dies before it has acknowledged nothing, and comes again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from collector.rows import StoredSample
from collector.stores.dynamodb import transactions
from collector.stores.dynamodb.items import Item, number, part_key, sample_key
from collector.stores.dynamodb.retries import Calls, ConditionFailed
from collector.stores.dynamodb.seen_versions import changed_by_another
from collector.stores.dynamodb.truck_heads import HEAD

AT_ONCE = 5
"""So many of the largest samples, with their versions, are less than the 4 MB that a transaction may have."""
NEW_OR_SAY: Item = {**transactions.NEW, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
"""For a put: only where nothing is stored, and what is there comes with the refusal. That costs no read."""


def received_ms(refusal: ConditionFailed) -> int:
    """When the sample was received that is stored in place of the one that was refused, Unix ms."""
    return int(refusal.item["received_ms"]["N"])


def first_of_each(samples: Sequence[StoredSample]) -> dict[str, StoredSample]:
    """Of equal samples the one that was received first; by order key, in order."""
    first: dict[str, StoredSample] = {}
    for sample in samples:
        known = first.get(sample.order_key)
        if known is None or sample.received_ms < known.received_ms:
            first[sample.order_key] = sample
    return first


def earlier(first: Mapping[str, StoredSample], stored: Mapping[str, int | None]) -> dict[str, int]:
    """The receipts that are earlier than those stored; by order key. stored: None for what was not there."""
    return {
        place: first[place].received_ms
        for place, was in stored.items()
        if was is not None and first[place].received_ms < was
    }


def changed(bodies: Mapping[str, Item], received: Mapping[str, int]) -> dict[str, Item]:
    """Those of the bodies at hand that get an earlier receipt, with it; all by order key."""
    return {
        place: {**bodies[place], "received_ms": number(ms)}
        for place, ms in received.items()
        if place in bodies and int(bodies[place]["received_ms"]["N"]) > ms
    }


def acts(calls: Calls, tables: Mapping[str, str], truck_id: str, received: Mapping[str, int], rev: int) -> list[Item]:
    """The acts that give stored samples an earlier receipt, and the versions that they open.

    Args:
        calls: to DynamoDB.
        tables: name → full name.
        truck_id: whose.
        received: order key → Unix ms; at most AT_ONCE.
        rev: of the head under which they will be carried out.

    Returns:
        None for an item that is not there, as where the sample has expired, or that was received earlier still.

    Raises:
        Conflict: the head is another by now.
    """
    items = [(tables[name], order_key) for name in ("samples", "truck_history") for order_key in received]
    wanted: list[Any] = [transactions.get_one(tables["trucks"], part_key(truck_id, HEAD))]
    wanted += [transactions.get_one(table, sample_key(truck_id, key), "received_ms") for table, key in items]
    head, *stored = [each.get("Item") or {} for each in calls("transact_get_items", TransactItems=wanted)["Responses"]]
    if (int(head["rev"]["N"]) if head else 0) != rev:
        raise changed_by_another(truck_id)
    return [
        transactions.set_received(table, truck_id, order_key, received[order_key])
        for (table, order_key), item in zip(items, stored, strict=True)
        if item and int(item["received_ms"]["N"]) > received[order_key]
    ]
