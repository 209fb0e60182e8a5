"""Takes a person's identity, or a truck's positions, out of the tables, and leaves every count as it was.

Each item is replaced only as it was read, so that rivals lose nothing. A truck's head is rewritten under a new `rev`:
a writer that has read a position before is refused, and reads again. What was changed, DynamoDB itself keeps for
point-in-time recovery alone.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from collector.stores.dynamodb import items
from collector.stores.dynamodb.click_counters import click_item, read_click
from collector.stores.dynamodb.items import Item, number, part_key, text
from collector.stores.dynamodb.markers import LOOK_AGAIN_S, read_markers, read_state, write_markers
from collector.stores.dynamodb.reader import DynamoDbReader
from collector.stores.dynamodb.retries import ConditionFailed
from collector.stores.dynamodb.tables import TABLES
from collector.stores.dynamodb.truck_heads import HEAD
from collector.stores.forgetting import NamedIds, is_refused_of
from contract import timestamps
from contract.codec import Json, canonical, parse
from contract.errors import Retryable
from contract.forgotten import GONE, Forgotten, Span, without_position

_LONGEST_CALL_S = 300
"""Seconds that a function may still write what it has judged before: the longest Timeout of the template."""
_RECOVERY_DAYS, _STREAM_DAYS, _CHANGES_DAYS = 35, 7, 1
_TRIES = 20


class DynamoDbForgetting(DynamoDbReader):
    """The `StoreForgetting` of the tables of a prefix.

    Args:
        prefix: of the tables.
        client: a boto3 DynamoDB client, None for one made on first use.
        sleep: waits so many seconds; functions must have taken up new markers before anything is rewritten.
    """

    def __init__(self, prefix: str, client: Any = None, *, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(prefix, client)
        self._sleep = sleep

    def named_ids(self) -> Iterator[NamedIds]:
        for click in self.clicks():
            browser = parse(click.text).get("browser_id") if '"browser_id":' in click.text else None
            yield NamedIds(click.timestamp, click.event_id, click.user_id, browser, click.session_id, click.customer_id)

    def adopt_markers(self, marks: Forgotten) -> None:
        if state := read_state(self._calls, self._tables["trucks"]):
            marks.adopt(state["secret"]["S"].encode(), read_markers(self._calls, self._tables["trucks"]))

    def publish_markers(self, marks: Forgotten) -> None:
        write_markers(self._calls, self._tables["trucks"], marks.markers(), marks.secret())
        self._sleep(LOOK_AGAIN_S + _LONGEST_CALL_S)

    def forget_person(self, event_ids: Sequence[str], identifiers: Collection[str], marks: Forgotten) -> dict[str, int]:
        done = {"clicks": sum(self._forget_click(each, marks) for each in event_ids), "dead_letters": 0}
        for letter in list(self.dead_letters()):
            if any(each.encode() in letter.payload or each in letter.reason for each in identifiers):
                self._forget_letter(letter.id)
                done["dead_letters"] += 1
        return done

    def _forget_click(self, event_id: str, marks: Forgotten) -> bool:
        for _ in range(_TRIES):
            found = self._get("clicks", {"event_id": text(event_id)})
            if found is None:  # expired, or of another store
                return False
            click = read_click(found)
            kept = marks.scrubbed_click(parse(click.text))
            now = replace(
                click,
                text=canonical(kept),
                session_id=kept.get("session_id"),
                user_id=kept.get("user_id"),
                customer_id=kept.get("customer_id"),
                page=kept.get("page"),
            )
            item = click_item(now, 0)
            if "expires" in found:
                item["expires"] = found["expires"]
            with suppress(ConditionFailed):  # another delivery took its place meanwhile
                self._calls("put_item", TableName=self._tables["clicks"], Item=item, **_as_read(found))
                return True
        raise Retryable(f"the event {event_id} is being changed all the time: run the same `milepost forget` again")

    def _forget_letter(self, id: str) -> None:
        """Its bytes and its reason; that it came, and how often, stays."""
        table, key = self._tables["dead_letters"], {"id": text(id), "part": number(0)}
        first = self._get("dead_letters", key)
        if first is None:
            return
        gone = {**first, "payload": items.pack(GONE), "reason": text("forgotten"), "parts": number(1)}
        self._calls("put_item", TableName=table, Item=gone)
        for part in range(1, int(first["parts"]["N"])):
            self._calls("delete_item", TableName=table, Key={"id": text(id), "part": number(part)})

    def forget_positions(self, span: Span, marks: Forgotten) -> dict[str, int]:
        done = {"samples": 0, "dead_letters": 0}
        del marks
        done["samples"] = self._rewrite_bodies("samples", span)
        self._rewrite_bodies("truck_history", span)
        self._rewrite_head(span)
        self._rewrite_bodies("truck_history", span)  # what a writer put that had read before the head was rewritten
        for letter in list(self.dead_letters()):
            if letter.payload != GONE and is_refused_of(span, letter.source, letter.payload, letter.received_ms):
                self._forget_letter(letter.id)
                done["dead_letters"] += 1
        return done

    def _rewrite_bodies(self, table: str, span: Span) -> int:
        count = 0
        for item in self._bodies_in(table, span):
            key = {name: item[name] for name in ("truck_id", "order_key")}
            with suppress(ConditionFailed):  # it expired just now, or is not the opening of a version any more
                self._calls("update_item", TableName=self._tables[table], Key=key, **_with_text(item))
                count += 1
        return count

    def _bodies_in(self, table: str, span: Span) -> Iterator[Item]:
        for item in list(self._range(table, span.truck_id, span.begin)):
            if "text" in item and span.begin <= item["order_key"]["S"] < span.end:
                yield item

    def _rewrite_head(self, span: Span) -> None:
        key = part_key(span.truck_id, HEAD)
        for _ in range(_TRIES):
            head = self._get("trucks", key)
            if head is None:
                return
            rev = int(head["rev"]["N"])
            new = {**head, "rev": number(rev + 1)}
            if "sample" in head and span.begin <= head["latest"]["S"] < span.end:
                body = head["sample"]["M"]
                new["sample"] = {"M": {**body, "text": _without_position(body)}}
            condition = {
                "ConditionExpression": "#rev = :rev",
                "ExpressionAttributeNames": {"#rev": "rev"},
                "ExpressionAttributeValues": {":rev": head["rev"]},
            }
            with suppress(ConditionFailed):
                self._calls("put_item", TableName=self._tables["trucks"], Item=new, **condition)
                return
        raise Retryable(f"truck {span.truck_id} is being changed all the time: run the same `milepost forget` again")

    def positions_left(self, span: Span) -> int:
        bodies = [item for table in ("samples", "truck_history") for item in self._bodies_in(table, span)]
        head = self._get("trucks", part_key(span.truck_id, HEAD))
        if head and "sample" in head and span.begin <= head["latest"]["S"] < span.end:
            bodies.append(head["sample"]["M"])
        left = {item.get("order_key", {"S": HEAD})["S"] for item in bodies if not _is_without_position(item)}
        return len(left)

    def events(self, event_ids: Collection[str]) -> list[dict[str, Json]]:
        keys = [{"event_id": text(each)} for each in event_ids]
        return [parse(read_click(item).text) for item in self._calls.batch_get(self._tables["clicks"], keys)]

    def occurrences(self, identifiers: Collection[str]) -> list[dict[str, Any]]:
        hits: Counter[tuple[str, str]] = Counter()
        for table in TABLES:
            for item in self._scan(table.name):
                said = _said({"M": item})
                hits.update((table.full_name(""), each) for each in identifiers if each in said)
        for letter in self.dead_letters():  # one in several items is compressed as a whole
            hits.update(("dead_letters", each) for each in identifiers if each.encode() in letter.payload)
        return [
            {"place": f"table {name.lstrip('-')}", "identifier": each, "hits": count}
            for (name, each), count in sorted(hits.items())
        ]

    def out_of_reach(self, now_ms: int) -> list[dict[str, Any]]:
        now = timestamps.to_datetime(timestamps.from_ms(now_ms))
        recovery, stream, changes = (
            timestamps.from_datetime(now + timedelta(days=days))
            for days in (_RECOVERY_DAYS, _STREAM_DAYS, _CHANGES_DAYS)
        )
        return [
            {"place": "DynamoDB's point-in-time recovery", "until": recovery},
            {"place": "Kinesis' records (the functions pass them through the markers)", "until": stream},
            {"place": "the stream of the table of samples", "until": changes},
        ]


def _as_read(item: Item) -> Item:
    """The condition that an item is still the one that was read."""
    return {
        "ConditionExpression": "#text = :was AND #received_ms = :received_ms",
        "ExpressionAttributeNames": {"#text": "text", "#received_ms": "received_ms"},
        "ExpressionAttributeValues": {":was": item["text"], ":received_ms": item["received_ms"]},
    }


def _with_text(item: Item) -> Item:
    return {
        "UpdateExpression": "SET #text = :text",
        "ConditionExpression": "#text = :was",
        "ExpressionAttributeNames": {"#text": "text"},
        "ExpressionAttributeValues": {":text": _without_position(item), ":was": item["text"]},
    }


def _without_position(body: Item) -> Item:
    return items.pack(without_position(items.unpack(body["text"]).decode("ascii")).encode("ascii"))


def _is_without_position(body: Item) -> bool:
    record = parse(items.unpack(body["text"]))
    return (record.get("quality") or {}).get("gps_location") == "forgotten"


def _said(value: Item) -> str:
    """All that an attribute says, a line each; what is compressed is unpacked."""
    [(kind, content)] = value.items()
    if kind == "M":
        return "\n".join(f"{name}\n{_said(each)}" for name, each in content.items())
    if kind == "L":
        return "\n".join(_said(each) for each in content)
    if kind == "B":
        with suppress(Exception):  # a link between versions, or a part of a letter: no text
            return items.unpack(value).decode("utf-8", "replace")
        return ""
    return "\n".join(content) if kind == "SS" else str(content)
