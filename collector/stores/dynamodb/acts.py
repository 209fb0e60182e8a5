"""The single acts of a transaction: what each writes, and on what condition."""

from collections.abc import Mapping

from collector.history import Steps
from collector.stores.dynamodb.heads import LEDGER, Kept, Written
from collector.stores.dynamodb.items import Item, number, part_key, read_ledger, sample_key, text, version_item

NEW: Item = {"ConditionExpression": "attribute_not_exists(#id)", "ExpressionAttributeNames": {"#id": "truck_id"}}
_THERE: Item = {"ConditionExpression": "attribute_exists(#id)"}


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
    """What changes history. openings: order key → body of the opening sample, of the versions to put."""
    puts = [version_item(truck_id, version, rev, openings[version.order_key]) for version in steps.put]
    return [
        *({"Put": {"TableName": table, "Item": item}} for item in puts),
        *(_mark(table, truck_id, key, rev, {"end": end}) for key, end in steps.close if key not in steps.remove),
        *(_mark(table, truck_id, key, rev, {}) for key in steps.touch),
        *({"Delete": {"TableName": table, "Key": sample_key(truck_id, order_key)}} for order_key in steps.remove),
    ]


def _mark(table: str, truck_id: str, order_key: str, rev: int, end: Mapping[str, str | None]) -> Item:
    """Give a version the `rev` of the act that changes it or what follows it, and perhaps another end."""
    values = {":rev": number(rev)}
    names = {"#id": "truck_id", "#rev": "rev", **({"#end": "end"} if end else {})}
    expression = "SET #rev = :rev"
    for until in end.values():
        if until is None:
            expression += " REMOVE #end"
        else:
            expression += ", #end = :end"
            values[":end"] = text(until)
    update = {"TableName": table, "Key": sample_key(truck_id, order_key), "UpdateExpression": expression, **_THERE}
    return {"Update": {**update, "ExpressionAttributeNames": names, "ExpressionAttributeValues": values}}


def ledger_acts(table: str, truck_id: str, kept: Kept, written: Written) -> list[Item]:
    """What changes the ledgers that have items of their own."""
    made = []
    for stream_id, stored in written.ledgers.items():
        key = part_key(truck_id, LEDGER + stream_id)
        condition = at_rev(kept.outside.get(stream_id, 0))
        if stored is None:
            made.append({"Delete": {"TableName": table, "Key": key, **condition}})
            continue
        item = {**key, "ledger": text(stored), "rev": number(written.head.rev)}
        if holes := len(read_ledger(stored).holes):
            item["holes"] = number(holes)
        made.append({"Put": {"TableName": table, "Item": item, **condition}})
    absent = [part_key(truck_id, LEDGER + stream_id) for stream_id in written.absent]
    return [*made, *({"ConditionCheck": {"TableName": table, "Key": key, **NEW}} for key in absent)]


def get_rev(table: str, key: Item) -> Item:
    """Part of a TransactGetItems."""
    return {
        "Get": {
            "TableName": table,
            "Key": key,
            "ProjectionExpression": "#rev",
            "ExpressionAttributeNames": {"#rev": "rev"},
        }
    }


def set_key(table: str, truck_id: str, order_key: str, key: str) -> Item:
    """The update that gives a stored sample another tracked key."""
    return {
        "TableName": table,
        "Key": sample_key(truck_id, order_key),
        "UpdateExpression": "SET #key = :key",
        "ExpressionAttributeNames": {"#id": "truck_id", "#key": "key"},
        "ExpressionAttributeValues": {":key": text(key)},
        **_THERE,
    }


def keep_and_count(table: str, item: Item) -> Item:
    """The update that keeps a dead letter as it first came, and counts it."""
    names = [name for name in item if name not in ("id", "part")]
    kept = ", ".join(f"#{name} = if_not_exists(#{name}, :{name})" for name in names)
    return {
        "TableName": table,
        "Key": {"id": item["id"], "part": item["part"]},
        "UpdateExpression": f"SET {kept} ADD #times :one",
        "ExpressionAttributeNames": {f"#{name}": name for name in (*names, "times")},
        "ExpressionAttributeValues": {**{f":{name}": item[name] for name in names}, ":one": number(1)},
    }
