"""The markers of who and what must stay forgotten, kept in the table of trucks for the functions that write there."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from collector.stores.dynamodb.items import Item, number, part_key, text
from collector.stores.dynamodb.retries import Calls
from collector.stores.dynamodb.tables import TABLES
from contract.forgotten import Forgotten, Markers, Span

_OWNER = "#forgotten"
_STATE, _PERSON, _SPAN = "state", "person#", "span#"
LOOK_AGAIN_S = 5
"""Seconds after which a function asks whether there are new markers."""


class DynamoDbForgotten(Forgotten):
    """The markers as functions see them, at most LOOK_AGAIN_S old; `milepost forget` alone adds to them.

    Args:
        prefix: of the tables.
        client: a boto3 DynamoDB client, None for one made on first use.
        clock: Unix seconds.
    """

    def __init__(self, prefix: str, client: Any = None, *, clock: Callable[[], float] = time.time) -> None:
        self._calls, self._clock = Calls(client), clock
        self._table = next(table for table in TABLES if table.name == "trucks").full_name(prefix)
        self._asked_at = float("-inf")
        self._rev = 0
        self._markers, self._secret = Markers({}, ()), b""

    def markers(self) -> Markers:
        """What must stay forgotten.

        Returns:
            As it was at most LOOK_AGAIN_S ago.
        """
        if self._clock() - self._asked_at >= LOOK_AGAIN_S:
            state = read_state(self._calls, self._table)
            if state and int(state["rev"]["N"]) != self._rev:
                self._markers = read_markers(self._calls, self._table)
                self._secret, self._rev = state["secret"]["S"].encode(), int(state["rev"]["N"])
            self._asked_at = self._clock()
        return self._markers


def read_state(calls: Calls, table: str) -> Item | None:
    """The item that says how often markers were added, and with which secret; None before the first.

    Args:
        calls: of the client.
        table: the full name of the table of trucks.
    """
    found: Item | None = calls("get_item", TableName=table, Key=part_key(_OWNER, _STATE), ConsistentRead=True).get(
        "Item"
    )
    return found


def read_markers(calls: Calls, table: str) -> Markers:
    """All of them.

    Args:
        calls: of the client.
        table: the full name of the table of trucks.
    """
    people: dict[str, str] = {}
    spans: list[Span] = []
    arguments = {
        "KeyConditionExpression": "#id = :id",
        "ExpressionAttributeNames": {"#id": "truck_id"},
        "ExpressionAttributeValues": {":id": text(_OWNER)},
    }
    for item in calls.items("query", TableName=table, ConsistentRead=True, **arguments):
        part = item["part"]["S"]
        if part.startswith(_PERSON):
            people[part.removeprefix(_PERSON)] = item["before"]["S"]
        elif part.startswith(_SPAN):
            spans.append(Span(item["truck"]["S"], item["begin"]["S"], item["end"]["S"]))
    return Markers(people, spans)


def write_markers(calls: Calls, table: str, markers: Markers, secret: bytes) -> None:
    """Add markers; functions take them up within LOOK_AGAIN_S.

    Args:
        calls: of the client.
        table: the full name of the table of trucks.
        markers: those of the data directory, old ones too.
        secret: with which people are hashed.
    """
    known = read_markers(calls, table)
    for key, before in markers.people.items():
        if known.people.get(key) != before:
            _put(calls, table, _PERSON + key, {"before": text(before)})
    for span in markers.spans:
        if span not in known.spans:
            said = {"truck": text(span.truck_id), "begin": text(span.begin), "end": text(span.end)}
            _put(calls, table, _SPAN + "#".join(span), said)
    state = read_state(calls, table)
    rev = int(state["rev"]["N"]) if state else 0
    _put(calls, table, _STATE, {"rev": number(rev + 1), "secret": text(secret.decode())})


def _put(calls: Calls, table: str, part: str, attributes: Mapping[str, Item]) -> None:
    calls("put_item", TableName=table, Item={**part_key(_OWNER, part), **attributes})
