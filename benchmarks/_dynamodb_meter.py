"""What calls to DynamoDB consume, and how many bytes its tables hold."""

from collections import defaultdict
from typing import Any

import boto3


class Meter:
    """Adds up ConsumedCapacity, per table, of the calls that go through it to a DynamoDB client."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.write: dict[str, float] = defaultdict(float)
        self.read: dict[str, float] = defaultdict(float)
        self.calls = 0

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            answer = getattr(self._client, operation)(**arguments, ReturnConsumedCapacity="TOTAL")
            self._add(operation, answer.get("ConsumedCapacity") or [])
            return answer

        return call

    def _add(self, operation: str, found: Any) -> None:
        self.calls += 1
        reading = operation in ("get_item", "query", "scan", "batch_get_item", "transact_get_items")
        for each in found if isinstance(found, list) else [found]:
            table = each["TableName"].split("-", 1)[1]
            (self.read if reading else self.write)[table] += each["CapacityUnits"]

    def reset(self) -> None:
        """From here on only what comes."""
        self.write.clear()
        self.read.clear()
        self.calls = 0


def table_bytes(name: str) -> int:
    """Items' own bytes: names and values, and the 100 that storage adds to each."""
    found = 0
    for page in boto3.client("dynamodb").get_paginator("scan").paginate(TableName=name):
        found += sum(100 + item_bytes(item) for item in page["Items"])
    return found


def item_bytes(item: dict[str, Any]) -> int:
    """As the developer guide counts an item's size, near enough."""
    total = 0
    for name, typed in item.items():
        ((kind, value),) = typed.items()
        total += len(name.encode())
        if kind == "M":
            total += 3 + item_bytes(value) + len(value)
        elif kind == "L":
            total += 3 + sum(1 + item_bytes({"": each}) for each in value)
        elif kind == "N":
            total += len(value.strip("-0.")) // 2 + 1
        else:
            total += len(value) if isinstance(value, bytes) else len(str(value).encode())
    return total
