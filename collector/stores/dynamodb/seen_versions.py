"""Whether the versions that a plan was made from are one snapshot: DynamoDB's queries are none."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from collector.portions import portions
from collector.stores import Conflict
from collector.stores.dynamodb import items, transactions
from collector.stores.dynamodb.items import Item, part_key, sample_key
from collector.stores.dynamodb.retries import Calls
from collector.stores.dynamodb.truck_heads import HEAD

_CONFIRMED_AT_ONCE = 99
_MOST_BYTES = 3_500_000
"""So many items, and bytes, as one transaction may read beside the head."""


@dataclass(slots=True)
class Seen:
    """What was read of a truck's history for a plan.

    current: order key of the version that the head says is the current one. before: order key → the version found
    before it, None if none. revs: order key → `rev` of each version. torn: what was read is no snapshot, since a
    version that must stand between two others was not there, or one version was read twice and had changed meanwhile.
    receipts: table and order key → when a sample was received whose body was read, and is to be written. sizes: bytes,
    of both.
    """

    current: str | None = None
    before: dict[str, Item | None] = field(default_factory=dict)
    revs: dict[str, int] = field(default_factory=dict)
    receipts: dict[tuple[str, str], int] = field(default_factory=dict)
    sizes: dict[tuple[str, str], int] = field(default_factory=dict)
    torn: bool = False

    def follows(self, before: Item | None, item: Item | None) -> None:
        """`item` was found next after `before`; None: there was none."""
        for each in (before, item):
            if each:
                rev = int(each["rev"]["N"])
                self.sizes["truck_history", each["order_key"]["S"]] = items.size(each)
                # Two late runs of one chunk may read one version. The later rev alone would be confirmed, while the
                # earlier run was planned from the state before it.
                self.torn |= self.revs.setdefault(each["order_key"]["S"], rev) != rev
        if item is not None:
            self.torn |= not items.precedes(before, item)
        else:  # where the head knows a version there is one, and none stands after it
            self.torn |= before is None or before["order_key"]["S"] != self.current

    def received(self, table: str, order_key: str, body: Item) -> None:
        """A sample's body was read from a table, and is to be written."""
        self.receipts[table, order_key] = int(body["received_ms"]["N"])
        self.sizes[table, order_key] = items.size(body)


def changed_by_another(truck_id: str) -> Conflict:
    """Why a plan must be made again."""
    return Conflict(f"truck {truck_id} was being changed by another writer: read it again")


def confirm(calls: Calls, tables: Mapping[str, str], truck_id: str, seen: Seen, rev: int) -> None:
    """Read once more, with the head and as one snapshot, what a plan was made from.

    Args:
        calls: to DynamoDB.
        tables: name → full name.
        truck_id: whose.
        seen: what was read since the head was.
        rev: of the head.

    Raises:
        Conflict: something has changed since, or was half-way to another state when it was read.
    """
    torn = changed_by_another(truck_id)
    if seen.torn:
        raise torn
    read = [("truck_history", order_key, "rev", value) for order_key, value in seen.revs.items()]
    read += [(table, order_key, "received_ms", ms) for (table, order_key), ms in seen.receipts.items()]
    head = transactions.get_one(tables["trucks"], part_key(truck_id, HEAD))
    sizes = seen.sizes
    for some in portions(read, lambda each: sizes.get(each[:2], 0), largest=_MOST_BYTES, most=_CONFIRMED_AT_ONCE):
        gets = [transactions.get_one(tables[table], sample_key(truck_id, key), name) for table, key, name, _ in some]
        answer = calls("transact_get_items", TransactItems=[head, *gets])
        names = ["rev", *(name for _, _, name, _ in some)]
        found = [
            int(each["Item"][name]["N"]) if each.get("Item") else 0
            for each, name in zip(answer["Responses"], names, strict=True)
        ]
        if found != [rev, *(value for _, _, _, value in some)]:
            raise torn
