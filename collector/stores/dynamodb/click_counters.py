"""Shop events and their counters on DynamoDB: an event is stored and counted in one transaction, or neither (§4)."""

import hashlib
import json
import math
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple, fields, replace

from collector.clicks.counting import stored
from collector.rows import Counter, StoredClick
from collector.stores.dynamodb import click_days
from collector.stores.dynamodb.items import CLICKS_KEPT_MS, Item, expiry, fitting, number, pack, size, text, unpack
from collector.stores.dynamodb.retries import Calls, ConditionFailed
from contract import timestamps
from contract.click_records import ClickEvent
from contract.codec import parse

MOST_EVENTS = 80
MOST_ITEMS = 100
MOST_BYTES = 3_500_000
_FIELDS = tuple(field.name for field in fields(StoredClick))
SHARDS = 8
"""Rival handlers add to different items of one counter, mostly; a reader adds them up."""


def click_item(click: StoredClick, now_ms: int) -> Item:
    """now_ms: the time of counting, from which its identity lives."""
    item = {
        "event_id": text(click.event_id),
        "received_ms": number(click.received_ms),
        "text": pack(click.text.encode("ascii")),
        **({} if click.from_file else {"expires": number(expiry(timestamps.from_ms(now_ms), CLICKS_KEPT_MS))}),
        **click_days.of_event(click),
        **({"content": text(click.content)} if click.content else {}),
        **({"sent_at": text(click.sent_at)} if click.sent_at else {}),
    }
    if (
        _derived(click.event_id, click.text, click.received_ms, _told_apart(item)) != click
    ):  # not so for what ingest puts
        item["derived"] = text(json.dumps(astuple(click)))
    return fitting(item)


def read_click(item: Item) -> StoredClick:
    """All but when it came is derived from the event's own text."""
    if "derived" in item:
        values = json.loads(item["derived"]["S"])
        return StoredClick(**{**dict(zip(_FIELDS, values, strict=False)), "counter": Counter(*values[4])})
    said, received_ms = unpack(item["text"]).decode("ascii"), int(item["received_ms"]["N"])
    derived = _derived(item["event_id"]["S"], said, received_ms, _told_apart(item))
    if derived is None:
        raise ValueError(f"the event {item['event_id']['S']} is not what was stored")
    return derived


def _told_apart(item: Item) -> tuple[str, str]:
    """The content hash and sent_at of a stored event."""
    return item.get("content", {"S": ""})["S"], item.get("sent_at", {"S": ""})["S"]


def _derived(event_id: str, said: str, received_ms: int, told_apart: tuple[str, str]) -> StoredClick | None:
    record = parse(said)
    if "timestamp" not in record or "event_type" not in record:
        return None
    return stored(ClickEvent(event_id, record["timestamp"], record, said, *told_apart), received_ms)


def read_counter(item: Item) -> tuple[Counter, int, int]:
    """The counter, its count, and how much of that is robots'; before release 0.2 nobody wrote down the latter."""
    item_id, item_name = (item[name]["S"] or None for name in ("item_id", "item_name"))
    counter = Counter(item["minute"]["S"], item_id, item_name, item["event_type"]["S"])
    return counter, int(item["count"]["N"]), int(item.get("bots", {"N": "0"})["N"])


def additions(table: str, counted: Sequence[StoredClick], uncounted: Sequence[StoredClick], shard: int) -> list[Item]:
    """The updates that count events and take others back, one for each counter that changes.

    Args:
        table: of the counters.
        counted: from now on.
        uncounted: from now on no more.
        shard: the part of the counters to change.
    """
    counts: Tally[Counter] = Tally()
    bots: Tally[Counter] = Tally()
    for sign, clicks in ((1, counted), (-1, uncounted)):
        for click in clicks:
            counts[click.counter] += sign * click.count
            bots[click.counter] += sign * click.count * click.is_bot
    changed = [counter for counter in counts if counts[counter] or bots[counter]]
    return [addition(table, counter, (counts[counter], bots[counter]), shard) for counter in changed]


def addition(table: str, counter: Counter, sums: tuple[int, int], shard: int) -> Item:
    """The update that adds to one shard of a counter, made if it is not there. sums: of everybody, of robots."""
    names = (counter.minute, counter.item_id or "", counter.item_name or "", counter.event_type)
    identity = hashlib.sha256(json.dumps(names).encode()).hexdigest()
    said = dict(zip(("minute", "item_id", "item_name", "event_type"), map(text, names), strict=True))
    attributes = {**said, **click_days.of_counter(counter.minute, identity)}
    return {
        "TableName": table,
        "Key": {"counter": text(identity), "shard": number(shard)},
        "UpdateExpression": "SET "
        + ", ".join(f"#{name} = :{name}" for name in attributes)
        + " ADD #count :count, #bots :bots",
        "ExpressionAttributeNames": {f"#{name}": name for name in (*attributes, "count", "bots")},
        "ExpressionAttributeValues": {
            **{f":{name}": value for name, value in attributes.items()},
            ":count": number(sums[0]),
            ":bots": number(sums[1]),
        },
    }


