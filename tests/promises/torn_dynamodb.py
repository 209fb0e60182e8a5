"""DynamoDB in memory, for searching interleavings: as weak as AWS's documentation allows it to be.

ministack and moto carry a transaction out at one instant. DynamoDB does not: it prepares all items, and then each
item shows its new state at a time of its own. Reads of single items and queries meanwhile see some items new and
others old; writes to and transactional reads of an item that is still to come are refused as conflicts. Here each of
those commits is an event of its own, which may happen at any time, also after the client has died.

Only what DynamoDbStore asks for is understood; that it is understood rightly is what the same tests on ministack show.
"""

import re
from bisect import bisect_left, insort
from collections.abc import Callable
from itertools import islice, takewhile
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from collector.stores.dynamodb import TABLES
from collector.stores.dynamodb.items import size

Item = dict[str, Any]
Place = tuple[str, tuple[str, ...]]
MOST_ITEMS, MOST_BYTES = 100, 4 * 1024 * 1024
"""Of a transaction."""
_KEYS = {table.name: [table.partition[0], *([table.sort[0]] if table.sort else [])] for table in TABLES}


class TornTables:
    """The data, and what is on its way: place → the item as it will be. add_event: see Conductor.events."""

    def __init__(self, add_event: Callable[[Callable[[], None]], None]) -> None:
        self.items: dict[str, dict[tuple[str, ...], Item]] = {name: {} for name in _KEYS}
        self.keys: dict[str, list[tuple[str, ...]]] = {name: [] for name in _KEYS}
        """Those of `items`, ascending."""
        self.coming: dict[Place, Item | None] = {}
        self.done_tokens: set[str] = set()
        """ClientRequestTokens of transactions that were carried out: a repetition does nothing."""
        self.largest = self.heaviest = 0
        """Items, and bytes, of the largest transaction that was asked for."""
        self._add_event = add_event

    def commit_later(self, writes: dict[Place, Item | None]) -> None:
        self.coming |= writes
        for place in writes:
            self._add_event(lambda place=place: self._commit(place))  # type: ignore[misc]

    def _commit(self, place: Place) -> None:
        item = self.coming.pop(place)
        table, key = place
        if item is not None:
            if key not in self.items[table]:
                insort(self.keys[table], key)
            self.items[table][key] = item
        elif self.items[table].pop(key, None):
            self.keys[table].remove(key)


Fault = Callable[[], str | None]
"""What happens to the next call: None, "throttled" before it does anything, or "lost": its answer is."""


