"""Events and counters stored before release 0.2 have no days, and so are in no index: `rebuild` gives them days."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from collector.stores.dynamodb import click_counters, click_days
from collector.stores.dynamodb.items import Item
from collector.stores.dynamodb.retries import Calls, ConditionFailed

Scan = Callable[..., Iterator[Item]]


def put_older(calls: Calls, tables: Mapping[str, str], scan: Scan, days: click_days.DayRegister) -> None:
    """Put into the index what is in none, and note that all is.

    Args:
        calls: of the client.
        tables: the store's, by their plain names.
        scan: of a table, a condition, its values and its names.
        days: the store's register of days.
    """
    absent = "attribute_not_exists(#day)"
    for item in scan("clicks", absent, {}, "day"):
        click = click_counters.read_click(item)
        days.note([click])
        _set_days(calls, tables["clicks"], {"event_id": item["event_id"]}, click_days.of_event(click))
    for item in scan("click_counts", absent, {}, "day"):
        days.note_day(item["minute"]["S"])
        key = {name: item[name] for name in ("counter", "shard")}
        _set_days(calls, tables["click_counts"], key, click_days.of_counter(item["minute"]["S"], item["counter"]["S"]))
    days.set_indexed()


def _set_days(calls: Calls, table: str, key: Item, days: Item) -> None:
    with suppress(ConditionFailed):  # it expired, or another delivery took its place, and has its days
        calls(
            "update_item",
            TableName=table,
            Key=key,
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in days),
            ConditionExpression="attribute_exists(#key) AND attribute_not_exists(#day)",
            ExpressionAttributeNames={"#key": next(iter(key)), **{f"#{name}": name for name in days}},
            ExpressionAttributeValues={f":{name}": value for name, value in days.items()},
        )
