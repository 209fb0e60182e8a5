"""The single acts of a transaction: what each writes, and on what condition."""

from collections.abc import Mapping, Sequence

from collector.history import Steps
from collector.stores.dynamodb.items import (
    Item,
    number,
    part_key,
    place_in_chain,
    sample_key,
    size,
    text,
    version_item,
)
from collector.stores.dynamodb.ledger_items import LEDGER, piece_key
from collector.stores.dynamodb.truck_heads import Kept, Written

_MOST_DELIVERIES = 50
NEW: Item = {"ConditionExpression": "attribute_not_exists(#id)", "ExpressionAttributeNames": {"#id": "truck_id"}}


def at_rev(rev: int) -> Item:
    """The condition that an item is as it was read; rev 0: that it is not there."""
    if not rev:
        return NEW
    return {
        "ConditionExpression": "#rev = :was",
        "ExpressionAttributeNames": {"#rev": "rev"},
        "ExpressionAttributeValues": {":was": number(rev)},
    }


def version_acts(table: str, truck_id: str, steps: Steps, rev: int, openings: Mapping[str, Item]) -> list[Item]:
    """What changes history. openings: order key → body of the opening sample, of the versions to put.

    Whatever is written, or preceded by another version than before, gets this act's `rev`. A version that only ends
    is not written: where it ends is where the next one begins.
    """
    preceded = dict(steps.preceded)
    made: list[Item] = []
    for version in steps.put:
        order_key = version.order_key
        item = version_item(truck_id, version, rev, openings[order_key], preceded.pop(order_key))
        made.append({"Put": {"TableName": table, "Item": item}})
    for order_key, before in preceded.items():
        attributes = {"rev": number(rev), "first": None, "prev": None, **place_in_chain(before)}
        made.append({"Update": _update(table, sample_key(truck_id, order_key), attributes)})
    made.extend({"Delete": {"TableName": table, "Key": sample_key(truck_id, order_key)}} for order_key in steps.remove)
    return made


def weigh(transaction: Sequence[Item], sizes: dict[str, int]) -> int:
    """The bytes of all items that a transaction writes. sizes: order key → bytes of the versions that are there; those
    that it puts are added."""
    weight = 0
    for act in transaction:
        [said] = act.values()
        if "Item" in said:
            weight += (found := size(said["Item"]))
            if "order_key" in said["Item"]:
                sizes[said["Item"]["order_key"]["S"]] = found
        elif "order_key" in said["Key"]:
            weight += sizes.get(said["Key"]["order_key"]["S"], 0)
    return weight


def _update(table: str, key: Item, attributes: Mapping[str, Item | None]) -> Item:
    """An update of an item that must be there. attributes: None removes one."""
    given = {name: value for name, value in attributes.items() if value is not None}
    gone = [f"#{name}" for name, value in attributes.items() if value is None]
    expression = "SET " + ", ".join(f"#{name} = :{name}" for name in given)
    return {
        "TableName": table,
        "Key": key,
        "UpdateExpression": f"{expression} REMOVE {', '.join(gone)}" if gone else expression,
        "ConditionExpression": "attribute_exists(#id)",
        "ExpressionAttributeNames": {"#id": "truck_id", **{f"#{name}": name for name in attributes}},
        "ExpressionAttributeValues": {f":{name}": value for name, value in given.items()},
    }


def ledger_acts(table: str, truck_id: str, kept: Kept, written: Written) -> list[Item]:
    """What changes the ledgers that have items of their own."""
    made: list[Item] = []
    for stream_id, items in written.ledgers.items():
        condition = at_rev(kept.outside.get(stream_id, 0))
        if items is None:
            key = part_key(truck_id, LEDGER + stream_id)
            made.append({"Delete": {"TableName": table, "Key": key, **condition}})
        else:
            first, *further = items
            made.append({"Put": {"TableName": table, "Item": first, **condition}})
            made.extend({"Put": {"TableName": table, "Item": item}} for item in further)
        gone = range(max(1, len(items or ())), kept.pieces.get(stream_id, 1))
        keys = [piece_key(truck_id, stream_id, place) for place in gone]
        made.extend({"Delete": {"TableName": table, "Key": key}} for key in keys)
    absent = [part_key(truck_id, LEDGER + stream_id) for stream_id in written.absent]
    return [*made, *({"ConditionCheck": {"TableName": table, "Key": key, **NEW}} for key in absent)]


def get_one(table: str, key: Item, name: str = "rev") -> Item:
    """Part of a TransactGetItems: one attribute of an item."""
    return {
        "Get": {
            "TableName": table,
            "Key": key,
            "ProjectionExpression": f"#{name}",
            "ExpressionAttributeNames": {f"#{name}": name},
        }
    }


def set_received(table: str, truck_id: str, order_key: str, received_ms: int) -> Item:
    """The act that gives a stored sample, or its version, another receipt."""
    return {"Update": _update(table, sample_key(truck_id, order_key), {"received_ms": number(received_ms)})}


def set_key(table: str, truck_id: str, order_key: str, key: str) -> Item:
    """The update that gives a stored sample another tracked key."""
    return _update(table, sample_key(truck_id, order_key), {"key": text(key)})


def keep_and_count(table: str, item: Item, delivery: str, *, forget: bool = False) -> Item:
    """The update that keeps a dead letter as it first came, and counts it, once for each delivery that has a name.

    Its condition fails where the delivery was counted before, or as many are remembered as may be; then `forget` makes
    the update that remembers this one only.
    """
    names = [name for name in item if name not in ("id", "part")]
    kept = ", ".join(f"#{name} = if_not_exists(#{name}, :{name})" for name in names)
    update: Item = {
        "TableName": table,
        "Key": {"id": item["id"], "part": item["part"]},
        "UpdateExpression": f"SET {kept} ADD #times :one",
        "ExpressionAttributeNames": {f"#{name}": name for name in (*names, "times")},
        "ExpressionAttributeValues": {**{f":{name}": item[name] for name in names}, ":one": number(1)},
    }
    if not delivery:
        return update
    update["ExpressionAttributeNames"] |= {"#counted": "counted"}
    update["ExpressionAttributeValues"] |= {":these": {"SS": [delivery]}, ":most": number(_MOST_DELIVERIES)}
    if forget:
        update["UpdateExpression"] = f"SET {kept}, #counted = :these ADD #times :one"
        return {**update, "ConditionExpression": "size(#counted) >= :most"}
    update["UpdateExpression"] += ", #counted :these"
    update["ExpressionAttributeValues"] |= {":this": text(delivery)}
    fresh = "attribute_not_exists(#counted) OR (NOT contains(#counted, :this) AND size(#counted) < :most)"
    return {**update, "ConditionExpression": fresh}
