"""Reading the DynamoDB store: strongly consistent (but for click_reader), paged, and nothing that has expired."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import Any

from collector.completeness.ledger import StreamLedger
from collector.history import Version
from collector.rows import DeadLetter, StoredClick, StoredSample, StoredSince
from collector.stores.dynamodb import click_counters, items
from collector.stores.dynamodb.alerts import DynamoDbAlertReader
from collector.stores.dynamodb.click_days import DayRegister
from collector.stores.dynamodb.click_reader import DynamoDbClickReader
from collector.stores.dynamodb.items import Item, number, part_key, sample_key, text
from collector.stores.dynamodb.ledger_items import LEDGER, joined, ledgers_of, piece_count, piece_key, read_ledger
from collector.stores.dynamodb.retries import Calls, NoTable
from collector.stores.dynamodb.tables import TABLES
from contract.errors import Misconfigured, Retryable

HEAD, STATUS = "head", "status"
POLICY = ("#policy", "policy")
"""Where the policy is remembered: no truck can be called so."""
_LOOKS = 5
_NEVER = "9999"


class DynamoDbReader(DynamoDbAlertReader, DynamoDbClickReader):
    """The `Reader` on the tables of a prefix. client: a boto3 DynamoDB client, None for one made on first use.

    clock: Unix seconds, for what has expired. calls: in place of client, for tests.
    """

    def __init__(
        self, prefix: str, client: Any = None, *, clock: Callable[[], float] = time.time, calls: Calls | None = None
    ) -> None:
        if not prefix or len(prefix) > 200 or not all(each.isalnum() or each in "-_." for each in prefix):
            raise Misconfigured(f"store dynamodb://{prefix}: the prefix must be letters, digits, '-', '_' and '.'")
        self._calls = calls or Calls(client)
        self._clock = clock
        self._tables = {table.name: table.full_name(prefix) for table in TABLES}
        self._days = DayRegister(self._calls, self._tables["trucks"])

    def close(self) -> None:
        """Nothing is held."""

    def exists(self) -> bool:
        """Are the tables there."""
        try:
            self.policy()
        except NoTable:
            return False
        return True

    def policy(self) -> str | None:
        item = self._get("trucks", part_key(*POLICY))
        return item["text"]["S"] if item else None

    def truck_ids(self) -> list[str]:
        rows = self._scan("trucks", "#part = :part AND attribute_exists(#latest)", {"part": text(HEAD)}, "latest")
        return sorted(item["truck_id"]["S"] for item in rows)

    def latest(self, truck_id: str) -> StoredSample | None:
        """Of a truck that was silent until its last sample expired: as the head kept it, or its current version's."""
        newest = self._last_before("samples", truck_id, "~")
        if newest and "place" not in newest and self._lives(newest):
            return items.read_sample(newest)
        head = self._get("trucks", part_key(truck_id, HEAD))
        if not head or "current" not in head:
            return None
        if "sample" in head:
            key = head["key"]["S"] if "key" in head else head["latest"]["S"]
            return items.read_sample(head["sample"]["M"], head["latest"]["S"], key)
        opening = self._get("truck_history", sample_key(truck_id, head["current"]["S"]))
        return items.read_sample(opening) if opening else None

    def sample_at(self, truck_id: str, instant: str) -> StoredSample | None:
        found = self._last_before("samples", truck_id, instant + "$")
        # The table also holds claims, which have a place and sort before all samples.
        return items.read_sample(found) if found and "place" not in found and self._lives(found) else None

    def versions(self, truck_id: str) -> Iterator[tuple[Version, StoredSample]]:
        """All versions as they stood at one time; a history that others change meanwhile is read again."""
        rows: list[Item] = []
        for attempt in range(_LOOKS):
            rows = list(self._range("truck_history", truck_id, items.FIRST_PLACE))
            if _follow_on(rows):
                break
            self._calls.pause(attempt)
        pairs = items.with_following(rows)
        return ((items.read_version(item, following), items.read_sample(item)) for item, following in pairs)

    def version_count(self, truck_id: str) -> int:
        pages = self._calls.pages("query", **self._query("truck_history", truck_id, ">=", ""), Select="COUNT")
        return sum(page["Count"] for page in pages)

    def version_at(self, truck_id: str, instant: str) -> tuple[Version, StoredSample] | None:
        # '$' sorts just after '#': of several versions that start at one instant this finds the last.
        return self._version_before(truck_id, instant + "$")

    def _version_before(self, truck_id: str, order_key: str) -> tuple[Version, StoredSample] | None:
        """The last version that opens before an order key, with its end and its opening sample."""
        found = following = None
        for attempt in range(_LOOKS):
            found = self._last_before("truck_history", truck_id, order_key)
            if order_key > _NEVER:  # nothing follows
                break
            following = next(self._range("truck_history", truck_id, order_key, first=1), None)
            if following is None or items.precedes(found, following):
                break
            self._calls.pause(attempt)  # one of them is being written
        return (items.read_version(found, following), items.read_sample(found)) if found else None

    def ledgers(self, truck_id: str) -> dict[str, StreamLedger]:
        arguments = self._arguments("trucks", "#truck_id = :truck_id", {"truck_id": text(truck_id)})
        found: dict[str, Item] = {}
        for item in self._calls.items("query", **arguments):
            found |= self._ledgers_in(item)
        return {stream_id: read_ledger(found[stream_id]) for stream_id in sorted(found)}

    def _ledgers_in(self, item: Item) -> dict[str, Item]:
        """The ledgers in an item of `trucks`, whole."""
        if piece_count(item) == 1:
            return ledgers_of(item)
        stream_id = item["part"]["S"].removeprefix(LEDGER)
        whole = self._ledger_item(item["truck_id"]["S"], stream_id)
        return {stream_id: whole["ledger"]} if whole else {}

    def _ledger_item(self, truck_id: str, stream_id: str) -> Item | None:
        """A ledger that has items of its own, in one; read again where it is being changed. Raises Retryable."""
        for attempt in range(_LOOKS):
            first = self._get("trucks", part_key(truck_id, LEDGER + stream_id))
            if first is None:
                return None
            keys = [piece_key(truck_id, stream_id, place) for place in range(1, piece_count(first))]
            if whole := joined(first, [self._get("trucks", key) for key in keys]):
                return whole
            self._calls.pause(attempt)
        raise Retryable(f"truck {truck_id}: its ledger of {stream_id} is being changed all the time; try again")

    def ledger_trucks(self) -> list[str]:
        return sorted({item["truck_id"]["S"] for item in self._scan("trucks") if ledgers_of(item)})

    def incomplete(self) -> list[tuple[str, str, StreamLedger]]:
        """Truck, stream and ledger wherever there is a hole."""
        found = []
        for item in self._scan("trucks", "attribute_exists(#holes)", {}, "holes"):
            for stream_id, stored in self._ledgers_in(item).items():
                ledger = read_ledger(stored)
                if ledger.holes:
                    found.append((item["truck_id"]["S"], stream_id, ledger))
        return sorted(found, key=lambda row: row[:2])

    def status(self, truck_id: str) -> str | None:
        item = self._get("trucks", part_key(truck_id, STATUS))
        return item["text"]["S"] if item else None

    def samples_between(self, truck_id: str, first: str, last: str) -> Iterator[StoredSample]:
        found = (items.read_sample(item) for item in self._samples(truck_id, first))
        return takewhile(lambda sample: sample.order_key < last + "$", found)

    def version_before_samples(self, truck_id: str) -> tuple[Version, StoredSample] | None:
        earliest = next(self._samples(truck_id, items.FIRST_PLACE, first=1), None)
        return self._version_before(truck_id, earliest["order_key"]["S"]) if earliest else None

    def sample_counts(self, truck_id: str) -> tuple[int, int]:
        """Retained samples with a stream_id, and how many different (stream_id, seq) they have."""
        found = [items.identity_of(item, item["order_key"]["S"]) for item in self._samples(truck_id, items.FIRST_PLACE)]
        numbered = [(stream_id, seq) for stream_id, seq, _ in found if stream_id is not None]
        return len(numbered), len(set(numbered))

    def samples(self, truck_id: str) -> Iterator[StoredSample]:
        return (items.read_sample(item) for item in self._samples(truck_id, items.FIRST_PLACE))

    def samples_after(self, mark: str | None) -> StoredSince[tuple[str, StoredSample]]:
        """All of them: the tables keep no order of storing. On AWS the lake is built from the archive instead."""
        rows = ((truck_id, sample) for truck_id in self.truck_ids() for sample in self.samples(truck_id))
        return StoredSince(rows, True, None)

    def clicks_after(self, mark: str | None, since_ms: int) -> StoredSince[StoredClick]:
        return StoredSince(self.clicks(), True, None)

    def recountable_from(self) -> str:
        """The first minute whose counters can be held against stored events."""
        return click_counters.recountable_from(self._clock())

    def has_clicks(self, event_ids: Sequence[str]) -> set[str]:
        """Which of these events are stored."""
        keys = [{"event_id": text(event_id)} for event_id in dict.fromkeys(event_ids)]
        found = self._calls.batch_get(self._tables["clicks"], keys)
        return {item["event_id"]["S"] for item in found if self._lives(item)}

    def dead_letters(self) -> Iterator[DeadLetter]:
        found = [self._letter(item) for item in self._scan("dead_letters") if "source" in item]
        return iter(sorted(found, key=lambda letter: (letter.received_ms, letter.id)))

    def dead_letter(self, id: str) -> DeadLetter | None:
        item = self._get("dead_letters", {"id": text(id), "part": number(0)})
        return self._letter(item) if item else None

    def _letter(self, item: Item) -> DeadLetter:
        further = [{"id": item["id"], "part": number(part)} for part in range(1, int(item["parts"]["N"]))]
        rest = self._calls.batch_get(self._tables["dead_letters"], further)
        rest.sort(key=lambda each: int(each["part"]["N"]))
        return items.read_letter(item, b"".join(bytes(each["payload"]["B"]) for each in rest))

    def _samples(self, truck_id: str, order_key: str, first: int | None = None) -> Iterator[Item]:
        """The retained samples at an order key and after it."""
        return (item for item in self._range("samples", truck_id, order_key, first) if self._lives(item))

    def _lives(self, item: Item) -> bool:
        return "expires" not in item or int(item["expires"]["N"]) > self._clock()

    def _get(self, table: str, key: Item) -> Item | None:
        answer = self._calls("get_item", TableName=self._tables[table], Key=key, ConsistentRead=True)
        return answer.get("Item")

    def _range(self, table: str, truck_id: str, order_key: str, first: int | None = None) -> Iterator[Item]:
        """A truck's items at an order key and after it, ascending; `first`: how many are likely to be enough."""
        limit = {"Limit": first} if first else {}
        return self._calls.items("query", **self._query(table, truck_id, ">=", order_key), **limit)

    def _last_before(self, table: str, truck_id: str, order_key: str) -> Item | None:
        """A truck's last item before an order key."""
        arguments = self._query(table, truck_id, "<", order_key)
        found: list[Item] = self._calls("query", **arguments, ScanIndexForward=False, Limit=1)["Items"]
        return found[0] if found else None

    def _query(self, table: str, truck_id: str, relation: str, order_key: str) -> Item:
        condition = f"#truck_id = :truck_id AND #order_key {relation} :order_key"
        values = {"truck_id": text(truck_id), "order_key": text(order_key or items.FIRST_PLACE)}
        return self._arguments(table, condition, values)

    def _arguments(self, table: str, condition: str, values: Item) -> Item:
        return {
            "TableName": self._tables[table],
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": {f"#{name}": name for name in values},
            "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()},
            "ConsistentRead": True,
        }

    def _scan(self, table: str, condition: str = "", values: Item | None = None, *names: str) -> Iterator[Item]:
        arguments: Item = {"TableName": self._tables[table], "ConsistentRead": True}
        if condition:
            arguments["FilterExpression"] = condition
            arguments["ExpressionAttributeNames"] = {f"#{name}": name for name in (*(values or ()), *names)}
        if values:
            arguments["ExpressionAttributeValues"] = {f":{name}": value for name, value in values.items()}
        return self._calls.items("scan", **arguments)


def _follow_on(rows: Sequence[Item]) -> bool:
    """Is each version preceded by the one that it says."""
    return all(items.precedes(before, item) for before, item in zip([None, *rows], rows, strict=False))