class TornClient:
    """A boto3 client's methods on TornTables. turn, done: before and after each call; wait: until something is so."""

    def __init__(
        self,
        tables: TornTables,
        turn: Callable[..., None] = lambda *_: None,
        done: Callable[[], None] = lambda: None,
        fault: Fault = lambda: None,
    ) -> None:
        self._tables = tables
        self._turn = turn
        self._done = done
        self._fault = fault

    def __getattr__(self, operation: str) -> Callable[..., Item]:
        act = getattr(self, f"_{operation}")

        def call(**arguments: Any) -> Item:
            self._turn()
            fault = self._fault()
            if fault == "throttled":
                raise _error("ThrottlingException")
            answer: Item = act(**arguments)
            self._done()
            if fault == "lost":
                raise ReadTimeoutError(endpoint_url="torn")
            return answer

        return call

    def _get_item(self, TableName: str, Key: Item, **_: Any) -> Item:
        found = self._rows(TableName).get(_key(TableName, Key))
        return {"Item": dict(found)} if found else {}

    def _batch_get_item(self, RequestItems: dict[str, Item]) -> Item:
        [(table, wanted)] = RequestItems.items()
        found = [self._rows(table).get(_key(table, key)) for key in wanted["Keys"]]
        return {"Responses": {table: [dict(item) for item in found if item]}}

    def _query(self, TableName: str, KeyConditionExpression: str, **more: Any) -> Item:
        values, names = more["ExpressionAttributeValues"], more["ExpressionAttributeNames"]
        _, _, within = KeyConditionExpression.partition(" AND ")
        condition = _condition(within, names, values)
        partition = _value(values[":truck_id"])
        keys, rows = self._tables.keys[_short(TableName)], self._rows(TableName)
        at = bisect_left(keys, (partition, _value(values[":order_key"])) if within else (partition,))
        if more.get("ScanIndexForward", True):
            found = takewhile(lambda key: key[0] == partition, islice(keys, at, None))
        else:
            found = takewhile(lambda key: key[0] == partition, (keys[index] for index in range(at - 1, -1, -1)))
        enough = more["Limit"] + 1 if "Limit" in more and "ExclusiveStartKey" not in more else None
        return self._page(TableName, list(islice((rows[key] for key in found if condition(rows[key])), enough)), more)

    def _scan(self, TableName: str, FilterExpression: str = "", **more: Any) -> Item:
        names, values = more.get("ExpressionAttributeNames", {}), more.get("ExpressionAttributeValues", {})
        condition = _condition(FilterExpression, names, values)
        return self._page(TableName, [item for _, item in sorted(self._rows(TableName).items()) if condition(item)], {})

    def _page(self, table: str, rows: list[Item], more: Item) -> Item:
        first = more.get("ExclusiveStartKey")
        if first:
            places = [_key(table, item) for item in rows]
            after = _key(table, first)
            rows = [item for item, place in zip(rows, places, strict=True) if place > after]
        limit = more.get("Limit", len(rows))
        page = {"Items": [dict(item) for item in rows[:limit]], "Count": len(rows[:limit])}
        if len(rows) > limit:
            last = rows[limit - 1]
            page["LastEvaluatedKey"] = {name: last[name] for name in _KEYS[_short(table)]}
        return page

    def _put_item(self, **put: Any) -> Item:
        return self._write_alone({"Put": put})

    def _update_item(self, **update: Any) -> Item:
        return self._write_alone({"Update": update})

    def _delete_item(self, **delete: Any) -> Item:
        return self._write_alone({"Delete": delete})

    def _write_alone(self, act: Item) -> Item:
        place, after, holds = self._prepare(act)
        if place in self._tables.coming:
            raise _error("TransactionConflictException")
        if not holds:
            refusal = _error("ConditionalCheckFailedException")
            if "ReturnValuesOnConditionCheckFailure" in next(iter(act.values())):
                refusal.response["Item"] = dict(self._tables.items[place[0]].get(place[1], {}))
            raise refusal
        self._tables.coming[place] = after
        self._tables._commit(place)
        return {}

    def _transact_write_items(self, TransactItems: list[Item], ClientRequestToken: str = "") -> Item:
        if ClientRequestToken in self._tables.done_tokens:
            return {}
        prepared = [self._prepare(act) for act in TransactItems]
        self._measure(prepared)
        places = [place for place, _, _ in prepared]
        assert len(set(places)) == len(places), "one item twice in a transaction"
        reasons = [
            "TransactionConflict" if place in self._tables.coming else "None" if holds else "ConditionalCheckFailed"
            for place, _, holds in prepared
        ]
        if set(reasons) != {"None"}:
            raise _error("TransactionCanceledException", reasons)
        checks = [act for act in TransactItems if "ConditionCheck" in act]
        writes = {place: after for (place, after, _), act in zip(prepared, TransactItems, strict=True)}
        mine = dict(writes)
        self._tables.commit_later(writes)
        self._tables.done_tokens |= {ClientRequestToken} - {""}
        assert len(checks) <= len(TransactItems)
        self._done()  # it may die here, and what it began goes on
        self._turn(lambda: not any(self._tables.coming.get(place, self) is mine[place] for place in mine))
        return {}

    def _measure(self, prepared: list[tuple[Place, Item | None, bool]]) -> None:
        weight = sum(size(after or self._tables.items[table].get(key, {})) for (table, key), after, _ in prepared)
        self._tables.largest = max(self._tables.largest, len(prepared))
        self._tables.heaviest = max(self._tables.heaviest, weight)
        if len(prepared) > MOST_ITEMS or weight > MOST_BYTES:
            raise _error("ValidationException")

    def _transact_get_items(self, TransactItems: list[Item]) -> Item:
        places = [_place(each["Get"]) for each in TransactItems]
        reasons = ["TransactionConflict" if place in self._tables.coming else "None" for place in places]
        if set(reasons) != {"None"}:
            raise _error("TransactionCanceledException", reasons)
        found = [self._tables.items[table].get(key) for table, key in places]
        if len(found) > MOST_ITEMS or sum(size(item) for item in found if item) > MOST_BYTES:
            raise _error("ValidationException")
        return {"Responses": [{"Item": dict(item)} if item else {} for item in found]}

    def _prepare(self, act: Item) -> tuple[Place, Item | None, bool]:
        """Where it writes, the item as it will be, and whether its condition holds."""
        [(kind, said)] = act.items()
        place = _place(said)
        before = self._tables.items[place[0]].get(place[1])
        names, values = said.get("ExpressionAttributeNames", {}), said.get("ExpressionAttributeValues", {})
        holds = _condition(said.get("ConditionExpression", ""), names, values)(before or {})
        if kind == "Put":
            return place, dict(said["Item"]), holds
        if kind == "Update":
            return place, _updated(dict(before or said["Key"]), said["UpdateExpression"], names, values), holds
        return place, (dict(before) if before else None) if kind == "ConditionCheck" else None, holds

    def _rows(self, table: str) -> dict[tuple[str, ...], Item]:
        return self._tables.items[_short(table)]