def batches(clicks: Sequence[StoredClick], now_ms: int) -> Iterator[list[tuple[StoredClick, Item]]]:
    """The events in stretches that one transaction takes, with the counters that they add to.

    now_ms: the time of counting.
    """
    batch: list[tuple[StoredClick, Item]] = []
    counters: set[Counter] = set()
    weight = 0
    for click in clicks:
        item = click_item(click, now_ms)
        full = len(batch) == MOST_EVENTS or len(batch) + len(counters | {click.counter}) + 1 > MOST_ITEMS
        if batch and (full or weight + size(item) > MOST_BYTES):
            yield batch
            batch, counters, weight = [], set(), 0
        batch.append((click, item))
        counters.add(click.counter)
        weight += size(item) + 4_096
    if batch:
        yield batch


def count_batch(
    calls: Calls, names: tuple[str, str], batch: list[tuple[StoredClick, Item]], shard: Callable[[], int]
) -> set[str]:
    """Store and count the events of a batch that are not stored yet, and say which. names: clicks, click_counts."""
    clicks, counts = names
    while batch:
        puts = [
            {
                "TableName": clicks,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(#id)",
                "ExpressionAttributeNames": {"#id": "event_id"},
            }
            for _, item in batch
        ]
        adds = additions(counts, [click for click, _ in batch], (), shard())
        try:
            calls("transact_write_items", TransactItems=[*({"Put": p} for p in puts), *({"Update": a} for a in adds)])
        except ConditionFailed as failure:
            batch = [each for each, known in zip(batch, failure.failed, strict=False) if not known]
            continue
        return {click.event_id for click, _ in batch}
    return set()


def settle_rivals(
    calls: Calls, names: tuple[str, str], known: Sequence[StoredClick], shard: Callable[[], int], *, now_ms: int
) -> None:
    """Of several deliveries of one event that of the lowest rank counts: put it in the place of one that came before.

    One transaction replaces the event, if it is still the one that was read, takes its count back and adds the new one.
    An event that was brought by a file once is kept for ever, so that the file may be brought again.

    Args:
        calls: of the client.
        names: the tables of clicks and of click_counts.
        known: deliveries whose event_id was stored already.
        shard: the part of a counter to change.
        now_ms: the time of counting, Unix ms.
    """
    clicks, counts = names
    for click in known:
        while True:
            key = {"event_id": text(click.event_id)}
            found = calls("get_item", TableName=clicks, Key=key, ConsistentRead=True).get("Item")
            if found is None:
                break
            loser = read_click(found)
            if loser.rank <= click.rank:
                if click.from_file and "expires" in found:
                    _keep_for_ever(calls, clicks, key)
                break
            winner = replace(click, from_file=click.from_file or "expires" not in found)
            replaced = {
                "TableName": clicks,
                "Item": click_item(winner, now_ms),
                "ConditionExpression": "#text = :text AND #received_ms = :received_ms",
                "ExpressionAttributeNames": {"#text": "text", "#received_ms": "received_ms"},
                "ExpressionAttributeValues": {":text": found["text"], ":received_ms": found["received_ms"]},
            }
            adds = additions(counts, [winner], [loser], shard())
            try:
                calls("transact_write_items", TransactItems=[{"Put": replaced}, *({"Update": a} for a in adds)])
            except ConditionFailed:
                continue  # another delivery was first: compare with that
            break


def _keep_for_ever(calls: Calls, table: str, key: Item) -> None:
    update = {
        "UpdateExpression": "REMOVE #expires",
        "ConditionExpression": "attribute_exists(#id)",
        "ExpressionAttributeNames": {"#expires": "expires", "#id": "event_id"},
    }
    with suppress(ConditionFailed):  # it expired just now; it was counted all the same
        calls("update_item", TableName=table, Key=key, **update)


def recountable_from(now: float) -> str:
    """The first minute all of whose events are still kept."""
    kept_ms = int(now * 1000) - CLICKS_KEPT_MS
    whole = math.ceil(max(kept_ms, 0) / 60_000 + 1) * 60_000
    return timestamps.from_ms(whole)[:16]