def _short(table: str) -> str:
    return table.rsplit("-", 1)[1]


def _key(table: str, item: Item) -> tuple[str, ...]:
    return tuple(next(iter(item[name].values())) for name in _KEYS[_short(table)])


def _place(said: Item) -> Place:
    return _short(said["TableName"]), _key(said["TableName"], said.get("Item") or said["Key"])


def _error(code: str, reasons: list[str] | None = None) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    if reasons:
        answer["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return ClientError(answer, "torn")


def _condition(expression: str, names: Item, values: Item) -> Callable[[Item], bool]:
    """Of an expression of ANDs, or of ORs, of the few forms that the store uses."""
    if not expression:
        return lambda _: True
    if " OR " in expression:
        either = [_condition(part, names, values) for part in expression.split(" OR ")]
        return lambda item: any(part(item) for part in either)
    tests = [_test(part, names, values) for part in expression.split(" AND ")]
    return lambda item: all(test(item) for test in tests)


def _test(part: str, names: Item, values: Item) -> Callable[[Item], bool]:
    if match := re.fullmatch(r"attribute_(not_)?exists\((#\w+)\)", part):
        wanted, name = match[1] is None, names[match[2]]
        return lambda item: (name in item) == wanted
    match = re.fullmatch(r"(#\w+) (=|<=|>=|<|>) (:\w+)", part)
    assert match, part
    name, relation, value = names[match[1]], match[2], _value(values[match[3]])
    compare: dict[str, Callable[[Any], bool]] = {
        "=": lambda found: found == value,
        "<": lambda found: found < value,
        "<=": lambda found: found <= value,
        ">": lambda found: found > value,
        ">=": lambda found: found >= value,
    }
    return lambda item: name in item and bool(compare[relation](_value(item[name])))


def _value(typed: Item) -> Any:
    [(kind, value)] = typed.items()
    return int(value) if kind == "N" else value


def _updated(item: Item, expression: str, names: Item, values: Item) -> Item:
    for verb, clause in re.findall(r"(SET|REMOVE|ADD) (.*?)(?= (?:SET|REMOVE|ADD) |$)", expression):
        for part in re.split(r", (?![^(]*\))", clause):
            _update(item, verb, part, (names, values))
    return item


def _update(item: Item, verb: str, part: str, said: tuple[Item, Item]) -> None:
    names, values = said
    if verb == "REMOVE":
        item.pop(names[part], None)
    elif verb == "ADD":
        name, value = part.split()
        item[names[name]] = {"N": str(_value(item.get(names[name], {"N": "0"})) + _value(values[value]))}
    elif match := re.fullmatch(r"(#\w+) = if_not_exists\((#\w+), (:\w+)\)", part):
        item.setdefault(names[match[1]], values[match[3]])
    else:
        name, value = part.split(" = ")
        item[names[name]] = values[value]
